from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Literal

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint

from flowkit import (
    Flow,
    FlowkitWarning,
    RunError,
    and_,
    event,
    listen,
    merge,
    or_,
    router,
    start,
)
from flowkit.runtime.loops import on_trio


def cancelled_class():
    """What this loop raises into a cancelled task."""
    return anyio.get_cancelled_exc_class()


async def test_routers_start_before_plain_listeners_before_label_listeners():
    """Decision 9: the order of starts among those that become ready together."""

    class Order(Flow):
        def __init__(self):
            super().__init__()
            self.seen = []

        @start()
        async def begin(self):
            self.seen.append("begin")

        @listen("left")
        async def on_label(self):
            self.seen.append("on_label")

        @listen(begin)
        async def plain(self):
            self.seen.append("plain")

        @router(begin)
        async def route(self) -> Literal["left"]:
            self.seen.append("route")
            return "left"

        @listen(route)
        async def after_route(self):
            self.seen.append("after_route")

    flow = Order()
    await flow.kickoff_async()
    assert flow.seen == ["begin", "route", "plain", "after_route", "on_label"]


def test_sync_steps_of_a_blocking_kickoff_run_in_the_callers_thread():
    """Without a loop, lone synchronous steps are called inline."""

    class Inline(Flow):
        @start()
        def first(self):
            return threading.current_thread()

        @listen(first)
        def second(self, first):
            return first, threading.current_thread()

    here = threading.current_thread()
    assert Inline().kickoff() == (here, here)


async def test_sync_steps_of_an_async_kickoff_run_in_worker_threads():
    """They never block the event loop, and see the caller's context variables."""
    variable = contextvars.ContextVar("variable")
    variable.set("mine")

    class Threaded(Flow):
        @start()
        def first(self):
            return threading.current_thread(), variable.get()

        @listen(first)
        async def middle(self, first):
            return first, threading.current_thread()

        @listen(middle)
        def last(self, middle):
            return (*middle, threading.current_thread(), variable.get())

    here = threading.current_thread()
    (one, got), two, three, also = await Threaded().kickoff_async()
    assert one is not here
    assert two is here
    assert three is not here
    assert got == also == "mine"


async def test_each_step_has_its_own_context():
    """What a step sets is not seen by other steps or by the caller."""
    variable = contextvars.ContextVar("variable", default="caller")

    class Isolated(Flow):
        @start()
        async def one(self):
            variable.set("one")
            await checkpoint()
            assert variable.get() == "one"

        @listen(one)
        def two(self):
            got = variable.get()
            variable.set("two")
            return got

        @listen(two)
        async def three(self, two):
            return two, variable.get()

    assert await Isolated().kickoff_async() == ("caller", "caller")
    assert variable.get() == "caller"
    assert Isolated().kickoff() == ("caller", "caller")
    assert variable.get() == "caller"


async def test_kickoff_inside_a_running_loop_runs_and_raises_as_it_is():
    """In a notebook or a web handler; the exception is the step's own, noted."""

    class OopsError(Exception):
        pass

    class Inside(Flow):
        @start()
        async def begin(self):
            await checkpoint()
            if self.state.get("fail"):
                raise OopsError("no")
            return "yes"

    assert Inside().kickoff() == "yes"
    flow = Inside()
    with pytest.raises(OopsError) as caught:
        flow.kickoff({"fail": True})
    assert caught.value.__notes__ == [
        f"flowkit: step Inside.begin, attempt 1, run {flow.run.id}"
    ]


async def test_a_failing_branch_cancels_and_joins_its_siblings():
    """The sibling's finally block has run, and nothing of it commits."""
    ended = []

    class Failing(Flow):
        @start()
        async def good(self):
            try:
                self.state["good"] = 1
                await anyio.sleep_forever()
            finally:
                ended.append("good")

        @start()
        async def bad(self):
            await checkpoint()
            self.state["bad"] = 1
            raise ValueError("bad")

        @listen(or_(good, bad))
        async def after(self):
            ended.append("after")

    flow = Failing()
    with pytest.raises(ValueError) as caught:
        await flow.kickoff_async()
    assert str(caught.value) == "bad"
    assert ended == ["good"]
    assert set(flow.state) == {"id"}
    assert flow.run.failures == [caught.value]
    assert flow.run.status == "failed"
    assert flow.run.outputs == []


