"""Policies of steps that a function flow calls: attempts, times, limits, stand-ins."""

from __future__ import annotations

import anyio
import pytest

from flowkit import (
    INPUTS,
    Breaker,
    Bulkhead,
    Cache,
    Policy,
    Rate,
    Retry,
    TryAgain,
    runs,
)
from flowkit.errors import BreakerOpenError, StepTimeoutError
from flowkit.functions import (
    attempt,
    flow,
    heartbeat,
    metric,
    sleep,
    step,
    together,
    wait_for,
)
from flowkit.observe.insight import insights
from flowkit.runtime import signals
from flowkit.runtime.clock import ManualClock, use_clock
from flowkit.runtime.resumption import resume_async
from tests.runtime.stored import MemoryStore, crashed


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


async def ticks(clock, seconds, times=1):
    """Let time pass, and what is due then happen."""
    for _ in range(times):
        await anyio.wait_all_tasks_blocked()
        clock.advance(seconds)
    await anyio.wait_all_tasks_blocked()


QUICK = Retry(3, first=0)
SLOW = Retry(3, first="10s", jitter="none")


def failing(times, retry=QUICK, **more):
    """A function flow whose step fails so often, and what it saw."""
    log = []

    @step(retry=retry, **more)
    async def fetch(url):
        log.append((url, attempt()))
        if len(log) <= times:
            raise OSError(f"no {len(log)}")
        return f"page of {url}"

    @step
    async def shout(text):
        log.append("shout")
        return text.upper()

    @flow(name="digest")
    async def digest(url: str):
        return await shout(await fetch(url))

    digest.log = log
    digest.flow_class.__module__ = __name__
    digest.flow_class.__qualname__ = "digest"
    globals()["digest"] = digest
    return digest


@pytest.mark.parametrize("store", [None, "memory"])
async def test_a_called_step_is_tried_again(store) -> None:
    """It knows which try it is; the function sees the result alone."""
    made = failing(2)
    store = store and MemoryStore("memory:test")
    assert await made.with_options(store=store).kickoff_async("a") == "PAGE OF A"
    assert made.log == [("a", 1), ("a", 2), ("a", 3), "shout"]


async def test_the_last_error_comes_out_and_says_why() -> None:
    """With its attempts; the function may catch it as any other."""
    made = failing(9)
    with pytest.raises(OSError, match="no 3") as caught:
        await made.kickoff_async("a")
    notes = [note.partition(", run")[0] for note in caught.value.__notes__]
    assert notes[:2] == [
        "flowkit: given up after 3 attempts",
        "flowkit: step digest.fetch, attempt 3",
    ]


@pytest.mark.parametrize("thread", [False, True])
async def test_a_step_in_a_thread_is_tried_again(thread) -> None:
    """As an async one."""
    log = []

    def body():
        log.append(attempt())
        if len(log) < 2:
            raise OSError("no")
        return "well"

    if thread:
        called = step(retry=QUICK, thread=True)(body)
    else:

        @step(retry=QUICK)
        async def called():
            return body()

    @flow
    async def go():
        return await called()

    assert await go.kickoff_async() == "well"
    assert log == [1, 2]


async def test_an_error_that_is_not_wanted_is_not_tried_again() -> None:
    """As the policy says."""
    made = failing(9, Retry(3, first=0, on=KeyError))
    with pytest.raises(OSError, match="no 1"):
        await made.kickoff_async("a")
    assert made.log == [("a", 1)]


async def test_every_prefix_stands_where_it_stood() -> None:
    """What failed is not tried once more, and no attempt is given twice."""
    made = failing(2)
    store = MemoryStore("memory:test")
    with_store = made.with_options(store=store, id="first")
    assert await with_store.kickoff_async("a") == "PAGE OF A"
    entries = store.entries("first")
    for seq in range(1, len(entries) + 1):
        failed = sum(each.kind == "ask" for each in entries[:seq])
        done = {each.step for each in runs_of(entries[:seq])}
        made.log[:] = ["x"] * failed  # the service has seen these
        copy = crashed(store, "first", seq, f"copy {seq}")
        assert await resume_async(copy, store=store) == "PAGE OF A"
        tries = [each[1] for each in made.log if isinstance(each, tuple)]
        assert tries == ([] if "fetch" in done else [1, 2, 3][failed:]), seq


