"""Pictures of function flows: the steps they called are known from their runs."""

from __future__ import annotations

import pytest

from flowkit.functions import flow, step
from flowkit.picture.compare import compared
from flowkit.picture.lines import timeline_of
from flowkit.picture.trace import traced
from flowkit.runtime.clock import now
from flowkit.runtime.recall import recalled
from tests.picture.flows import work


@step
async def load(order: int) -> int:
    work(1)
    return order


@step
async def charge(order: int) -> int:
    work(2)
    return order


@flow
async def buy(order: int, charged: bool = True) -> int:
    await load(order)
    if charged:
        await charge(order)
    return await load(order)


def run(*arguments):
    """What is known of a run of it."""
    handle = buy.start(*arguments)
    handle.wait(50)
    return recalled(handle)


def test_the_steps_a_function_called_are_drawn_below_it():
    """Each once, with how often it was called."""
    diagram = traced(run(7), now())
    body = diagram.nodes[0].name
    assert [(n.name, n.status.state, n.status.note) for n in diagram.nodes] == [
        (body, "done", "4 s"),
        ("load", "done", "2 s in all"),
        ("charge", "done", "2 s"),
    ]
    assert [(e.source, e.target, e.label, e.taken) for e in diagram.edges] == [
        (body, f"call:{body}:load", "calls", (2,)),
        (body, f"call:{body}:charge", "calls", (1,)),
    ]


def test_a_timeline_shows_the_function_and_then_its_calls():
    """In the order in which they began."""
    line = timeline_of(run(7), now())
    assert [(bar.step, bar.start - line.began) for bar in line.bars][1:] == [
        ("load", 0),
        ("charge", 1),
        ("load", 3),
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_two_runs_part_where_one_makes_a_call(turned):
    """A step that only one of them called is there all the same."""
    runs = [run(7), run(7, False)]
    diagram = compared(*(runs[::-1] if turned else runs), now())
    assert {n.name: n.status.state for n in diagram.nodes}["charge"] == (
        "second" if turned else "first"
    )
    letter = "B" if turned else "A"
    assert diagram.facts[-1].text == f"They part where charge ran in {letter} only"
