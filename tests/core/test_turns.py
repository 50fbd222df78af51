"""Steps that repeat themselves, without an event loop."""

from __future__ import annotations

from flowkit.define.conditions import each, gather
from flowkit.errors import RunawayError
from tests.core.player import BEGIN, flow, play, step


def test_successors_see_one_completion_however_many_turns() -> None:
    """WCP-21: with the result of the last one."""
    net = flow(fill=BEGIN, shift=step("fill", test="while"), end="shift")
    played = play(net, turns={"shift": 4}, takes={"shift": 2})
    assert played.at("end") == [9]
    assert [firing.turn for _, firing in played.started] == [1, 4, 1]
    assert len(played.at("shift")) == 1


def test_turns_count_against_the_bound() -> None:
    """``max_firings`` stops a loop without end."""
    net = flow(most=5, fill=BEGIN, shift=step("fill", test="until"))
    assert play(net, turns={"shift": 5}).status == "completed"
    played = play(net, turns={"shift": 6})
    assert [type(error) for error in played.errors] == [RunawayError]
    assert str(played.errors[0]) == (
        "Flow.shift would fire more than 5 times in one run, in the circle shift -> "
        "shift. Give the loop an exit, or raise the bound with max_firings= on the "
        "step or max_method_calls on the flow. (flow.py:2)"
    )


def test_turns_of_an_instance_count_in_its_lane() -> None:
    """Three lanes of four turns stay below a bound of five."""
    net = flow(
        most=5, split=BEGIN, work=step(each("split"), test="until"), end=gather("work")
    )
    played = play(net, gives={"split": [1, 2, 3]}, turns={"work": 4})
    assert played.status == "completed"
    assert len(played.given("end")[0]) == 3
    played = play(net, gives={"split": [1, 2, 3]}, turns={"work": 6})
    assert [type(error) for error in played.errors] == [RunawayError]


def test_a_repeated_step_keeps_its_mutex() -> None:
    """Until its last turn is over."""
    net = flow(
        a=BEGIN,
        loop=step("a", test="until", mutex="m"),
        other=step("a", mutex="m"),
    )
    played = play(net, turns={"loop": 3})
    assert played.at("other") == [4]


def test_each_turn_emits_with_its_own_commit() -> None:
    """Not with the last one."""
    net = flow(a=BEGIN, loop=step("a", test="until", emits=("x",)), hear="x")
    played = play(net, turns={"loop": 3}, emits={"loop": [("x", 1)]})
    assert played.at("hear") == [2, 3, 4]


def test_a_turn_that_fails_is_the_step_failing() -> None:
    """What the turns before it left stays."""
    net = flow(
        a=BEGIN,
        loop=step("a", test="until", emits=("x",)),
        hear="x",
        sorry="loop.failed",
    )
    played = play(
        net,
        turns={"loop": 2},
        emits={"loop": [("x", 1)]},
        fails={"loop": True},
    )
    assert len(played.at("sorry")) == 1


def test_a_step_is_cancelled_between_its_turns() -> None:
    """It does not end well."""
    net = flow(
        a=BEGIN,
        loop=step("a", test="until"),
        after="loop",
        b="a",
        stop=step("b", cancels=("loop",)),
    )
    played = play(net, turns={"loop": 9})
    assert played.at("after") == []
    assert len(played.lost("loop")) == 1
