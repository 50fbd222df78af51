"""Runs that must be over by a time, and what they call with them."""

from __future__ import annotations

import threading

import anyio
import pytest

from flowkit import Flow, Retry, event, listen, resume, runs, start
from flowkit.errors import DeadlineError
from flowkit.runtime.clock import now
from tests.runtime.stored import MemoryStore, flow_named
from tests.runtime.ticking import ticks


class Slow(Flow, deadline="10s"):
    """Works for ever."""

    @start()
    async def begin(self):
        return "begun"

    @listen(begin)
    async def work(self):
        await anyio.sleep_forever()

    @listen(work)
    def after(self):
        return "after"


async def failed(flow, outcomes):
    try:
        outcomes.append(await flow.kickoff_async())
    except Exception as error:
        outcomes.append((now() - 1_000, error))


@pytest.mark.parametrize("store", [None, "memory"])
async def test_a_run_fails_at_its_deadline(clock, store) -> None:
    """What is at work is cancelled; the error says what that was."""
    flow = Slow() if store is None else Slow(store=MemoryStore("memory:test"))
    outcomes = []
    async with anyio.create_task_group() as group:
        group.start_soon(failed, flow, outcomes)
        await ticks(clock, 1, times=12)
    ((at, error),) = outcomes
    assert at == 10
    assert type(error) is DeadlineError
    assert isinstance(error, TimeoutError)
    assert str(error) == (
        "Slow was not over at its deadline, 10s after it began; work was not done. "
        "Give it more time (deadline=), or find out what it waits for."
    )
    assert flow.run.status == "failed"


async def test_a_run_in_time_is_left_alone(clock) -> None:
    """Its alarm goes with it."""

    class Quick(Flow, deadline=10):
        @start()
        async def go(self):
            await self.sleep(9)
            return "done"

    outcomes = []
    flow = Quick()
    async with anyio.create_task_group() as group:
        group.start_soon(failed, flow, outcomes)
        await ticks(clock, 1, times=30)
    assert outcomes == ["done"]
    assert flow.run.alarm is None


@pytest.mark.parametrize("deadline", [None, "1h", "5s"])
async def test_a_deadline_is_handed_down(clock, deadline) -> None:
    """To what a step kicks off or calls; the earlier one counts."""

    class Inner(Flow, deadline=deadline):
        @start()
        async def work(self):
            await anyio.sleep_forever()

    class Outer(Flow, deadline=10):
        @start()
        async def go(self):
            await inner.kickoff_async()

    outcomes = []
    inner, outer = Inner(), Outer()
    async with anyio.create_task_group() as group:
        group.start_soon(failed, outer, outcomes)
        await ticks(clock, 1, times=12)
    ((at, error),) = outcomes
    cure = "Give it more time (deadline=), or find out what it waits for."
    whose, told = (
        "the deadline of the run that called it",
        "Outer was not over at its deadline, 10s after it began; go was not done. ",
    )
    if deadline == "5s":
        whose = "its deadline, 5s after it began"
        told = f"Inner was not over at {whose}; work was not done. "
    assert (at, type(error)) == (5 if deadline == "5s" else 10, DeadlineError)
    assert str(error) == told + cure
    (inner_error,) = inner.run.failures
    assert (
        str(inner_error) == f"Inner was not over at {whose}; work was not done. {cure}"
    )
    assert (inner.run.status, outer.run.status) == ("failed", "failed")


async def test_a_wait_between_attempts_ends_at_the_deadline(clock) -> None:
    """Though the next attempt is later."""

    class Tries(Flow, deadline=10):
        @start(retry=Retry(3, first=60, jitter="none"))
        async def go(self):
            raise OSError

    outcomes = []
    async with anyio.create_task_group() as group:
        group.start_soon(failed, Tries(), outcomes)
        await ticks(clock, 1, times=12)
    assert [(at, type(error)) for at, error in outcomes] == [(10, DeadlineError)]


async def test_a_deadline_compensates(clock) -> None:
    """Undoing takes the time it takes."""
    log = []

    class Trip(Flow, deadline=10, on_error="compensate"):
        async def undo(self, made):
            await self.sleep(20)
            log.append((made, now() - 1_000))

        @start(undo=undo)
        async def book(self):
            return "booked"

        @listen(book)
        async def wait(self):
            await anyio.sleep_forever()

    flow, outcomes = Trip(), []
    async with anyio.create_task_group() as group:
        group.start_soon(failed, flow, outcomes)
        await ticks(clock, 1, times=35)
    assert log == [("booked", 30)]
    assert flow.run.status == "compensated"
    assert type(outcomes[0][1]) is DeadlineError


class Waits(Flow, deadline="10s"):
    """Waits for an event, far away."""

    @start()
    def begin(self):
        return None

    @listen(event("paid"))
    def paid(self, payload):
        return payload


flow_named(Waits)


def test_a_stored_run_that_waits_fails_when_it_is_looked_at(clock) -> None:
    """Its row says when; resumed, it has its whole time again."""
    store = MemoryStore("memory:test")
    run = Waits(store=store).kickoff()
    assert runs.get(run.id, store=store).due == 1_010
    clock.advance(10)
    with pytest.raises(DeadlineError, match="; it waited for paid. Give"):
        resume(run.id, store=store)
    assert runs.get(run.id, store=store).status == "failed"
    assert resume(run.id, store=store).status == "waiting"
    assert runs.get(run.id, store=store).due == 1_020


def test_a_run_in_memory_that_waits_gives_its_handle(clock) -> None:
    """A deadline alone keeps no kickoff waiting."""
    flow = Waits()
    assert flow.kickoff().status == "waiting"
    clock.advance(5)
    flow.send("paid", 7)
    assert flow.run.result == 7


def test_a_blocking_step_is_given_up_at_the_deadline(anyio_backend) -> None:
    """In a blocking kickoff, by the real clock."""
    release = threading.Event()

    class Blocks(Flow, deadline="50ms", backend=anyio_backend):
        @start()
        def go(self):
            release.wait(50)

    with pytest.raises(DeadlineError, match="go was not done"):
        Blocks().kickoff()
    release.set()


def test_a_subclass_keeps_the_deadline() -> None:
    """Unless it says another one."""
    from flowkit.runtime.kinds import known

    class Sub(Slow):
        pass

    class Other(Slow, deadline=5):
        pass

    assert (known[Sub].deadline, known[Other].deadline) == (10, 5)
