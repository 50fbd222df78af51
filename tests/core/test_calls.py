"""Calls of a function: which of them make a run work that otherwise waits."""

from __future__ import annotations

from flowkit.core.commands import Wait
from flowkit.core.definition import Definition, Step
from flowkit.core.machine import decide
from flowkit.core.marking import Marking
from flowkit.core.net import Net
from flowkit.core.records import (
    CallBegun,
    CallEnded,
    RunCancelled,
    RunStarted,
    StepAnswered,
    StepAsked,
    StepFinished,
)

NET = Net(Definition("digest", (Step("body", start=True),)))


def play(*records) -> tuple[Marking, list]:
    marking = Marking(1)
    commands = []
    for record in records:
        commands = list(decide(NET, marking, record))
    return marking, commands


def test_a_call_alone_decides_nothing() -> None:
    """It is kept for the function, and that is all."""
    marking, commands = play(RunStarted(0), CallEnded(1, 1, 0, "fetch", 0, "page"))
    assert (marking.status, commands) == ("running", [])


def test_a_run_waits_once_no_call_is_under_way() -> None:
    """Whether the call began before the wait, or after."""
    asked, begun = StepAsked(1, 1, 0, "wait_for"), CallBegun(1, 1, 1, "long")
    for order in ((asked, begun), (begun, asked)):
        marking, commands = play(RunStarted(0), *order)
        assert (marking.status, commands) == ("running", [])
        commands = list(decide(NET, marking, CallEnded(2, 1, 1, "long", 1)))
        assert (marking.status, commands) == ("waiting", [Wait()])


def test_each_call_counts() -> None:
    """The last one to end makes the run wait."""
    marking, _ = play(
        RunStarted(0),
        StepAsked(1, 1, 0, "wait_for"),
        CallBegun(1, 1, 1, "long"),
        CallBegun(1, 1, 2, "long"),
        CallEnded(2, 1, 2, "long", 1, cancelled=True),
    )
    assert marking.status == "running"
    decide(NET, marking, CallEnded(3, 1, 1, "long", 1))
    assert marking.status == "waiting"


def test_an_answer_comes_while_a_call_is_under_way() -> None:
    """Both end, and the run completes."""
    marking, _ = play(
        RunStarted(0),
        StepAsked(1, 1, 0, "wait_for"),
        CallBegun(1, 1, 1, "long"),
        StepAnswered(2, 1, 0, "yes"),
        CallEnded(3, 1, 1, "long", 1),
    )
    assert marking.status == "running"
    decide(NET, marking, StepFinished(4, 1))
    assert marking.status == "completed"


def test_a_call_of_a_firing_that_is_gone_does_nothing() -> None:
    """The run was cancelled meanwhile."""
    marking, commands = play(
        RunStarted(0),
        RunCancelled(1),
        CallBegun(2, 1, 0, "long"),
        CallEnded(2, 1, 0, "long", 1),
    )
    assert (marking.status, commands) == ("cancelled", [])
