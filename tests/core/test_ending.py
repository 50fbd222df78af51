"""What a stuck join says: what came, what is missing, and why (R14), in full."""

from __future__ import annotations

import pytest

from flowkit.define.conditions import (
    and_,
    any_of,
    each,
    event,
    gather,
    merge,
    or_,
    times,
)
from tests.core.player import BEGIN, flow, play, router, step


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        (["x"], "router r chose 'x'"),
        ([["x", "z"]], "router r chose 'x', 'z'"),
        ([None], "router r chose no label"),
    ],
)
def test_a_branch_that_was_not_chosen_names_the_choice(
    chosen: list[object], why: str
) -> None:
    """Which router chose what instead."""
    labels = ["x", "y", "z"]
    net = flow(a=BEGIN, r=router(labels=labels), b="x", c="z", j=and_("a", "y"))
    assert play(net, routes={"r": chosen}).stuck == [
        (
            f"Flow.j is stuck on and_(a, y): a came; y cannot come any more ({why}). "
            "(flow.py:5)"
        )
    ]


def test_a_step_that_never_ran_is_named() -> None:
    """It is not the choice of a router here but of none."""
    net = flow(a=BEGIN, b="lost", j=and_("a", "b"))
    assert play(net).stuck == [
        (
            "Flow.j is stuck on and_(a, b): a came; b cannot come any more (b never "
            "ran: nothing in the flow produces 'lost'). (flow.py:3)"
        )
    ]


def why(missing: str, **steps: object) -> str:
    """What is said of ``missing``, which a join with ``a`` waits for in vain."""
    net = flow(a=BEGIN, **steps, j=and_("a", missing))
    stuck = play(net, routes={"r": ["x"]}, fails={"f": True}).stuck
    text = next(each for each in stuck if each.startswith("Flow.j "))
    return text.partition("any more (")[2].partition("). (flow")[0]


def test_a_step_that_never_ran_tells_what_kept_it_from_it() -> None:
    """However many steps lie between."""
    chose = router("a", labels=["x", "y"])
    assert why("b", r=chose, b="y") == "b never ran: router r chose 'x'"
    assert why("c", r=chose, b="y", c="b") == "c never ran: router r chose 'x'"
    assert why("s", r=chose, s=router("y", labels=["z"])) == (
        "s never ran: router r chose 'x'"
    )
    assert why("z", r=chose, s=router("y", labels=["z"])) == (
        "s never ran: router r chose 'x'"
    )


def test_a_step_that_never_ran_names_each_way_to_it() -> None:
    """And nothing of what came."""
    chose = router("a", labels=["x", "y"])
    assert why("b", r=chose, f="a", g="f.failed", b=or_("y", "f", "a.failed")) == (
        "b never ran: router r chose 'x', f never ended well, a did not fail"
    )
    assert why("b", r=chose, b=and_("a", "y")) == "b never ran: router r chose 'x'"
    assert why("b", e=event("e", optional=True), b="e") == (
        "b never ran: event 'e' never came"
    )


def test_a_circle_that_nothing_entered_tells_why() -> None:
    """Each step of it is looked at once."""
    chose = router("a", labels=["x", "y"])
    assert why("c", r=chose, b=or_("y", "c"), c="b") == (
        "c never ran: router r chose 'x'"
    )
    assert why("c", b="c", c="b") == "c never ran"


def test_a_group_that_was_never_opened_tells_why() -> None:
    """What waits for its end names what would have opened it."""
    chose = router("a", labels=["x", "y"])
    assert why("b", r=chose, w=each("y"), b=gather("w")) == (
        "b never ran: router r chose 'x'"
    )


def test_a_step_that_failed_and_was_handled_is_no_step_that_never_ran() -> None:
    """The failure was heard; what waits for the result is stuck all the same."""
    net = flow(a=BEGIN, b=BEGIN, c="b.failed", j=and_("a", "b"))
    assert play(net, fails={"b": True}).stuck == [
        (
            "Flow.j is stuck on and_(a, b): a came; b cannot come any more (b never ended "
            "well). (flow.py:4)"
        )
    ]


def test_a_step_that_gave_all_it_had_is_counted() -> None:
    """Two of one, one of the other: the second of the one is left."""
    net = flow(a=BEGIN, b=BEGIN, c=BEGIN, d=merge("a", "b"), j=and_("c", "d"))
    assert play(net).stuck == [
        (
            "Flow.j is stuck on and_(c, d): d came; c cannot come any more (c ended once, "
            "all of it used). (flow.py:5)"
        )
    ]


def test_several_missing_inputs_are_all_named() -> None:
    """In the order written, after what came."""
    net = flow(a=BEGIN, b="x", j=any_of(3, "y", "a", "b"))
    assert play(net).stuck == [
        (
            "Flow.j is stuck on any_of(3, y, a, b): a came; y cannot come any more "
            "(nothing in the flow produces it); b cannot come any more (b never ran: "
            "nothing in the flow produces 'x'). (flow.py:3)"
        )
    ]


def test_only_what_would_have_helped_is_named() -> None:
    """An inner condition that is met lacks nothing."""
    net = flow(a=BEGIN, j=and_(or_("a", "b"), "c"))
    assert play(net).stuck == [
        (
            "Flow.j is stuck on and_(or_(a, b), c): a came; c cannot come any more "
            "(nothing in the flow produces it). (flow.py:2)"
        )
    ]


def test_sources_of_one_input_are_all_excused() -> None:
    """A label of two routers, a place with two names."""
    net = flow(
        r=router(labels=["x", "y"]), s=router(labels=["x"]), t="y",
        j=times(2, merge("x", "y")),
    )  # fmt: skip
    assert play(net, routes={"r": ["y"]}).stuck == [
        (
            "Flow.j is stuck on times(2, merge(x, y)): x or y came 1 of 2 times and "
            "cannot "
            "come any more (router r chose 'y', router s chose no label, r ended once, all "
            "of it used). (flow.py:4)"
        )
    ]


def test_each_round_that_is_left_is_reported() -> None:
    """Three arrivals without their partners are three sentences."""
    net = flow(hold=BEGIN, j=and_("a", "b"))
    played = play(net, takes={"hold": 9}, events=[(at, "a", at) for at in (1, 2, 3)])
    assert len(played.stuck) == 3


def test_what_waits_for_an_event_is_not_stuck() -> None:
    """The run waits; once it is over another way, nothing is reported either."""
    net = flow(a=BEGIN, j=and_("a", event("e")))
    assert play(net).reports == []
    assert play(net, cancels=5).reports == []


def test_an_event_that_may_bring_the_rest_keeps_the_run_waiting() -> None:
    """Through a step, and through a start that listens to a label."""
    net = flow(
        a=BEGIN,
        heard=event("e"),
        again=step("heard", start=True, conditional=True),
        j=and_("a", "again"),
    )
    played = play(net, events=[(5, "e", None)])
    assert played.waits == [1, 8]
    assert played.given("j") == [("a1", "again1")]
