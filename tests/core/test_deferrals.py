"""Firings that begin again: at once, at their time, beside others, after their end."""

from __future__ import annotations

from flowkit.core.commands import Answer, Cancel, End, Firing, Wait
from flowkit.core.definition import Join, Leaf, Step
from flowkit.core.machine import decide
from flowkit.core.marking import DEFERRED, Marking
from flowkit.core.records import (
    RunCancelled,
    RunStarted,
    StepAnswered,
    StepAsked,
    StepDeferred,
    StepFailed,
    StepFinished,
)
from tests.core.deciding import net, play

ASK = Step("ask", start=True)
BESIDE = Step("beside", start=True)
THEN = Step("then", trigger=Leaf("ask", "step"))
ERROR = ValueError("once")


def test_a_firing_that_is_due_begins_again_at_once() -> None:
    """One attempt later, with nothing asked."""
    marking, commands = play(
        net(ASK), RunStarted(0), StepDeferred(1, 1, 1, "retry", ERROR, 1)
    )
    (answer,) = commands
    assert type(answer) is Answer
    assert (answer.firing.id, answer.firing.attempt, answer.position) == (1, 2, -1)
    assert (marking.status, marking.asked) == ("running", {})


def test_a_firing_waits_for_its_time_and_the_run_with_it() -> None:
    """Then it begins again, and ends as any other."""
    here = net(ASK, THEN)
    marking, commands = play(
        here, RunStarted(0), StepDeferred(1, 1, 9, "retry", ERROR, 1)
    )
    assert (marking.status, commands) == ("waiting", [Wait()])
    commands = list(decide(here, marking, StepAnswered(9, 1, DEFERRED)))
    assert [type(each) for each in commands] == [Answer]
    assert marking.status == "running"
    assert [type(each) for each in decide(here, marking, StepFinished(10, 1))] == [
        Firing
    ]


def test_a_run_goes_on_beside_a_firing_that_waits() -> None:
    """It waits when the other one has ended."""
    both = net(ASK, BESIDE)
    marking, commands = play(
        both, RunStarted(0), StepDeferred(1, 1, 9, "retry", ERROR, 1)
    )
    assert (marking.status, commands) == ("running", [])
    assert list(decide(both, marking, StepFinished(2, 2)))[-1] == Wait()


def test_a_limit_that_holds_a_firing_back_is_no_attempt() -> None:
    """Nothing has been tried."""
    marking, _ = play(net(ASK), RunStarted(0), StepDeferred(1, 1, 9, "rate"))
    assert marking.live[1].attempt == 1


def test_a_deferral_does_not_count_firings_anew() -> None:
    """R11: a loop that is held back in each turn runs away as any other."""
    turn = Step("turn", trigger=Join("or", (Leaf("ask", "step"), Leaf("again"))))
    again = Step("again", trigger=Leaf("turn", "step"))
    here = net(ASK, turn, again)
    here.nodes[1].limit = 3
    marking = Marking(len(here.nodes))
    decide(here, marking, RunStarted(0))
    for _ in range(12):
        (firing,) = marking.live.values()
        decide(here, marking, StepDeferred(1, firing.id, 2, "rate"))
        decide(here, marking, StepAnswered(2, firing.id, DEFERRED))
        decide(here, marking, StepFinished(2, firing.id))
        if marking.status != "running":
            break
    assert marking.status == "failed"


def test_the_open_questions_of_an_attempt_go_with_it() -> None:
    """An answer that comes later finds nobody."""
    here = net(ASK)
    marking, _ = play(
        here,
        RunStarted(0),
        StepAsked(1, 1, 0, "sleep"),
        StepDeferred(2, 1, 9, "retry", ERROR, 1),
    )
    assert set(marking.asked[1]) == {DEFERRED}
    assert decide(here, marking, StepAnswered(3, 1, 0, "x")) == ()


def test_a_firing_that_is_over_is_not_deferred() -> None:
    """Its record does nothing, nor does a time that comes twice."""
    here = net(ASK, THEN)
    marking, _ = play(here, RunStarted(0), StepFinished(1, 1))
    assert decide(here, marking, StepDeferred(2, 1, 9, "retry", ERROR, 1)) == ()
    assert decide(here, marking, StepAnswered(9, 1, DEFERRED)) == ()


def test_a_deferred_firing_is_cancelled_with_its_run() -> None:
    """Its time comes to nothing."""
    here = net(ASK)
    marking, commands = play(
        here,
        RunStarted(0),
        StepDeferred(1, 1, 9, "retry", ERROR, 1),
        RunCancelled(2),
    )
    assert [type(each) for each in commands] == [Cancel, End]
    assert marking.asked == {}
    assert decide(here, marking, StepAnswered(9, 1, DEFERRED)) == ()


def test_a_timeout_goes_to_its_listeners_first() -> None:
    """Without any, those of the failure hear it; a failure is never a timeout."""
    late = Step("late", trigger=Leaf("ask", "timeout"))
    broken = Step("broken", trigger=Leaf("ask", "failed"))
    cases = [
        ((late, broken), True, ["late"]),
        ((late, broken), False, ["broken"]),
        ((broken,), True, ["broken"]),
    ]
    for listeners, timeout, heard in cases:
        _, commands = play(
            net(ASK, *listeners), RunStarted(0), StepFailed(1, 1, ERROR, timeout)
        )
        assert [each.node.name for each in commands] == heard
    _, commands = play(net(ASK, late), RunStarted(0), StepFailed(1, 1, ERROR))
    assert commands == [End("failed")]
