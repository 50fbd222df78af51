"""Steps under a time limit: async and in threads, retried, listened to, alive."""

from __future__ import annotations

import logging
import threading

import anyio
import pytest

from flowkit import Flow, Policy, Retry, and_, listen, runs, start
from flowkit.errors import StepTimeoutError
from flowkit.runtime.clock import now
from tests.runtime.stored import MemoryStore
from tests.runtime.ticking import ticks


async def in_thread(come):
    """Wait, on the loop, until a thread has set an event."""
    await anyio.to_thread.run_sync(come.wait, 20)


class Slow(Flow):
    """A step that waits for ever, with what goes on instead."""

    unwound = []

    @start(timeout="20s")
    async def fetch(self):
        try:
            await anyio.sleep_forever()
        finally:
            Slow.unwound.append(now())


@pytest.mark.parametrize("store", [None, "memory"])
async def test_an_attempt_out_of_time_is_cancelled_and_fails(clock, store) -> None:
    """Not a tick earlier; its clean-up runs, and the error says what and where."""
    Slow.unwound.clear()
    flow = Slow() if store is None else Slow(store=MemoryStore("memory:test"))
    async with anyio.create_task_group() as group:

        async def go():
            with pytest.raises(StepTimeoutError) as caught:
                await flow.kickoff_async()
            error = caught.value
            assert str(error).startswith(
                "Slow.fetch was at work longer than its timeout of 20s. Give it more "
                "time, or find out what it waits for; a step that listens to "
                "fetch.timeout can go on instead. (test_timing.py:"
            )
            assert isinstance(error, TimeoutError)
            told = (error.step, error.limit, error.seconds)
            assert told == ("Slow.fetch", "timeout", 20.0)

        group.start_soon(go)
        await ticks(clock, 1, times=19)
        assert not Slow.unwound
        await ticks(clock, 1, times=2)
    assert Slow.unwound == [1_020]
    assert flow.run.status == "failed"


async def test_a_step_in_time_pays_nothing_later(clock) -> None:
    """Its limit is forgotten with it."""

    class Fast(Flow):
        @start(timeout=5)
        async def one(self):
            await anyio.lowlevel.checkpoint()
            return "one"

        @listen(one)
        async def two(self):
            await self.sleep(50)
            return "two"

    async with anyio.create_task_group() as group:

        async def go():
            assert await Fast().kickoff_async() == "two"

        group.start_soon(go)
        await ticks(clock, 10, times=7)


async def test_a_listener_to_timeout_goes_on_instead(clock) -> None:
    """It is given the error; a listener to `failed` is not asked then."""
    heard = []

    class Heard(Slow):
        @listen(Slow.fetch.timeout)
        def late(self, error):
            heard.append(type(error))
            return "late"

        @listen("fetch.failed")
        def broken(self, error):
            heard.append("failed")

    async with anyio.create_task_group() as group:

        async def go():
            assert await Heard().kickoff_async() == "late"

        group.start_soon(go)
        await ticks(clock, 10, times=3)
    assert heard == [StepTimeoutError]


async def test_a_listener_to_failed_hears_a_timeout_too(clock) -> None:
    """Unless somebody listens to that alone."""

    class Heard(Slow):
        @listen(Slow.fetch.failed)
        def broken(self, error):
            return type(error).__name__

    async with anyio.create_task_group() as group:

        async def go():
            assert await Heard().kickoff_async() == "StepTimeoutError"

        group.start_soon(go)
        await ticks(clock, 10, times=3)


def test_a_failure_is_not_heard_by_a_listener_to_timeout() -> None:
    """It ends the run as if nobody listened."""

    class Breaks(Flow):
        @start(timeout=5)
        def go(self):
            raise KeyError("x")

        @listen(go.timeout)
        def late(self, error):
            return "late"

    with pytest.raises(KeyError):
        Breaks().kickoff()