async def test_several_failures_come_out_as_the_first_with_the_others_noted():
    """None is lost: all are in ``run.failures``."""

    class Several(Flow):
        @start()
        async def one(self):
            await self.begun.wait()
            raise ValueError("one")

        @start()
        async def two(self):
            try:
                await anyio.sleep_forever()
            except cancelled_class():
                raise KeyError("two") from None

        @start()
        async def three(self):
            try:
                self.begun.set()
                await anyio.sleep_forever()
            finally:
                raise TypeError("three")

    flow = Several()
    flow.begun = anyio.Event()
    with pytest.raises(ValueError) as caught:
        await flow.kickoff_async()
    assert {type(each) for each in flow.run.failures} == {
        ValueError,
        KeyError,
        TypeError,
    }
    assert flow.run.failures[0] is caught.value
    assert str(caught.value) == "one"
    notes = caught.value.__notes__
    assert notes[0] == f"flowkit: step Several.one, attempt 1, run {flow.run.id}"
    assert set(notes[1:]) == {
        "flowkit: meanwhile another branch failed: KeyError: 'two'",
        "flowkit: meanwhile another branch failed: TypeError: three",
    }


async def test_a_failed_listener_takes_the_failure():
    """``step.failed`` gets the exception; the run goes on and completes."""

    class Handled(Flow):
        @start()
        async def work(self):
            self.state["partial"] = 1
            raise ValueError("no")

        @listen("work.failed")
        async def mend(self, error):
            return repr(error), dict(self.state)

    flow = Handled()
    text, state = await flow.kickoff_async()
    assert text == "ValueError('no')"
    assert set(state) == {"id"}
    assert flow.run.status == "completed"
    assert flow.run.failures == []


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_keyboard_interrupt_of_a_sync_step_ends_the_run(blocking, kind):
    """It comes out as itself, the run is cancelled, nothing else runs."""
    seen = []

    class Interrupted(Flow):
        @start()
        def begin(self):
            raise kind("now")

        @start()
        async def beside(self):
            await checkpoint()

        @listen(begin)
        def after(self):
            seen.append("after")

    flow = Interrupted()
    with pytest.raises(kind, match=r"^now"):
        if blocking:
            flow.kickoff()
        else:
            await flow.kickoff_async()
    assert flow.run.status == "cancelled"
    assert not seen


@pytest.mark.parametrize("suspends", [True, False])
async def test_keyboard_interrupt_of_an_async_step_ends_the_run(suspends):
    """Siblings are cancelled and joined first."""
    seen = []

    class Interrupted(Flow):
        @start()
        async def beside(self):
            try:
                await anyio.sleep_forever()
            finally:
                seen.append("beside")

        @start()
        async def begin(self):
            if suspends:
                await checkpoint()
            raise KeyboardInterrupt("now")

        @listen(begin)
        def after(self):
            seen.append("after")

    flow = Interrupted()
    with pytest.raises(KeyboardInterrupt, match=r"^now"):
        await flow.kickoff_async()
    assert flow.run.status == "cancelled"
    assert seen == ["beside"]


class Endless(Flow):
    ended = ()

    @start()
    async def one(self):
        await self._forever("one")

    @start()
    async def two(self):
        await self._forever("two")

    async def _forever(self, name):
        self.state[name] = 1
        try:
            self.running.set()
            await anyio.sleep_forever()
        finally:
            self.ended = (*self.ended, name)


class Single(Flow):
    ended = ()

    @start()
    async def one(self):
        self.state["one"] = 1
        try:
            self.running.set()
            await anyio.sleep_forever()
        finally:
            self.ended = ("one",)


@pytest.mark.parametrize("kind", [Single, Endless])
async def test_cancelling_the_outer_scope_cancels_the_run(kind):
    """Steps are joined, no write is left, the cancellation goes on."""
    flow = kind()
    flow.running = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await flow.running.wait()
        group.cancel_scope.cancel()
    assert flow.ended
    assert flow.run.status == "cancelled"
    assert flow.run.over
    assert set(flow.state) == {"id"}
    assert type(flow.state).__name__ == "StateDict"
    assert flow.run.reason == "the task that ran it was cancelled"


@pytest.mark.parametrize("kind", [Single, Endless])
async def test_a_timeout_around_kickoff_cancels_the_run(
    kind, anyio_backend, monkeypatch
):
    """``asyncio.wait_for`` and ``trio.move_on_after`` work as with any coroutine."""
    flow = kind()
    flow.running = anyio.Event()
    if anyio_backend == "asyncio":
        loop = asyncio.get_running_loop()
        time = loop.time  # an hour passes once the steps are at work
        later = lambda: time() + 3600 * flow.running.is_set()  # noqa: E731
        monkeypatch.setattr(loop, "time", later)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flow.kickoff_async(), 60)
    else:

        async def hurry(scope):
            await flow.running.wait()
            scope.deadline = trio.current_time()

        async with trio.open_nursery() as nursery:
            with trio.move_on_after(60) as scope:
                nursery.start_soon(hurry, scope)
                await flow.kickoff_async()
        assert scope.cancelled_caught
    assert flow.ended
    assert flow.run.status == "cancelled"