def runs_of(entries):
    """The calls that have ended, as records."""
    from flowkit.journal.entries import read

    return [read(each).record for each in entries if each.kind == "call"]


async def test_a_long_wait_is_a_row(clock) -> None:
    """The run waits, in nobody's memory; whoever looks at it goes on."""
    made = failing(1, Retry(2, first="2h", most="2h", jitter="none"))
    made.flow_class.evict_after = 60.0
    store = MemoryStore("memory:test")
    ran = []
    async with anyio.create_task_group() as group:

        async def go():
            ran.append(
                await made.with_options(store=store, id="long").kickoff_async("a")
            )

        group.start_soon(go)
        await ticks(clock, 61)
    row = store.run("long")
    assert (row.status, row.due) == ("waiting", 8_200.0)
    assert ran[0].status == "waiting"
    clock.advance(8_000)
    assert await resume_async("long", store=store) == "PAGE OF A"
    assert made.log == [("a", 1), ("a", 2), "shout"]


async def test_a_run_that_failed_begins_its_attempts_anew() -> None:
    """A resume is a new chance, as for any step."""
    made = failing(4)
    store = MemoryStore("memory:test")
    with pytest.raises(OSError, match="no 3"):
        await made.with_options(store=store, id="again").kickoff_async("a")
    assert await resume_async("again", store=store) == "PAGE OF A"
    assert [each[1] for each in made.log[:5]] == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("store", [None, "memory"])
async def test_a_function_tried_again_gives_its_steps_all_attempts(store) -> None:
    """What is done stays done; what failed for good begins anew."""
    log = []

    @step
    async def well():
        log.append("well")

    @step(retry=Retry(2, first=0))
    async def fails():
        log.append(attempt())
        if len(log) < 4:
            raise OSError("no")
        return "done"

    @flow(defaults=Policy(retry=QUICK))
    async def go():
        await well()
        return await fails()

    store = store and MemoryStore("memory:test")
    assert await go.with_options(store=store).kickoff_async() == "done"
    assert log == ["well", 1, 2, 1]


async def test_an_attempt_out_of_time_is_cancelled(clock) -> None:
    """And tried again; the error says which limit it was."""
    log = []

    @step(timeout="20s", retry=Retry(2, first=0))
    async def hangs():
        try:
            await anyio.sleep_forever()
        finally:
            log.append(clock.now())

    @flow
    async def waits():
        await hangs()

    async with anyio.create_task_group() as group:

        async def go():
            with pytest.raises(StepTimeoutError) as caught:
                await waits.kickoff_async()
            assert str(caught.value).partition(" (test_trying.py")[0] == (
                "waits.hangs was at work longer than its timeout of 20s. Give it more "
                "time, or find out what it waits for."
            )

        group.start_soon(go)
        await ticks(clock, 10, times=5)
    assert log == [1_020.0, 1_040.0]


async def test_the_total_time_counts_attempts_and_waits(clock) -> None:
    """An attempt that could not begin in time is none."""
    log = []

    @step(total_timeout="15s", retry=SLOW)
    async def fails():
        log.append(clock.now())
        raise OSError("no")

    @flow
    async def go_on():
        await fails()

    async with anyio.create_task_group() as group:

        async def go():
            with pytest.raises(OSError, match="no") as caught:
                await go_on.kickoff_async()
            assert caught.value.__notes__[0] == (
                "flowkit: given up, as its total_timeout of 15s leaves no time for "
                "another attempt"
            )

        group.start_soon(go)
        await ticks(clock, 5, times=4)
    assert log == [1_000.0, 1_010.0]


