"""Steps that are tried again: which errors, when, how often, and after a restart."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from flowkit import (
    Flow,
    Policy,
    Retry,
    RunawayError,
    and_,
    listen,
    or_,
    router,
    runs,
    signals,
    start,
)
from flowkit.core.records import StepDeferred
from flowkit.runtime.resumption import resume, resume_async
from tests.runtime.stored import MemoryStore, crashed, flow_named
from tests.runtime.ticking import ticks

FLAT = {"factor": 1, "jitter": "none"}


def flaky(fails, retry, error=OSError, *, record=None, is_async=False):
    """A flow whose step fails so often, noting the time of each attempt."""
    from flowkit.runtime.clock import now

    times = [] if record is None else record

    def attempt(self):
        times.append(now())
        if len(times) <= fails:
            raise error(f"no {len(times)}")
        return f"after {len(times)}"

    class Flaky(Flow):
        if is_async:

            @start(retry=retry)
            async def call(self):
                return attempt(self)

        else:

            @start(retry=retry)
            def call(self):
                return attempt(self)

        @listen(call)
        def use(self, got):
            return f"used {got}"

    Flaky.times = times
    return Flaky


@pytest.mark.parametrize("is_async", [False, True])
def test_a_failed_step_is_tried_again_at_once(is_async) -> None:
    """A wait of nothing needs no clock; the listener hears the good result."""
    cls = flaky(2, Retry(3, first=0), is_async=is_async)
    assert cls().kickoff() == "used after 3"


@pytest.mark.parametrize("store", [None, "memory"])
async def test_the_wait_doubles_up_to_the_longest(clock, store) -> None:
    """Not a tick earlier; a wait holds the run, not a step."""
    cls = flaky(4, Retry(5, first=10, most=30, jitter="none"), is_async=True)
    flow = cls() if store is None else cls(store=MemoryStore("memory:test"))
    async with anyio.create_task_group() as group:

        async def go():
            assert await flow.kickoff_async() == "used after 5"

        group.start_soon(go)
        await ticks(clock, 1, times=9)
        assert len(cls.times) == 1
        await ticks(clock, 1, times=200)
    assert [at - 1_000 for at in cls.times] == [0, 10, 30, 60, 90]


def test_an_error_that_is_not_meant_fails_the_run() -> None:
    """`on=` says which errors are worth another try."""
    cls = flaky(2, Retry(3, on=(OSError, KeyError), first=0), error=ZeroDivisionError)
    with pytest.raises(ZeroDivisionError, match="no 1"):
        cls().kickoff()
    assert len(cls.times) == 1


def test_a_function_says_whether_an_error_is_worth_it() -> None:
    """It is called with the error, once a failure."""
    seen = []

    def again(error):
        seen.append(str(error))
        return len(seen) < 2

    cls = flaky(9, Retry(5, on=again, first=0))
    with pytest.raises(OSError, match="no 2"):
        cls().kickoff()
    assert seen == ["no 1", "no 2"]


def test_a_function_that_cannot_say_means_no() -> None:
    """The error comes out as it was, telling so."""

    def confused(error):
        raise KeyError("status")

    cls = flaky(9, Retry(5, on=confused, first=0))
    with pytest.raises(OSError, match="no 1") as caught:
        cls().kickoff()
    assert caught.value.__notes__[1] == (
        "flowkit: Retry(on=confused) could not say whether to try again: "
        "KeyError: 'status'"
    )


def test_the_last_error_comes_out_with_the_count() -> None:
    """Each attempt is noted, and that it was the last one."""
    cls = flaky(9, Retry(3, first=0))
    flow = cls()
    with pytest.raises(OSError, match="no 3") as caught:
        flow.kickoff()
    assert caught.value.__notes__ == [
        f"flowkit: step Flaky.call, attempt 3, run {flow.run.id}",
        "flowkit: given up after 3 attempts",
    ]


def test_an_error_of_flowkit_is_not_tried_again() -> None:
    """A router that returns a wrong label does so the next time, too."""
    from flowkit.errors import RouteError

    times = []

    class Routes(Flow):
        @router(emit=["a"], retry=Retry(5, first=0))
        @start()
        def choose(self):
            times.append(1)
            return "b"

        @listen("a")
        def go(self):
            return None

    with pytest.raises(RouteError):
        Routes().kickoff()
    assert len(times) == 1


class Busy(OSError):
    """As an HTTP client raises it."""

    def __init__(self, wait):
        super().__init__("busy")
        self.response = type("Response", (), {"headers": {"Retry-After": wait}})()


@pytest.mark.parametrize(
    ("wait", "after"),
    [("7", 7), ("Thu, 01 Jan 1970 00:16:49 GMT", 9), ("soon", 1), ("1", 1)],
)
async def test_the_wait_that_a_server_asks_for_is_heeded(clock, wait, after) -> None:
    """Seconds or a date; what is no time is passed over."""
    cls = flaky(
        1, Retry(2, first=1, jitter="none"), error=lambda _: Busy(wait), is_async=True
    )
    async with anyio.create_task_group() as group:
        group.start_soon(cls().kickoff_async)
        await ticks(clock, 1, times=12)
    assert [at - 1_000 for at in cls.times] == [0, after]


async def test_a_wait_of_the_error_itself_is_heeded(clock) -> None:
    """`error.retry_after`, as seconds or a timedelta."""

    class Later(Exception):
        retry_after = timedelta(seconds=20)

    cls = flaky(1, Retry(2, first=1), error=Later, is_async=True)
    async with anyio.create_task_group() as group:
        group.start_soon(cls().kickoff_async)
        await ticks(clock, 1, times=25)
    assert [at - 1_000 for at in cls.times] == [0, 20]


async def test_a_retry_waits_beside_a_step_at_work(clock) -> None:
    """Its time is kept although the other branch runs on."""
    times = []
    release = anyio.Event()

    class Beside(Flow):
        @start()
        async def begin(self):
            return 1

        @listen(begin, retry=Retry(2, first=5, **FLAT))
        async def flaky(self):
            from flowkit.runtime.clock import now

            times.append(now() - 1_000)
            if len(times) == 1:
                raise OSError("once")
            return "flaky"

        @listen(begin)
        async def slow(self):
            await release.wait()
            return "slow"

        @listen(and_(flaky, slow))
        def both(self):
            return "both"

    async with anyio.create_task_group() as group:

        async def go():
            assert await Beside().kickoff_async() == "both"

        group.start_soon(go)
        await ticks(clock, 1, times=6)
        assert times == [0, 5]
        release.set()


async def test_two_retries_wait_side_by_side(clock) -> None:
    """Each by its own time, with nothing else at work."""
    seen = []

    class Two(Flow):
        @start(retry=Retry(2, first=5, **FLAT))
        async def first(self):
            return self.tried("first")

        @start(retry=Retry(2, first=3, **FLAT))
        async def second(self):
            return self.tried("second")

        @listen(and_(first, second))
        def both(self):
            return "both"

        def tried(self, name):
            from flowkit.runtime.clock import now

            seen.append((name, now() - 1_000))
            if [each for each, _ in seen].count(name) == 1:
                raise OSError(name)

    async with anyio.create_task_group() as group:

        async def go():
            assert await Two().kickoff_async() == "both"

        group.start_soon(go)
        await ticks(clock, 1, times=6)
    assert sorted(seen) == [("first", 0), ("first", 5), ("second", 0), ("second", 3)]


def test_what_an_attempt_changed_is_forgotten() -> None:
    """The next one begins on the state as committed."""

    class Counts(Flow):
        @start(retry=Retry(3, first=0))
        def count(self):
            self.state["n"] = self.state.get("n", 0) + 1
            if self.attempt < 3:
                raise OSError
            return self.state["n"]

    flow = Counts()
    assert flow.kickoff() == 1
    assert flow.state["n"] == 1


class Keeps(Flow):
    """Fails once, far from its next attempt."""

    times = []

    @start()
    def begin(self):
        return "begun"

    @listen(begin, retry=Retry(5, first="1h", **FLAT))
    def charge(self):
        from flowkit.runtime.clock import now

        Keeps.times.append((now(), self.attempt))
        if len(Keeps.times) < 3:
            raise OSError("not yet")
        return "charged"


flow_named(Keeps)


@pytest.fixture
def keeps(clock):
    """A stored run that waits for an attempt an hour away."""
    Keeps.times.clear()
    store = MemoryStore("memory:test")
    run = Keeps(store=store).kickoff()
    assert run.status == "waiting"
    return store, run


def test_a_long_wait_is_a_row(clock, keeps) -> None:
    """Nothing stays in memory; the row says when it goes on."""
    store, run = keeps
    info = runs.get(run.id, store=store)
    assert (info.status, info.due) == ("waiting", 1_000 + 3_600)
    assert [*run.ready, *run.scopes, *run.parked] == []


def test_a_retry_goes_on_in_another_process(clock, keeps) -> None:
    """Where it stood: too early it waits on, at its time it is tried."""
    store, run = keeps
    again = resume(run.id, store=store)
    assert again.status == "waiting"
    assert Keeps.times == [(1_000, 1)]
    clock.advance(3_600)
    resume(run.id, store=store)
    clock.advance(3_600)
    assert resume(run.id, store=store) == "charged"
    assert Keeps.times == [(1_000, 1), (4_600, 2), (8_200, 3)]
    (begin, charge) = runs.history(run.id, store=store)
    assert (begin.attempt, charge.attempt) == (1, 3)
    assert [
        (each.why, str(each.error), each.at, each.due) for each in charge.deferrals
    ] == [("retry", "not yet", 1_000, 4_600), ("retry", "not yet", 4_600, 8_200)]


def test_a_crash_in_an_attempt_is_no_failure(clock, keeps) -> None:
    """It starts again as a further attempt, and keeps its retries."""
    store, run = keeps
    clock.advance(3_600)
    resume(run.id, store=store)
    rows = store.entries(run.id)
    answer = next(each.seq for each in rows if each.kind == "answer")
    copy = crashed(store, run.id, answer, "copy")
    Keeps.times[1:] = []
    clock.advance(0)
    resume(copy, store=store)
    assert Keeps.times == [(1_000, 1), (4_600, 3)]


async def test_every_prefix_of_its_journal_goes_on(clock, keeps) -> None:
    """Wherever a crash cuts it off, it ends alike."""
    store, run = keeps
    for _ in range(2):
        clock.advance(3_600)
        await resume_async(run.id, store=store)
    last = store.run(run.id).seq
    for seq in range(1, last):
        Keeps.times[:] = []
        copy = crashed(store, run.id, seq, f"copy {seq}")
        outcome = None
        for _ in range(4):
            outcome = await resume_async(copy, store=store)
            if outcome == "charged":
                break
            clock.advance(3_600)
        assert outcome == "charged"


def test_a_retry_is_told(clock) -> None:
    """A signal says why it begins again, and when."""
    told = []
    cls = flaky(1, Retry(2, first=0))

    def hear(sender, run, **said):
        told.append(said)

    with signals.step_deferred.connected_to(hear, sender=cls):
        cls().kickoff()
    error = told[0].pop("error")
    assert str(error) == "no 1"
    assert told == [
        {
            "step": "call",
            "firing": 1,
            "attempt": 1,
            "why": "retry",
            "due": 1_000.0,
            "metrics": {},
        }
    ]


def test_a_loop_with_a_retry_keeps_its_bound() -> None:
    """What answers a wait from outside begins the count anew; a retry does not."""

    class Turns(Flow):
        @start()
        def begin(self):
            return 0

        @router(
            or_(begin, "again"),
            emit=["again"],
            max_firings=5,
            retry=Retry(2, first="1ms", **FLAT),
        )
        def turn(self):
            if self.attempt == 1:
                raise OSError
            return "again"

    with pytest.raises(RunawayError, match="more than 5 times"):
        Turns().kickoff()


def test_the_records_tell_each_attempt() -> None:
    """With the count, so that a replay needs nothing else."""
    flow = flaky(2, Retry(3, first=0))()
    flow.kickoff()
    found = [each for each in flow.run.records if type(each) is StepDeferred]
    assert [(each.why, each.tries) for each in found] == [("retry", 1), ("retry", 2)]


def test_a_step_overrides_the_defaults_of_its_class() -> None:
    """What it does not say it takes from the class, and that from its base."""

    class Base(Flow, defaults=Policy(retry=2)):
        @start()
        def plain(self):
            return None

        @listen(plain, retry=Retry(4, first=0))
        def own(self):
            return None

    class Inherits(Base):
        pass

    class Says(Base, defaults=Policy(retry=5)):
        pass

    def texts(cls):
        from flowkit.runtime.kinds import known

        steps = known[cls].compiled.definition.steps
        return {step.name: dict(step.policies)["retry"] for step in steps}

    two = "2 attempts, wait 1s, x2 up to 1m"
    four = "4 attempts, wait 0s, x2 up to 1m"
    assert texts(Base) == texts(Inherits) == {"plain": two, "own": four}
    assert texts(Says) == {"plain": "5 attempts, wait 1s, x2 up to 1m", "own": four}


def test_a_failed_run_that_is_resumed_has_all_its_attempts(clock, keeps) -> None:
    """What was given up begins anew: the person who resumes has mended something."""
    store, _ = keeps

    class Gone(Flow):
        tries = []

        @start(retry=Retry(2, first="1h"))
        def call(self):
            self.tries.append(self.attempt)
            raise OSError("gone")

    flow_named(Gone)
    run = Gone(store=store).kickoff()
    clock.advance(3_600)
    with pytest.raises(OSError, match="gone"):
        resume(run.id, store=store)
    assert resume(run.id, store=store).status == "waiting"
    clock.advance(3_600)
    with pytest.raises(OSError, match="gone"):
        resume(run.id, store=store)
    assert Gone.tries == [1, 2, 3, 4]


async def test_a_good_answer_is_given_to_the_next_attempt(clock) -> None:
    """A bad one, and what came after it, is asked for again."""
    asked = []

    class Pays(Flow):
        @start()
        async def begin(self):
            asked.append("called")
            if len(asked) < 3:
                raise OSError("sub-flow")
            return "paid"

    class Calls(Flow):
        @start(retry=Retry(3, first=0))
        async def go(self):
            await self.sleep(10)
            asked.append("slept")
            return await self.call(Pays)

    async with anyio.create_task_group() as group:

        async def go():
            assert await Calls().kickoff_async() == "paid"

        group.start_soon(go)
        await ticks(clock, 5, times=3)
    assert asked == ["slept", "called", "slept", "called"]


def test_an_attempt_that_is_tried_again_is_logged(caplog) -> None:
    """With its traceback, which the record does not keep: it would keep the frames."""
    flow = flaky(1, Retry(2, first=0))()
    with caplog.at_level("INFO", "flowkit"):
        flow.kickoff()
    (line,) = (each for each in caplog.records if "tried again" in each.message)
    assert line.message == "Flaky.call failed at attempt 1 and is tried again in 0s"
    assert line.exc_info[0] is OSError
    (record,) = (each for each in flow.run.records if type(each) is StepDeferred)
    assert record.error.__traceback__ is None