async def test_an_outer_asyncio_task_is_cancelled(anyio_backend):
    """``task.cancel()`` ends in CancelledError and joins the steps."""
    if anyio_backend == "trio":
        pytest.skip("a verb of asyncio")
    flow = Endless()
    flow.running = anyio.Event()
    task = asyncio.create_task(flow.kickoff_async())
    await flow.running.wait()
    await checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(flow.ended) == ["one", "two"]
    assert flow.run.status == "cancelled"


async def test_steps_use_their_own_groups_scopes_timeouts_and_locks():
    """Across suspensions, beside others, without confusing the loop."""

    class Structured(Flow):
        def __init__(self):
            super().__init__()
            self.lock = anyio.Lock()
            self.done = []

        async def work(self, name):
            async with anyio.create_task_group() as group:
                group.start_soon(checkpoint)
                await checkpoint()
                async with self.lock:
                    await checkpoint()
                    with anyio.move_on_after(0.001) as scope:
                        await anyio.sleep_forever()
                    assert scope.cancelled_caught
                with anyio.CancelScope(shield=True):
                    await checkpoint()
                group.cancel_scope.cancel()
                await anyio.sleep_forever()
            with pytest.raises(TimeoutError), anyio.fail_after(0.001):
                await anyio.sleep_forever()
            self.done.append(name)

        @start()
        async def one(self):
            await self.work("one")

        @start()
        async def two(self):
            await self.work("two")

        @listen(one)
        async def three(self):
            await self.work("three")

        @listen(and_(two, three))
        async def four(self):
            await self.work("four")

    flow = Structured()
    await flow.kickoff_async()
    assert set(flow.done) == {"one", "two", "three", "four"}
    assert flow.done[-1] == "four"


async def test_asyncio_timeout_within_a_step(anyio_backend):
    """The loop's own primitives, too."""
    if anyio_backend == "trio":
        pytest.skip("primitives of asyncio")

    class Native(Flow):
        @start()
        async def one(self):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(10)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.sleep(10), 0.001)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(0, "slept"))
            return task.result()

        @start()
        async def two(self):
            return await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2))

        @listen(and_(one, two))
        async def both(self, one, two):
            return one, two

    assert await Native().kickoff_async() == ("slept", [1, 2])
    assert Native().kickoff() == ("slept", [1, 2])


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("suspends", [True, False])
async def test_a_step_that_raises_cancelled_error_itself_fails(
    anyio_backend, alone, suspends
):
    """Nobody cancelled it, so it is a failure like any other, and no hang."""
    if anyio_backend == "trio":
        pytest.skip("trio.Cancelled cannot be made by users")

    class Odd(Flow):
        @start()
        async def one(self):
            if suspends:
                await checkpoint()
            raise asyncio.CancelledError("odd")

        if not alone:

            @start()
            async def two(self):
                await anyio.sleep_forever()

    flow = Odd()
    with pytest.raises(asyncio.CancelledError):
        await flow.kickoff_async()
    assert flow.run.status == "failed"
    assert len(flow.run.failures) == 1


async def test_stop_ends_the_run_well_and_keeps_the_steps_writes():
    """Nothing after the call runs, the rest is cancelled, the result is given."""
    seen = []

    class Stopping(Flow):
        @start()
        async def endless(self):
            try:
                await anyio.sleep_forever()
            finally:
                seen.append("cancelled")

        @start()
        async def work(self):
            await checkpoint()
            self.state["done"] = 1
            self.stop("enough")
            seen.append("after stop")

        @listen(work)
        async def later(self):
            seen.append("later")

    flow = Stopping()
    assert await flow.kickoff_async() == "enough"
    assert flow.run.status == "completed"
    assert flow.run.result == "enough"
    assert flow.state["done"] == 1
    assert seen == ["cancelled"]