async def test_a_heartbeat_keeps_a_step_alive(clock) -> None:
    """One that gives none is ended."""
    log = []

    @step(idle_timeout="10s")
    async def beats():
        for _ in range(3):
            await sleep_for(clock, 8)
            heartbeat()
        log.append(clock.now())
        await anyio.sleep_forever()

    @flow
    async def go_on():
        await beats()

    async with anyio.create_task_group() as group:

        async def go():
            with pytest.raises(StepTimeoutError, match="gave no heartbeat for its"):
                await go_on.kickoff_async()

        group.start_soon(go)
        await ticks(clock, 2, times=20)
    assert log == [1_024.0]


async def sleep_for(clock, seconds):
    """Sleep by the manual clock, in a called step."""
    from flowkit.runtime.clock import sleep_until

    await sleep_until(clock.now() + seconds)


async def test_fallbacks_come_one_after_another() -> None:
    """More time, then something kept; `degraded` names the step."""
    log = []

    def cached(url, error):
        log.append(f"cached {error}")
        raise LookupError("not kept")

    async def stranger():
        return "a stranger"

    @step(retry=2, fallback=[Policy(retry=QUICK), cached, {LookupError: stranger}])
    async def fetch(url, *, lang="en"):
        log.append(url)
        raise OSError("no")

    @flow
    async def go():
        return await fetch("a", lang="de")

    fetch.__flowkit_step__.policy  # noqa: B018 - it is there for tools
    handle = go.flow_class()
    assert await handle.kickoff_async({}) == "a stranger"
    assert log == ["a"] * 5 + ["cached no"]
    assert handle.run.degraded == ("fetch",)


async def test_a_fallback_may_begin_the_step_anew() -> None:
    """With all its attempts."""
    log = []

    def again(error):
        if len(log) < 3:
            raise TryAgain
        return "enough"

    @step(retry=2, fallback=again)
    async def fetch():
        log.append(attempt())
        raise OSError("no")

    @flow
    async def go():
        return await fetch()

    use_clock(made := ManualClock(0.0))
    async with anyio.create_task_group() as group:
        group.start_soon(expect, go, "enough")
        await ticks(made, 60, times=8)
    use_clock(None)
    assert log == [1, 2, 4, 5]


async def expect(function_flow, result):
    """A kickoff that gives this."""
    assert await function_flow.kickoff_async() == result


async def test_an_open_breaker_refuses(anyio_backend_name) -> None:
    """Shared by name with every other step."""

    @step(breaker=Breaker(2, open_for="30s", name=anyio_backend_name))
    async def fetch():
        raise ConnectionError("away")

    @flow
    async def go():
        await fetch()

    for _ in range(2):
        with pytest.raises(ConnectionError):
            await go.kickoff_async()
    with pytest.raises(BreakerOpenError):
        await go.kickoff_async()


async def test_a_bulkhead_bounds_calls_side_by_side() -> None:
    """The others stand in line."""
    inside, most = [], []

    @step(bulkhead=Bulkhead(2))
    async def work(n):
        inside.append(n)
        most.append(len(inside))
        await anyio.lowlevel.checkpoint()
        inside.remove(n)
        return n

    @flow
    async def go():
        return await together(*(work(n) for n in range(6)))

    assert await go.kickoff_async() == (0, 1, 2, 3, 4, 5)
    assert max(most) == 2


async def test_a_rate_defers_a_call(clock) -> None:
    """Its turn is a record; no try is counted."""
    log = []

    @step(rate=Rate(1, per="10s"))
    async def work():
        log.append((clock.now(), attempt()))

    @flow
    async def go():
        await work()
        await work()

    async with anyio.create_task_group() as group:
        group.start_soon(expect, go, None)
        await ticks(clock, 5, times=4)
    assert log == [(1_000.0, 1), (1_010.0, 1)]


@pytest.mark.parametrize("store", [None, "memory"])
async def test_a_kept_result_stands_in(store, anyio_backend_name) -> None:
    """By the inputs; a hit is in the history."""
    log = []

    @step(cache=Cache("1h", key=INPUTS, name=f"{anyio_backend_name} {store}"))
    async def look_up(first, second):
        log.append((first, second))
        return first + second

    @flow
    async def go():
        return [await look_up(1, 2), await look_up(1, 2), await look_up(2, 2)]

    store = store and MemoryStore("memory:test")
    handle = go.flow_class(store=store) if store else go.flow_class()
    assert await handle.kickoff_async({}) == [3, 3, 4]
    assert log == [(1, 2), (2, 2)]
    told = [(each.step, each.hit) for each in runs.history(handle.run)]
    assert told == [
        ("look_up", False),
        ("look_up", True),
        ("look_up", False),
        ("body", False),
    ]