async def test_a_timeout_is_tried_again(clock) -> None:
    """As an error like others; each attempt has its whole time."""
    begun = []

    class Tries(Flow):
        @start(timeout=10, retry=Retry(3, first=5, factor=1, jitter="none"))
        async def fetch(self):
            begun.append(now() - 1_000)
            if self.attempt < 3:
                await anyio.sleep_forever()
            return "fetched"

    async with anyio.create_task_group() as group:

        async def go():
            assert await Tries().kickoff_async() == "fetched"

        group.start_soon(go)
        await ticks(clock, 1, times=35)
    assert begun == [0, 15, 30]


async def test_the_total_time_counts_waits_and_attempts(clock) -> None:
    """The attempt at work then is ended; a wait beyond it is not begun."""
    begun = []

    class Tries(Flow):
        @start(
            timeout=10,
            total_timeout=28,
            retry=Retry(9, first=5, factor=1, jitter="none"),
        )
        async def fetch(self):
            begun.append(now() - 1_000)
            await anyio.sleep_forever()

    ended = []
    async with anyio.create_task_group() as group:

        async def go():
            with pytest.raises(StepTimeoutError) as caught:
                await Tries().kickoff_async()
            ended.append(now() - 1_000)
            assert caught.value.limit == "timeout"
            assert caught.value.__notes__[1:] == [
                (
                    "flowkit: given up, as its total_timeout of 28s leaves no time for "
                    "another attempt"
                ),
                "flowkit: given up after 2 attempts",
            ]

        group.start_soon(go)
        await ticks(clock, 1, times=35)
    assert (begun, ended) == ([0, 15], [25])


async def test_the_total_time_ends_an_attempt(clock) -> None:
    """Its error names the limit, and no further attempt is made."""

    class Tries(Flow):
        @start(total_timeout=12, retry=Retry(9, first=0))
        async def fetch(self):
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:

        async def go():
            with pytest.raises(
                StepTimeoutError,
                match="took longer than its total_timeout of 12s, all attempts counted",
            ):
                await Tries().kickoff_async()

        group.start_soon(go)
        await ticks(clock, 1, times=14)


async def test_a_step_that_gives_no_heartbeat_is_ended(clock) -> None:
    """As long as it beats it may go on."""
    beats = []

    class Lives(Flow):
        @start(idle_timeout=5)
        async def work(self):
            for _ in range(4):
                await self.sleep(3)
                self.heartbeat()
                beats.append(now() - 1_000)
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:

        async def go():
            with pytest.raises(
                StepTimeoutError, match="gave no heartbeat for its idle_timeout of 5s"
            ):
                await Lives().kickoff_async()

        group.start_soon(go)
        await ticks(clock, 1, times=30)
    assert beats == [3, 6, 9, 12]


async def test_a_thread_out_of_time_is_given_up(clock, caplog) -> None:
    """Its late result is reported and counts for nothing; a new attempt counts."""
    release, ended = threading.Event(), threading.Event()
    begun, told = threading.Event(), threading.Event()
    caplog.set_level(logging.INFO, "flowkit")
    caplog.handler.addFilter(
        lambda record: "after it was" not in record.getMessage() or told.set() or True
    )

    class Blocks(Flow):
        @start(timeout=10, retry=Retry(2, first=0))
        def fetch(self):
            self.state["by"] = self.attempt
            if self.attempt > 1:
                return "second"
            begun.set()
            release.wait(50)
            self.state["by"] = "late"
            ended.set()
            return "first"

    flow = Blocks()
    async with anyio.create_task_group() as group:

        async def go():
            assert await flow.kickoff_async() == "second"

        group.start_soon(go)
        await in_thread(begun)
        clock.advance(10)
    release.set()
    await in_thread(ended)
    assert flow.state["by"] == 2
    await in_thread(told)
    assert "Blocks.fetch ended after it was cancelled; its result 'first'" in (
        caplog.text
    )