@pytest.mark.parametrize("style", ["blocking", "sync", "async"])
async def test_stop_and_abort_work_in_every_kind_of_step(style):
    """In the caller's thread, in a worker thread and on the loop."""

    class Base(Flow):
        @start()
        def first(self):
            return "first"

    if style == "async":

        class Ends(Base):
            @listen(Base.first)
            async def end(self):
                self.state["x"] = 1
                if self.state["verb"] == "stop":
                    self.stop("stopped")
                self.abort("why")

    else:

        class Ends(Base):
            @listen(Base.first)
            def end(self):
                self.state["x"] = 1
                if self.state["verb"] == "stop":
                    self.stop("stopped")
                self.abort("why")

    for verb, status, result in [
        ("stop", "completed", "stopped"),
        ("abort", "cancelled", None),
    ]:
        flow = Ends()
        inputs = {"verb": verb}
        if style == "blocking":
            got = flow.kickoff(inputs)
        else:
            got = await flow.kickoff_async(inputs)
        assert got == result
        assert flow.run.status == status
        assert ("x" in flow.state) is (verb == "stop")
        assert flow.run.reason == ("why" if verb == "abort" else "")


def test_stop_outside_a_step_is_refused():
    """One sentence says where it belongs."""

    class Idle(Flow):
        @start()
        def begin(self):
            pass

    flow = Idle()
    text = (
        "Idle.stop works within a step; no step of this object runs. Use it in a "
        "method that is a step."
    )
    with pytest.raises(RunError) as caught:
        flow.stop()
    assert str(caught.value) == text
    flow.kickoff()
    with pytest.raises(RunError) as caught:
        flow.stop()
    assert str(caught.value) == text


class Inner(Flow):
    @start()
    async def begin(self):
        await checkpoint()
        return "inner"


async def test_a_step_may_kick_off_another_flow():
    """Nested in async steps by await, in both kinds by the blocking form."""

    class Outer(Flow):
        @start()
        async def one(self):
            return await Inner().kickoff_async()

        @listen(one)
        def two(self, one):
            return one, Inner().kickoff()

        @listen(two)
        async def three(self, two):
            return (*two, Inner().kickoff())

    assert await Outer().kickoff_async() == ("inner",) * 3
    assert Outer().kickoff() == ("inner",) * 3


class SyncInner(Flow):
    @start()
    def begin(self):
        return "inner"


def test_nested_sync_flows_run_inline():
    """A synchronous step kicks off a synchronous flow in the same thread."""

    class Outer(Flow):
        @start()
        def one(self):
            return SyncInner().kickoff()

    assert Outer().kickoff() == "inner"


class Forever(Flow):
    @start()
    def begin(self):
        return Forever().kickoff()


class ForeverAsync(Flow):
    @start()
    async def begin(self):
        return await ForeverAsync().kickoff_async()


async def test_recursion_without_end_is_one_clear_sentence():
    """A RunawayError, a RecursionError, whichever way it goes deeper."""
    for attempt in (
        lambda: Forever().kickoff_async(),
        lambda: ForeverAsync().kickoff_async(),
    ):
        with pytest.raises(RecursionError) as caught:
            await attempt()
        name = type(caught.value).__name__
        assert name == "RunawayError"
        assert str(caught.value).endswith(
            " was kicked off inside itself or other flows more than 50 levels deep. "
            "Give the recursion an end: a step that does not kick off again."
        )
        assert str(caught.value).startswith("Forever")
    for kind in (Forever, ForeverAsync):
        with pytest.raises(RecursionError, match=r"^Forever.* more than 50 levels"):
            kind().kickoff()


def test_recursion_without_end_outside_a_loop():
    """The same from blocking code."""
    for kind in (Forever, ForeverAsync):
        with pytest.raises(RecursionError, match=r"^Forever.* more than 50 levels"):
            kind().kickoff()


async def test_a_second_kickoff_on_one_object_is_a_new_run():
    """All starts again; state and its id are kept."""

    class Counting(Flow):
        @start()
        async def begin(self):
            self.state["n"] = self.state.get("n", 0) + 1
            return self.state["n"]

    flow = Counting()
    assert await flow.kickoff_async() == 1
    first, same = flow.run, flow.flow_id
    assert await flow.kickoff_async() == 2
    assert flow.run is not first
    assert flow.flow_id == same
    assert flow.method_outputs == [2]


async def test_a_kickoff_after_a_failure_is_a_new_run():
    """What failed leaves nothing behind that hinders the next run."""

    class Once(Flow):
        fails = True

        @start()
        async def begin(self):
            await checkpoint()
            if self.fails:
                raise ValueError("once")
            return "fine"

    flow = Once()
    with pytest.raises(ValueError, match="once"):
        await flow.kickoff_async()
    flow.fails = False
    assert await flow.kickoff_async() == "fine"
    assert flow.run.failures == []


async def test_concurrent_kickoffs_of_one_object_are_refused():
    """One sentence says how to mend it; the first run is not harmed."""
    flow = Single()
    flow.running = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await flow.running.wait()
        with pytest.raises(RunError) as caught:
            await flow.kickoff_async()
        with pytest.raises(RunError):
            flow.kickoff()
        assert flow.run.status == "running"
        group.cancel_scope.cancel()
    assert str(caught.value) == (
        "This Single object runs already. Make one object for each run: "
        "Single().kickoff(..)"
    )