async def test_attempts_are_in_the_history_and_told() -> None:
    """With what each of them has measured."""
    told = []

    @step(retry=QUICK)
    async def fetch():
        metric("tokens", 10 * attempt())
        if attempt() < 3:
            raise OSError(f"no {attempt()}")

    @flow
    async def go():
        metric("pages", 1)
        await fetch()

    def hear(_, **said):
        told.append((said["step"], said["attempt"], said["why"], said["metrics"]))

    handle = go.flow_class(store=MemoryStore("memory:test"))
    with signals.step_deferred.connected_to(hear, sender=go.flow_class):
        await handle.kickoff_async({})
    assert told == [
        ("fetch", 1, "retry", {"tokens": 10}),
        ("fetch", 2, "retry", {"tokens": 20}),
    ]
    fetched, body = runs.history(handle.run)
    assert (fetched.step, fetched.attempt, fetched.position) == ("fetch", 3, "1")
    assert [(each.why, str(each.error)) for each in fetched.deferrals] == [
        ("retry", "no 1"),
        ("retry", "no 2"),
    ]
    assert [each.metrics for each in fetched.deferrals] == [
        {"tokens": 10},
        {"tokens": 20},
    ]
    assert (fetched.metrics, body.metrics) == ({"tokens": 60}, {"pages": 1})
    found = insights(store=handle.run.journal.store)
    figures = {each.step: each.totals for each in found.flows[0].steps}
    assert figures["fetch"] == {"tokens": 60}


async def test_branches_wait_for_themselves(clock) -> None:
    """A retry beside a wait for an event lets the run wait, too."""
    log = []

    @step(retry=SLOW)
    async def fetch():
        log.append(clock.now())
        if len(log) < 2:
            raise OSError("no")
        return "page"

    @flow
    async def go():
        return await together(wait_for("never", timeout="25s"), fetch(), sleep(1))

    async with anyio.create_task_group() as group:

        async def begin():
            with pytest.raises(TimeoutError):
                await go.kickoff_async()

        group.start_soon(begin)
        await ticks(clock, 5, times=8)
    assert log == [1_000.0, 1_010.0]


@pytest.mark.parametrize(
    ("policies", "kind", "text"),
    [
        (
            {"undo": "x"},
            TypeError,
            "@step of go takes no undo=: a function flow undoes in its own code. Write "
            "try: and except: around the calls, and call a step there that takes the "
            "work back.",
        ),
        (
            {"max_starts": 2},
            TypeError,
            "@step of go takes no max_starts=: the start of a called step is no "
            "record. Give it to the function, whose starts are: "
            "@flow(defaults=Policy(max_starts=2)).",
        ),
        (
            {"hedge": "1s"},
            TypeError,
            "@step of go takes no hedge=: a call stands at one position and gives one "
            "result. Make the second call in the step itself, or write a flow class "
            "with this step.",
        ),
        (
            {"isolate": "process"},
            TypeError,
            "@step of go takes no isolate=: it runs where its function does. Start a "
            "process in the step itself, or write a flow class with this step.",
        ),
        (
            {"timeout": 2},
            TypeError,
            "@step(timeout=..) is for steps that are awaited, and go is a plain "
            "function, which holds the event loop up while it runs. Make it async, or "
            "write thread=True.",
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(policies, kind, text) -> None:
    """Where it is written, with what to do instead."""
    with pytest.raises(kind) as caught:

        @step(**policies)
        def go():
            return None

    assert str(caught.value).partition(" (test_trying.py")[0] == text


async def test_outside_of_a_flow_it_is_the_function_it_was() -> None:
    """No policy holds there."""

    @step(retry=3)
    async def fails():
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await fails()