async def test_a_heartbeat_ends_a_thread_that_was_given_up(clock) -> None:
    """So a loop that beats stops soon after its time."""
    begun, ended = threading.Event(), threading.Event()
    caught = []

    class Blocks(Flow):
        @start()
        async def begin(self):
            return None

        @listen(begin)
        async def beside(self):
            await anyio.lowlevel.checkpoint()

        @listen(begin, timeout=10)
        def fetch(self):
            try:
                while True:
                    self.heartbeat()
                    begun.set()
            except StepTimeoutError as error:
                caught.append(str(error))
                raise
            finally:
                ended.set()

    async with anyio.create_task_group() as group:

        async def go():
            with pytest.raises(StepTimeoutError, match="its timeout of 10s"):
                await Blocks().kickoff_async()

        group.start_soon(go)
        await in_thread(begun)
        clock.advance(10)
    await in_thread(ended)
    assert caught == [
        "Blocks.fetch was given up: its time was over, or its run. It ends here."
    ]


async def test_other_steps_of_a_worker_go_on(clock) -> None:
    """A step that is ended takes nothing with it."""

    class Several(Flow):
        @start(timeout=5)
        async def stuck(self):
            await anyio.sleep_forever()

        @start()
        async def one(self):
            await self.sleep(8)
            return "one"

        @listen(stuck.timeout)
        async def instead(self):
            await self.sleep(1)
            return "instead"

        @listen(and_(one, instead))
        def both(self):
            return "both"

    async with anyio.create_task_group() as group:

        async def go():
            assert await Several().kickoff_async() == "both"

        group.start_soon(go)
        await ticks(clock, 1, times=10)


async def test_a_step_that_swallows_its_end_has_failed_all_the_same(clock) -> None:
    """What it returns comes too late."""

    class Swallows(Flow):
        @start(timeout=5)
        async def fetch(self):
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                return "partial"

        @listen(fetch.timeout)
        def late(self):
            return "late"

    async with anyio.create_task_group() as group:

        async def go():
            assert await Swallows().kickoff_async() == "late"

        group.start_soon(go)
        await ticks(clock, 1, times=7)


async def test_a_run_that_is_cancelled_meanwhile_is_cancelled(clock) -> None:
    """The time of its step matters no more."""
    flow = Slow()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await ticks(clock, 1, times=3)
        flow.run.cancel()
        await ticks(clock, 1, times=30)
    assert flow.run.status == "cancelled"
    assert not flow.run.watches


def test_a_real_clock_ends_a_step(anyio_backend) -> None:
    """By the thread of the alarm, in a blocking kickoff, on either loop."""
    heard = threading.Event()

    class Real(Flow, backend=anyio_backend):
        @start(timeout="30ms", retry=Retry(9, first="10ms"))  # a slow machine's, too
        async def fetch(self):
            if self.attempt == 1:
                await anyio.sleep_forever()
            return "fetched"

        @listen(fetch, timeout="30ms")
        def block(self):
            heard.wait(50)

        @listen(block.timeout)
        def late(self):
            heard.set()
            return "late"

    assert Real().kickoff() == "late"


async def test_a_timeout_is_in_the_history(clock) -> None:
    """And read back from the store as what it was."""
    store = MemoryStore("memory:test")

    class Heard(Slow):
        @listen(Slow.fetch.timeout)
        def late(self, error):
            return "late"

    flow = Heard(store=store)
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await ticks(clock, 10, times=3)
    fetch, late = runs.history(flow.run.id, store=store)
    assert (fetch.outcome, type(fetch.error)) == ("failed", StepTimeoutError)
    assert late.output == "late"
    assert store.entries(flow.run.id)[1].kind == "fail"


@pytest.mark.parametrize("name", ["timeout", "total_timeout", "idle_timeout"])
def test_a_time_is_above_zero(name) -> None:
    """A limit of nothing would end every step."""
    text = f"{name} takes a length of time above zero, not 0."
    with pytest.raises(ValueError, match=f"^{text}$"):
        Policy(**{name: 0})