async def test_a_refused_second_kickoff_leaves_the_state_alone():
    """Its inputs are not merged into the state of the run that goes on."""

    class Guarded(Flow):
        @start()
        async def begin(self):
            try:
                await self.kickoff_async({"spoilt": True})
            except RunError:
                return dict(self.state)

    assert "spoilt" not in await Guarded().kickoff_async()


async def test_a_thousand_runs_at_once():
    """Each has its own state and its own context."""

    class Five(Flow):
        @start()
        async def one(self):
            self.state["n"] = self.state["i"]
            await checkpoint()

        @listen(one)
        async def two(self):
            self.state["n"] += 1

        @listen(one)
        async def three(self):
            await checkpoint()

        @listen(and_(two, three))
        async def four(self):
            self.state["n"] += 1

        @listen(four)
        async def five(self):
            return self.state["n"]

    results = {}

    async def one(index):
        results[index] = await Five().kickoff_async({"i": index})

    async with anyio.create_task_group() as group:
        for index in range(1000):
            group.start_soon(one, index)
    assert results == {index: index + 2 for index in range(1000)}


async def test_a_long_chain_that_never_suspends_does_not_starve_other_tasks():
    """5,000 steps let others run in between."""

    class Chain(Flow):
        max_method_calls = 5000
        turns = 0

        @start()
        async def begin(self):
            pass

        @router(or_(begin, "again"))
        async def turn(self):
            self.turns += 1
            return "again" if self.turns < 5000 else None

    ticks = 0
    over = False

    async def ticker():
        nonlocal ticks
        while not over:
            ticks += 1
            await checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(ticker)
        await Chain().kickoff_async()
        over = True
    assert ticks > 50


async def test_a_plain_function_that_returns_a_coroutine_is_awaited():
    """First step, later in a stretch of synchronous steps, or inline."""

    async def value(of):
        await checkpoint()
        return of

    class Hidden(Flow):
        @start()
        def one(self):
            return value(1)

        @listen(one)
        def two(self, one):
            return one + 1

        @listen(two)
        def three(self, two):
            return value(two + 1)

        @listen(three)
        def four(self, three):
            return three + 1

    assert await Hidden().kickoff_async() == 4
    assert Hidden().kickoff() == 4


def test_a_plain_function_that_returns_a_coroutine_is_awaited_inline():
    """Without a running loop, too; the exception is the step's own."""

    async def value(of):
        await checkpoint()
        return of

    async def fails():
        raise ValueError("mine")

    class Hidden(Flow):
        @start()
        def one(self):
            return value(1)

        @listen(one)
        def two(self, one):
            return value(one + 1)

        @listen(two)
        def three(self, two):
            return fails() if self.state.get("fail") else two

    assert Hidden().kickoff() == 2
    with pytest.raises(ValueError, match=r"^mine"):
        Hidden().kickoff({"fail": 1})


async def test_a_coroutine_of_a_plain_function_can_stop_and_fail():
    """stop() and an exception in it count as in an async step."""

    class Hidden(Flow):
        @start()
        def one(self):
            return 1

        @listen(one)
        def two(self):
            async def body():
                await checkpoint()
                self.state["x"] = 1
                if self.state["how"] == "stop":
                    self.stop("stopped")
                if self.state["how"] == "interrupt":
                    raise KeyboardInterrupt
                raise ValueError("no")

            return body()

        @listen(two)
        def three(self):
            return "not reached"

    for kick in (
        lambda flow, how: flow.kickoff_async({"how": how}),
        lambda flow, how: anyio.to_thread.run_sync(flow.kickoff, {"how": how}),
    ):
        flow = Hidden()
        assert await kick(flow, "stop") == "stopped"
        assert flow.state["x"] == 1
        flow = Hidden()
        with pytest.raises(ValueError, match=r"^no"):
            await kick(flow, "fail")
        assert "x" not in flow.state
        flow = Hidden()
        with pytest.raises(KeyboardInterrupt):
            await kick(flow, "interrupt")
        assert flow.run.status == "cancelled"


