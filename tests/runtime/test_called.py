"""Function flows across crashes: what is recorded, what runs again, what has drifted."""

from __future__ import annotations

import itertools

import anyio
import pytest

import flowkit
from flowkit import RunError, runs
from flowkit.core.records import CallBegun, CallEnded
from flowkit.errors import DriftError
from flowkit.functions import flow, sleep, step, together, wait_for
from flowkit.runtime.opening import store_for
from flowkit.runtime.positions import INNER, shown_position
from tests.runtime.stored import MemoryStore, crashed

calls: list[str] = []
failing: set[str] = set()


@pytest.fixture(autouse=True)
def _forget():
    calls.clear()
    failing.clear()


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryStore("memory:called")
    return store_for(f"sqlite:///{tmp_path}/runs.db")


class Refused(Exception):
    """A step's own; stored and read again as itself."""


@step
async def work(name: str) -> str:
    calls.append(name)
    await anyio.lowlevel.checkpoint()
    if name in failing:
        raise Refused(name)
    return name.upper()


@step
def count(names: list[str]) -> int:
    calls.append("count")
    return len(names)


async def branch(name: str, turns: int) -> list[str]:
    return [await work(f"{name}{turn}") for turn in range(turns)]


@flow
async def busy() -> list:
    """Calls in a row, side by side, in branches, one that fails and is handled."""
    first = await work("first")
    wide = await together(work("x"), work("y"), work("z"))
    deep = await together(branch("b", 1), branch("c", 3), together(branch("d", 2)))
    try:
        await work("bad")
    except Refused as error:
        last = await work(f"after {error}")
    return [first, *wide, *deep, last, count(["a", "b"])]


RESULT = [
    "FIRST", "X", "Y", "Z", ["B0"], ["C0", "C1", "C2"], (["D0", "D1"],), "AFTER BAD", 2,
]  # fmt: skip


async def test_cut_after_any_record_a_run_gives_the_same(store) -> None:
    """And nothing runs again that was recorded."""
    failing.add("bad")
    made = busy.flow_class(store=store)
    assert await made.kickoff_async(id="whole") == RESULT
    entries = store.entries("whole")
    everything = sorted(calls)
    for seq in range(1, len(entries)):
        calls.clear()
        await flowkit.resume_async(crashed(store, "whole", seq, f"cut {seq}"), store)
        done = [each for each in entries[:seq] if each.kind == "call"]
        assert len(calls) == len(everything) - len(done), seq
        ended = runs.get(f"cut {seq}", store)
        assert ended.result == RESULT
        named = [each for each in store.entries(f"cut {seq}") if each.kind == "call"]
        assert len(named) == len(everything)


async def test_cut_in_the_middle_of_every_call(store) -> None:
    """A process that dies in a step leaves the run so that it goes on there."""
    failing.add("bad")
    for at in range(1, 9):
        started = itertools.count(1)
        before = len(calls)

        @step
        async def mortal(name: str, started=started, at=at) -> str:
            if next(started) == at:
                raise SystemExit
            calls.append(name)
            return name

        @flow(store=store)
        async def dies(mortal=mortal) -> list:
            first = await mortal("1")
            rest = [await mortal(str(n)) for n in range(2, 9)]
            return [first, *rest, *await together(mortal("9"), mortal("10"))]

        made = dies.flow_class()
        ended = None
        try:
            ended = await made.kickoff_async(id=f"r{at}")
        except (SystemExit, BaseExceptionGroup):
            assert made.run.status == "running"
            ended = await dies.flow_class().kickoff_async(id=f"r{at}")
        assert ended == [str(n) for n in range(1, 11)]
        assert sorted(map(int, calls[before:])) == list(range(1, 11))


async def test_a_failed_run_goes_on_at_the_step_that_failed(store) -> None:
    """What was done before is not done again, what failed is."""
    failing.add("c1")

    @flow(store=store)
    async def thrice() -> list:
        return [await work("a"), *await together(branch("c", 3), work("b"))]

    with pytest.raises(Refused):
        await thrice.with_options(id="r").kickoff_async()
    failing.clear()
    calls.clear()
    assert await flowkit.resume_async("r", store) == ["A", ["C0", "C1", "C2"], "B"]
    assert "a" not in calls
    assert "c0" not in calls
    assert calls.count("c1") == 1


