"""Steps that wait, and timers in the graph."""

from __future__ import annotations

from flowkit.core.commands import Answer, Arm, End, Firing, Wait
from flowkit.core.definition import Join, Leaf, Step
from flowkit.core.machine import decide
from flowkit.core.records import (
    EventReceived,
    RunCancelled,
    RunStarted,
    StepAnswered,
    StepAsked,
    StepFailed,
    StepFinished,
    TimerFired,
)
from tests.core.deciding import net, play

ASK = Step("ask", start=True)
THEN = Step("then", trigger=Leaf("ask", "step"))
BESIDE = Step("beside", start=True)


def test_a_run_waits_when_its_only_step_waits() -> None:
    """No other step can move it."""
    marking, commands = play(net(ASK), RunStarted(0), StepAsked(1, 1, 0, "sleep"))
    assert marking.status == "waiting"
    assert commands == [Wait()]


def test_a_run_goes_on_while_another_step_runs() -> None:
    """It waits only when that one has ended."""
    both = net(ASK, BESIDE)
    marking, commands = play(both, RunStarted(0), StepAsked(1, 1, 0, "sleep"))
    assert (marking.status, commands) == ("running", [])
    commands = list(decide(both, marking, StepFinished(2, 2)))
    assert marking.status == "waiting"
    assert commands[-1] == Wait()


def test_an_answer_goes_to_the_step_that_asked() -> None:
    """And the run runs again; a second answer for the place does nothing."""
    here = net(ASK)
    marking, commands = play(
        here, RunStarted(0), StepAsked(1, 1, 0, "sleep"), StepAnswered(2, 1, 0, "x")
    )
    assert marking.status == "running"
    assert [type(each) for each in commands] == [Answer]
    assert (commands[0].firing.id, commands[0].position) == (1, 0)
    assert commands[0].value == "x"
    assert decide(here, marking, StepAnswered(3, 1, 0, "y")) == ()
    commands = list(decide(here, marking, StepFinished(4, 1)))
    assert commands == [End("completed")]


def test_a_step_that_ends_or_fails_asks_nothing_more() -> None:
    """Its other questions are forgotten."""
    here = net(ASK, Step("mend", trigger=Leaf("ask", "failed")))
    for last in (StepFinished(2, 1), StepFailed(2, 1, ValueError())):
        marking, _ = play(here, RunStarted(0), StepAsked(1, 1, 0, "sleep"), last)
        assert marking.asked == {}


def test_a_timer_is_set_by_a_step_and_moves_its_listener() -> None:
    """The run waits for it; the listener gets the time it was due."""
    leaf = Leaf("timer(after=ask, delay='10s')", "timer", after="ask", delay=10)
    here = net(ASK, Step("late", trigger=leaf))
    marking, commands = play(here, RunStarted(0), StepFinished(5, 1))
    assert commands == [Arm(1, 15), Wait()]
    assert marking.status == "waiting"
    commands = list(decide(here, marking, TimerFired(16, 1)))
    assert [type(each) for each in commands] == [Firing]
    assert (commands[0].node.name, commands[0].payload) == ("late", 15)
    assert list(decide(here, marking, StepFinished(17, 2)))[-1] == End("completed")
    assert decide(here, marking, TimerFired(18, 1)) == ()


def test_a_timer_from_the_start_keeps_the_run_waiting() -> None:
    """Even if every step has ended."""
    here = net(ASK, Step("late", trigger=Leaf("timer('1m')", "timer", delay=60)))
    marking, commands = play(here, RunStarted(3), StepFinished(5, 1))
    assert [type(each) for each in commands] == [Wait]
    assert [timer.due for timer in marking.timers.values()] == [63]


def test_a_join_of_an_event_and_a_timer_fires_once() -> None:
    """The first of them; a later one is absorbed, and the run ends."""
    trigger = Join(
        "or", (Leaf("paid", "event"), Leaf("t", "timer", after="ask", delay=9))
    )
    here = net(ASK, Step("settle", trigger=trigger))
    marking, commands = play(
        here, RunStarted(0), StepFinished(1, 1), EventReceived(2, "paid", 7)
    )
    assert [each.payload for each in commands if type(each) is Firing] == [7]
    assert marking.status == "running"


def test_an_end_takes_timers_and_questions_along() -> None:
    """Nothing of a cancelled run is looked at again."""
    leaf = Leaf("t", "timer", after="ask", delay=10)
    here = net(ASK, BESIDE, Step("late", trigger=leaf))
    marking, _ = play(
        here,
        RunStarted(0),
        StepFinished(1, 1),
        StepAsked(2, 2, 0, "sleep"),
        RunCancelled(3),
    )
    assert (marking.status, marking.asked, marking.timers) == ("cancelled", {}, {})


REVIEWED = Step("ask", start=True, router=True, labels=("yes", "no"), single=True)
YES = Step("yes_step", trigger=Leaf("yes", "name"))
MORE = Step("more", trigger=Leaf("yes", "name"))


def test_a_label_may_carry_a_payload() -> None:
    """Its listeners get that; the step's own listeners its output."""
    for steps in ([REVIEWED, YES], [REVIEWED, YES, MORE, THEN]):
        finished = StepFinished(1, 1, "out", ("yes",), (), "review")
        _, commands = play(net(*steps), RunStarted(0), finished)
        given = {each.node.name: each.payload for each in commands}
        assert given.pop("then", "out") == "out"
        assert set(given.values()) == {"review"}


def test_a_step_that_waits_may_end_without_an_answer() -> None:
    """A review is answered by its end; the count of firings begins anew."""
    here = net(ASK, THEN)
    marking, _ = play(here, RunStarted(0), StepAsked(1, 1, 0, "feedback"))
    marking.fired[1] = 100
    commands = list(decide(here, marking, StepFinished(2, 1, "out")))
    assert [each.node.name for each in commands] == ["then"]
    assert (marking.status, marking.asked) == ("running", {})
    assert marking.fired[1] == 1


def test_the_other_step_that_waits_goes_on_waiting() -> None:
    """Two reviews at once: the run waits again when the first one's rest is done."""
    here = net(ASK, BESIDE)
    marking, _ = play(
        here,
        RunStarted(0),
        StepAsked(1, 1, 0, "feedback"),
        StepAsked(2, 2, 0, "feedback"),
    )
    commands = list(decide(here, marking, StepFinished(3, 2, "out")))
    assert marking.status == "waiting"
    assert commands == [Wait()]