async def test_late_results_of_threads_are_fenced_off():
    """A cancelled synchronous step ends after all: its result does not count."""
    going, release = threading.Event(), threading.Event()

    class Late(Flow):
        @start()
        def slow(self):
            self.state["slow"] = 1
            going.set()
            release.wait(50)
            self.state["slow"] = 2
            ended.set()
            return "late"

        @start()
        async def bad(self):
            while not going.is_set():
                await checkpoint()
            raise ValueError("bad")

        @listen(slow)
        def after(self):
            raise AssertionError

    ended = threading.Event()
    flow = Late()
    with pytest.raises(ValueError, match="bad"):
        await flow.kickoff_async()
    assert "slow" not in flow.state
    release.set()
    assert ended.wait(50)
    assert "slow" not in flow.state
    assert flow.method_outputs == []


async def test_a_lone_late_thread_is_fenced_off_when_the_run_is_cancelled():
    """The step worked on the live state; afterwards it must not write there."""
    going, release, ended = (threading.Event() for _ in range(3))

    class Late(Flow):
        @start()
        def slow(self):
            self.state["slow"] = 1
            going.set()
            release.wait(50)
            try:
                self.state["slow"] = 2
                self.state["list"].append(2)
            finally:
                ended.set()

        @listen(slow)
        def after(self):
            raise AssertionError

    flow = Late()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async, {"list": [1]})
        while not going.is_set():
            await checkpoint()
        group.cancel_scope.cancel()
    assert "slow" not in flow.state
    release.set()
    assert ended.wait(50)
    assert "slow" not in flow.state
    assert flow.state["list"] == [1]
    assert flow.run.status == "cancelled"


async def test_print_output_is_not_swallowed(capsys):
    """Synchronous and async steps print where the caller prints."""

    class Talks(Flow):
        @start()
        def one(self):
            print("from a thread")

        @listen(one)
        async def two(self):
            print("from the loop")

    await Talks().kickoff_async()
    Talks().kickoff()
    assert capsys.readouterr().out == "from a thread\nfrom the loop\n" * 2


async def test_a_generator_is_an_output_like_any_other():
    """A step that returns one hands it on; nothing iterates it by the way."""

    def numbers():
        yield 1
        yield 2

    class Gives(Flow):
        @start()
        def make(self):
            return numbers()

        @listen(make)
        async def take(self, make):
            return list(make)

    assert await Gives().kickoff_async() == [1, 2]
    assert Gives().kickoff() == [1, 2]