async def test_a_handled_failure_is_the_same_again(store) -> None:
    """It is recorded once the function goes on, and its branch is taken again."""
    failing.add("bad")

    @flow(store=store)
    async def handles() -> str:
        try:
            await work("bad")
        except Refused as error:
            await work(f"after {error}")
        return "done"

    await handles.with_options(id="r").kickoff_async()
    kinds = [each.kind for each in store.entries("r")]
    assert kinds == ["start", "call", "call", "done"]
    failing.clear()
    calls.clear()
    await flowkit.resume_async(crashed(store, "r", 2, "cut"), store)
    assert calls == ["after bad"]


async def test_other_calls_than_before_are_a_drift() -> None:
    """What was done at a position is not taken for something else."""
    store = MemoryStore("memory:drift")
    order = ["work", "count"]

    @flow(store=store)
    async def drifts() -> None:
        for name in order:
            if name == "work":
                await work("a")
            elif name == "count":
                count([])
            else:
                await wait_for("x")

    await drifts.with_options(id="r").kickoff_async()
    place = drifts.arguments.place
    order[:] = ["count", "work"]
    with pytest.raises(DriftError) as caught:
        await flowkit.resume_async(crashed(store, "r", 2, "cut"), store)
    assert str(caught.value) == (
        "drifts.body came to step('work') at its position 1 before it started again, "
        "and comes to step('count') now. What run cut has done is kept by position: "
        "calls have to come in the same order again, so times, chance and reading "
        "belong into steps. Restore the order, or rewind the run to this place. "
        f"({place})"
    )
    order[:] = ["wait"]
    with pytest.raises(DriftError, match=r"came to step\('work'\) .* wait_for\('x'\)"):
        await flowkit.resume_async(crashed(store, "r", 2, "cut too"), store)
    order[:] = ["work", "count"]  # restored, the failed run goes on
    await flowkit.resume_async("cut", store)
    assert runs.get("cut", store).status == "completed"


async def test_branches_may_overtake_each_other() -> None:
    """Each has positions of its own, so that results find back to their branch."""
    store = MemoryStore("memory:overtake")
    delays = {"a": 5, "b": 1}

    @step
    async def slow(name: str) -> str:
        calls.append(name)
        for _ in range(delays[name[0]]):
            await anyio.lowlevel.checkpoint()
        return name

    async def twice(name: str) -> list[str]:
        return [await slow(f"{name}1"), await slow(f"{name}2")]

    @flow(store=store)
    async def race() -> tuple:
        return await together(twice("a"), twice("b"))

    result = (["a1", "a2"], ["b1", "b2"])
    assert await race.with_options(id="r").kickoff_async() == result
    delays.update(a=1, b=5)
    for seq in range(1, 6):
        cut = crashed(store, "r", seq, f"cut {seq}")
        assert await flowkit.resume_async(cut, store) == result


async def ticks() -> None:
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_a_function_that_waits_long_leaves_memory(clock) -> None:
    """It starts again with the event, and what it did is not done again."""
    store = MemoryStore("memory:evict")

    @flow(store=store, evict_after="10s")
    async def patient() -> str:
        first = await work("a")
        try:
            return first + await wait_for("go")
        finally:
            await work("tidy")  # a function that leaves calls no more

    made = patient.flow_class()
    async with anyio.create_task_group() as group:
        group.start_soon(made.kickoff_async)
        await ticks()
        clock.advance(11)
    assert made.run.status == "waiting"
    assert made.run.scopes == {}
    assert calls == ["a"]
    made.send("go", "!")
    assert made.run.result == "A!"
    assert calls == ["a", "tidy"]


async def test_a_run_that_works_beside_a_wait_is_running(clock) -> None:
    """It is not evicted, and after a crash both go on."""
    store = MemoryStore("memory:beside")
    go = anyio.Event()

    @step
    async def long() -> str:
        calls.append("long")
        await go.wait()
        return "long"

    @flow(store=store, evict_after="10s")
    async def both() -> tuple:
        return await together(wait_for("go"), long())

    made = both.flow_class()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: made.kickoff_async(id="r"))
        await ticks()
        assert made.run.status == "running"
        clock.advance(11)
        await ticks()
        assert made.run.status == "running"
        assert calls == ["long"]
        seq = len(store.entries("r"))
        assert {type(each) for each in made.run.records} >= {CallBegun}
        go.set()
        await ticks()
        assert made.run.status == "waiting"
        made.send("go", "!")
    assert made.run.result == ("!", "long")
    calls.clear()
    cut = crashed(store, "r", seq, "cut")
    async with anyio.create_task_group() as group:
        group.start_soon(flowkit.resume_async, cut, store)
        await ticks()
        assert calls == ["long"]
        clock.advance(11)
    assert runs.get("cut", store).status == "waiting"


