"""WCP-33 and WCP-41: joins that count tokens."""

from __future__ import annotations

from itertools import combinations

import pytest

from flowkit import Flow, and_, event, listen, start
from tests.patterns.stage import example


def interleavings(engines, bodies):
    """Every order in which so many of the two can arrive."""
    whole = range(engines + bodies)
    return [
        "".join("e" if place in places else "b" for place in whole)
        for places in combinations(whole, engines)
    ]


class Line(Flow):
    """The example's join, fed from outside in any order."""

    @start()
    async def begin(self): ...

    @listen(
        and_(event("engine", optional=True), event("body", optional=True)),
        max_firings=10,
    )
    async def assemble(self, engine, body):
        self.state["cars"] = [*self.state.get("cars", ()), (engine, body)]

    @listen(event("end of shift"))
    async def end(self): ...


def assembled(order):
    """Send parts in an order; gives the pairs in the order they were made."""
    line = Line(store="memory:")
    line.kickoff()
    counts = {"e": 0, "b": 0}
    for part in order:
        counts[part] += 1
        line.send("engine" if part == "e" else "body", counts[part])
    return line


@pytest.mark.pattern(33)
@pytest.mark.parametrize("order", interleavings(3, 3))
def test_the_kth_is_paired_with_the_kth(order):
    """Three and three, in each of twenty orders: three firings, no part twice."""
    line = assembled(order)
    assert line.state["cars"] == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.pattern(33)
@pytest.mark.parametrize("order", interleavings(3, 2))
def test_surplus_is_kept(order):
    """Three and two: two firings, and the third engine waits for the next body."""
    line = assembled(order)
    assert line.state["cars"] == [(1, 1), (2, 2)]
    assert line.run.status == "waiting"
    line.send("body", 3)
    assert line.state["cars"] == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.pattern(33)
async def test_surplus_that_nothing_can_match_is_reported(stage):
    """The lines have stopped: two cars, and one engine named as left over."""
    factory = example(33).Factory()
    run = await stage.play(factory)
    assert factory.state.cars == ["E1+B1", "E2+B2"]
    assert run.status == "completed"
    line = type(factory).assemble.__code__.co_firstlineno
    (stuck,) = run.stuck
    assert stuck == (
        "Factory.assemble is stuck on and_(engine, body): engine came; body cannot "
        "come any more (body ended 2 times, all of it used). "
        f"(wcp33_generalised_and_join.py:{line})"
    )


@pytest.mark.pattern(33)
@pytest.mark.parametrize(("engines", "bodies"), [(0.5, 2), (2, 0.5), (1, 1)])
async def test_lines_of_different_pace_still_meet_in_pairs(stage, engines, bodies):
    """The quick line runs ahead by several parts; none of them is collapsed."""
    module = example(33)

    class Paced(module.Factory):
        @listen(module.or_(module.Factory.begin_shift, "next engine"))
        async def engine(self):
            await stage.sleep(engines)
            return self.state.engines.pop(0)

        @listen(module.or_(module.Factory.begin_shift, "next body"))
        async def body(self):
            await stage.sleep(bodies)
            return self.state.bodies.pop(0)

    parts = {"engines": ["E1", "E2", "E3"], "bodies": ["B1", "B2", "B3"]}
    run = await stage.play(Paced(), parts)
    assert run.state.cars == ["E1+B1", "E2+B2", "E3+B3"]
    assert run.stuck == []


@pytest.mark.pattern(41)
@pytest.mark.parametrize(
    ("today", "batches", "left"), [(25, 2, 5), (30, 3, 0), (9, 0, 9), (10, 1, 0)]
)
async def test_ten_threads_become_one(stage, today, batches, left):
    """In the order they came; what is left over is reported with its count."""
    office = example(41).Office()
    run = await stage.play(office, {"today": today})
    assert len(office.state.batches) == batches
    filed = [plate for batch in office.state.batches for plate in batch]
    assert filed == [f"B-{number:02}" for number in range(1, 10 * batches + 1)]
    assert {len(batch) for batch in office.state.batches} <= {10}
    if not left:
        assert run.stuck == []
        return
    line = type(office).file.__code__.co_firstlineno
    (stuck,) = run.stuck
    assert stuck == (
        f"Office.file is stuck on times(10, take_in): take_in came {left} of 10 times "
        f"and cannot come any more (take_in ended {today} times, all of it used). "
        f"(wcp41_thread_merge.py:{line})"
    )