NAMES = [
    "send", "run", "stop", "store", "merge", "start", "name", "result", "join",
    "abort", "initial_state", "max_method_calls", "flow_id", "method_outputs",
    "definition", "plot", "gather", "router", "listen", "event", "bus", "inputs",
    "loop", "context", "box", "scope", "firing", "outcome", "append", "backend",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_may_be_a_steps_name(name):
    """The engine reaches none of its services through a name users can take."""

    def first(self):
        return f"{name} ran"

    async def second(self, value):
        self.state["seen"] = value
        return value

    first.__name__ = name
    taken = start()(first)
    body = {name: taken, "second_step": listen(taken)(second)}
    kind = type("Named", (Flow,), body)
    assert await kind().kickoff_async() == f"{name} ran"
    assert kind().kickoff() == f"{name} ran"
    assert repr(kind()) == "<Named: not started>"


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_may_be_a_plain_attribute(name):
    """Set on the object after ``super().__init__()``, read in the steps."""

    class Named(Flow):
        def __init__(self):
            super().__init__()
            setattr(self, name, ["mine"])

        @start()
        async def begin_here(self):
            getattr(self, name).append("too")
            return getattr(self, name)

    assert await Named().kickoff_async() == ["mine", "too"]
    assert Named().kickoff() == ["mine", "too"]


@pytest.mark.parametrize("name", ["kickoff", "kickoff_async", "akickoff", "state"])
def test_four_names_are_refused(name):
    """A step must not hide what every caller uses."""
    with pytest.raises(ValueError) as caught:
        type("Bad", (Flow,), {name: start()(lambda self: None)})
    assert name in str(caught.value)


async def test_steps_run_on_the_very_object():
    """Plain attributes set in a step, also a parallel one, are seen by the caller."""

    class Plain(Flow):
        count: int = 0

        @start()
        async def one(self):
            self.count += 1
            self.one_set = True

        @start()
        def two(self):
            self.two_set = True

        @listen(and_(one, two))
        async def three(self):
            self.count += 1

    flow = Plain()
    await flow.kickoff_async()
    assert (flow.count, flow.one_set, flow.two_set) == (2, True, True)
    assert Plain.count == 0


async def test_parallel_async_branches_overlap():
    """Both have begun before either is over."""
    order = []

    class Overlap(Flow):
        @start()
        async def begin(self):
            pass

        @listen(begin)
        async def one(self):
            order.append("one begins")
            await checkpoint()
            await checkpoint()
            order.append("one ends")

        @listen(begin)
        async def two(self):
            order.append("two begins")
            await checkpoint()
            await checkpoint()
            order.append("two ends")

    await Overlap().kickoff_async()
    assert order[:2] == ["one begins", "two begins"]


async def test_parallel_sync_branches_overlap():
    """Each in a thread of its own, begun in creation order."""
    barrier = threading.Barrier(3, timeout=50)
    begun = []

    class Overlap(Flow):
        @start()
        def one(self):
            begun.append("one")
            barrier.wait()

        @start()
        def two(self):
            begun.append("two")
            barrier.wait()

        @start()
        def three(self):
            begun.append("three")
            barrier.wait()

    await Overlap().kickoff_async()
    assert begun == ["one", "two", "three"]
    begun.clear()
    Overlap().kickoff()
    assert begun == ["one", "two", "three"]


async def test_a_slow_branch_holds_up_no_other():
    """No superstep barrier: the fast branch runs to its end meanwhile."""
    order = []

    class Uneven(Flow):
        @start()
        async def slow(self):
            await self.go.wait()
            order.append("slow")

        @start()
        async def fast(self):
            await checkpoint()
            order.append("fast")

        @listen(fast)
        async def faster(self):
            order.append("faster")

        @listen(faster)
        def fastest(self):
            order.append("fastest")
            return 1

        @listen(fastest)
        async def release(self):
            self.go.set()

    flow = Uneven()
    flow.go = anyio.Event()
    await flow.kickoff_async()
    assert order == ["fast", "faster", "fastest", "slow"]


async def test_merge_overlaps_firings_of_one_step():
    """A method may have several firings at once."""
    together = []

    class Many(Flow):
        inside = 0

        @start()
        async def one(self):
            pass

        @start()
        async def two(self):
            pass

        @listen(merge(one, two))
        async def each(self):
            self.inside += 1
            await checkpoint()
            await checkpoint()
            together.append(self.inside)
            self.inside -= 1

    await Many().kickoff_async()
    assert together[0] == 2


async def test_cancel_from_another_task_ends_the_run():
    """run.cancel() joins the steps; kickoff gives None."""
    flow = Endless()
    flow.running = anyio.Event()
    results = []

    async def kick():
        results.append(await flow.kickoff_async())

    async with anyio.create_task_group() as group:
        group.start_soon(kick)
        await flow.running.wait()
        await checkpoint()
        flow.run.cancel("asked")
    assert results == [None]
    assert sorted(flow.ended) == ["one", "two"]
    assert flow.run.status == "cancelled"
    assert flow.run.reason == "asked"


async def test_cancel_from_another_thread_ends_a_lone_step():
    """A flow of one step has no group open; cancel reaches it all the same."""
    flow = Single()
    flow.running = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await flow.running.wait()
        await anyio.to_thread.run_sync(flow.run.cancel)
    assert flow.ended == ("one",)
    assert flow.run.status == "cancelled"


async def test_a_run_may_go_on_in_another_loop():
    """Begun on one loop, it waits, and goes on in blocking code or on another."""

    class Waits(Flow):
        @start()
        async def begin(self):
            await checkpoint()

        @listen(event("go"))
        async def on_go(self, payload):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0)
            return payload

        @listen(event("sync"))
        def on_sync(self, payload):
            return anyio.run(anyio.sleep, 0, backend="asyncio"), payload

    flow = Waits()
    await flow.kickoff_async()
    await anyio.to_thread.run_sync(flow.send, "go", 1)
    await anyio.to_thread.run_sync(flow.send, "sync", 2)
    assert flow.run.result == (None, 2)


async def test_a_cancel_before_the_first_suspension_is_not_lost():
    """What comes from a thread while a step runs is looked at when it suspends."""

    class Early(Flow):
        @start()
        async def begin(self):
            thread = threading.Thread(target=self.run_handle().cancel)
            thread.start()
            thread.join()
            await anyio.sleep_forever()

        def run_handle(self):
            return self.run

    flow = Early()
    assert await flow.kickoff_async() is None
    assert flow.run.status == "cancelled"


async def test_a_step_that_swallows_its_cancellation_commits_nothing():
    """Its writes are undone, its worker takes no other step along."""

    class Swallows(Flow):
        @start()
        async def stubborn(self):
            self.state["before"] = 1
            try:
                self.running.set()
                await anyio.sleep_forever()
            except cancelled_class():
                self.state["after"] = 1
            return "late"

        @start()
        async def bad(self):
            await self.running.wait()
            raise ValueError("bad")

        @listen(stubborn)
        async def never(self):
            raise AssertionError

    flow = Swallows()
    flow.running = anyio.Event()
    with pytest.raises(ValueError, match="bad"):
        await flow.kickoff_async()
    assert set(flow.state) == {"id"}
    assert flow.method_outputs == []