async def test_a_call_cancelled_beside_a_wait_is_said_so(clock) -> None:
    """Else the run would seem at work for ever."""

    @step
    async def hangs() -> None:
        await anyio.sleep_forever()

    @step
    async def fails() -> None:
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        raise Refused

    @flow
    async def gives_up() -> str:
        try:
            await together(sleep(5), hangs(), fails())
        except Refused:
            return await wait_for("go")
        return ""

    made = gives_up.flow_class()
    async with anyio.create_task_group() as group:
        group.start_soon(made.kickoff_async)
        await ticks()
        ended = [each for each in made.run.records if type(each) is CallEnded]
        assert [(each.step, each.cancelled) for each in ended] == [
            ("fails", False),
            ("hangs", True),
        ]
        made.send("go", "!")
    assert made.run.result == "!"


async def test_a_timeout_that_came_comes_again(clock) -> None:
    """A call that the function cancelled is not made anew: it might end this time."""
    store = MemoryStore("memory:timeout")

    @step
    async def hangs() -> str:
        calls.append("hangs")
        await anyio.sleep_forever()
        return ""

    @flow(store=store)
    async def bounded() -> str:
        with anyio.move_on_after(0):
            return await hangs()
        return await work("instead")

    assert await bounded.with_options(id="r").kickoff_async() == "INSTEAD"
    kinds = [(each.kind, each.step) for each in store.entries("r")]
    assert kinds == [("start", None), *[("call", "body")] * 2, ("done", "body")]
    for seq, anew in ((1, ["hangs", "instead"]), (2, ["instead"]), (3, [])):
        calls.clear()
        cut = crashed(store, "r", seq, f"cut {seq}")
        assert await flowkit.resume_async(cut, store) == "INSTEAD"
        assert calls == anew


async def test_a_call_that_the_host_cancelled_is_made_anew() -> None:
    """Nobody handled it: the run was left where it was."""
    store = MemoryStore("memory:host")
    hang = True

    @step
    async def hangs() -> str:
        if hang:
            await anyio.sleep_forever()
        return "done"

    @flow(store=store)
    async def left() -> tuple:
        return await together(work("a"), hangs())

    async with anyio.create_task_group() as group:
        group.start_soon(left.with_options(id="r").kickoff_async)
        while len(store.entries("r") if store.run("r") else ()) < 2:
            await anyio.lowlevel.checkpoint()
        await ticks()
        group.cancel_scope.cancel()
    hang = False
    assert await flowkit.resume_async("r", store) == ("A", "done")
    assert calls == ["a"]


async def test_a_fork_from_a_called_step_starts_that_one_anew(store) -> None:
    """What it had done before it is not done again."""

    @flow(store=store)
    async def three() -> list:
        return [await work("a"), await work("b"), count(["c"])]

    await three.with_options(id="r").kickoff_async()
    calls.clear()
    number = runs.fork("r", "count", store=store)
    assert await flowkit.resume_async(number, store) == ["A", "B", 1]
    assert calls == ["count"]
    calls.clear()
    whole = runs.fork("r", "body", store=store)
    assert await flowkit.resume_async(whole, store) == ["A", "B", 1]
    assert calls == ["a", "b", "count"]
    with pytest.raises(RunError, match="These have: body, count, work"):
        runs.fork("r", "cuont", store=store)


async def test_a_rewound_run_calls_again(store) -> None:
    """History keeps what was undone."""

    @flow(store=store)
    async def two() -> list:
        return [await work("a"), count([])]

    await two.with_options(id="r").kickoff_async()
    runs.rewind("r", "count", store=store)
    calls.clear()
    assert await flowkit.resume_async("r", store) == ["A", 0]
    assert calls == ["count"]
    told = [(each.step, each.undone) for each in runs.history("r", store)]
    assert told == [
        ("work", False),
        ("count", True),
        ("body", True),
        ("count", False),
        ("body", False),
    ]


def test_resume_all_goes_on_with_function_flows(store) -> None:
    """As with those of any flow."""

    @flow(store=store)
    async def one() -> str:
        return await work("a")

    one.with_options(id="r").kickoff()
    crashed(store, "r", 1, "cut")
    (run,) = one.resume_all()
    assert run.result == "A"


def test_positions_are_shown_as_people_count() -> None:
    """From 1, and with the way to a branch."""
    assert shown_position(0) == "1"
    assert shown_position(11) == "12"
    inner = ((4 << INNER) | 2) << INNER
    assert shown_position(inner) == "5.2.1"
    deeper = (((inner + 6) << INNER) | 1) << INNER
    assert shown_position(deeper + 2) == "5.2.7.1.3"