async def test_stop_from_a_thread_beside_others():
    """A synchronous step beside an async one ends the run well, on the loop."""
    seen = []

    class Stops(Flow):
        @start()
        async def endless(self):
            try:
                await anyio.sleep_forever()
            finally:
                seen.append(threading.current_thread())

        @start()
        def work(self):
            self.state["x"] = 1
            if self.state["verb"] == "stop":
                self.stop("enough")
            self.abort("why")

    for verb in ("stop", "abort"):
        flow = Stops()
        got = await flow.kickoff_async({"verb": verb})
        assert got == ("enough" if verb == "stop" else None)
        assert flow.run.status == ("completed" if verb == "stop" else "cancelled")
        assert ("x" in flow.state) is (verb == "stop")
    assert seen == [threading.current_thread()] * 2


async def test_a_swallowed_stop_counts_all_the_same():
    """The decision is recorded before the raise."""

    class Swallows(Flow):
        @start()
        def begin(self):
            try:
                self.stop("first")
            except BaseException:
                return "swallowed"

        @listen(begin)
        async def never(self):
            raise AssertionError

    flow = Swallows()
    assert await flow.kickoff_async() == "first"
    assert flow.run.status == "completed"
    assert Swallows().kickoff() == "first"


async def test_an_event_reaches_a_run_whose_thread_is_busy():
    """A listener of an outside event does not wait for a synchronous step."""
    heard = threading.Event()
    begun = threading.Event()

    class Hears(Flow):
        @start()
        def slow(self):
            begun.set()
            assert heard.wait(50)
            self.state["slow"] = 1
            return "slow"

        @listen(event("ping"))
        async def on_ping(self, payload):
            self.state["ping"] = payload
            heard.set()

        @listen(and_(slow, on_ping))
        def last(self):
            self.stop((self.state["slow"], self.state["ping"]))

    flow = Hears()
    results = []

    async def kick():
        results.append(await flow.kickoff_async())

    async with anyio.create_task_group() as group:
        group.start_soon(kick)
        while not begun.is_set():
            await checkpoint()
        assert flow.send("ping", 5)
    assert results == [(1, 5)]


async def test_a_stretch_of_sync_steps_can_be_cancelled_in_its_middle():
    """Later steps of one thread hop are cancelled as the first is."""
    going, release = threading.Event(), threading.Event()

    class Long(Flow):
        @start()
        def one(self):
            self.state["one"] = 1

        @listen(one)
        def two(self):
            self.state["two"] = 1
            going.set()
            release.wait(50)

        @listen(two)
        def three(self):
            raise AssertionError

    flow = Long()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        while not going.is_set():
            await checkpoint()
        flow.run.cancel("enough")
    release.set()
    assert flow.run.status == "cancelled"
    assert set(flow.state) == {"id", "one"}


async def test_a_thread_that_was_given_up_can_harm_no_later_run():
    """It neither writes into nor stops the next run on the same object."""
    going, release, ended = (threading.Event() for _ in range(3))

    class Late(Flow):
        first = True

        @start()
        def work(self):
            if not self.first:
                return self.state.get("late")
            going.set()
            release.wait(50)
            self.state["late"] = 1
            try:
                self.stop("late")
            finally:
                ended.set()

    flow = Late()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        while not going.is_set():
            await checkpoint()
        flow.run.cancel()
    flow.first = False
    assert await flow.kickoff_async() is None
    release.set()
    assert ended.wait(50)
    assert flow.run.status == "completed"
    assert "late" not in flow.state


async def test_a_flow_without_steps_gives_none():
    """A Flow class without steps or without a start is legal."""

    class Empty(Flow):
        pass

    with pytest.warns(FlowkitWarning):

        class NoStart(Flow):
            @listen("x")
            def never(self):
                raise AssertionError

    for kind in (Empty, NoStart):
        assert await kind().kickoff_async() is None
        assert kind().kickoff() is None


async def test_a_waiting_flow_is_driven_on_by_send():
    """Kickoff returns the handle; send takes it to its end."""

    class Waits(Flow):
        @start()
        async def begin(self):
            return "begun"

        @listen(event("go"))
        async def on_go(self, payload):
            return payload

    flow = Waits()
    handle = await flow.kickoff_async()
    assert handle is flow.run
    assert handle.status == "waiting"
    assert handle.awaits == ("go",)
    assert flow.send("go", 3)
    assert flow.run.result == 3


def test_on_trio_is_told():
    """Without a loop there is none."""
    assert not on_trio()
