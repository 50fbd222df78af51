"""R12: mutexes, regions and milestones, without an event loop."""

from __future__ import annotations

import itertools
from typing import Any

from flowkit.core.definition import Region
from flowkit.define.conditions import and_, any_of, each, event, gather, merge
from flowkit.errors import DeadlockError
from tests.core.player import BEGIN, Played, flow, play, router, step


def spans(played: Played, *names: str) -> list[tuple[float, float]]:
    """When these steps began and ended, in order; cancelled and failed ones not."""
    ends = {firing.id: time for time, firing in played.ended}
    return sorted(
        (time, ends[firing.id])
        for time, firing in played.started
        if firing.node.name in names and firing.id in ends
    )


def apart(found: list[tuple[float, float]]) -> bool:
    """Whether each span ends before the next one begins."""
    return all(one[1] <= other[0] for one, other in itertools.pairwise(found))


# --- mutex -----------------------------------------------------------------------


def test_of_steps_with_a_mutex_one_runs_at_a_time_in_the_order_they_came() -> None:
    """WCP-17, WCP-40: never two at once, each exactly once."""
    net = flow(
        order=BEGIN,
        pick=step("order", mutex="rig"),
        invoice=step("order", mutex="rig"),
        pack=step("pick", mutex="rig"),
        other="order",
    )
    played = play(net, takes={"pick": 3, "invoice": 2, "pack": 1})
    assert played.order == ["order", "pick", "other", "invoice", "pack"]
    assert played.at("other") == [1]
    assert spans(played, "pick", "invoice", "pack") == [(1, 4), (4, 6), (6, 7)]


def test_a_mutex_is_free_after_a_failure_and_after_a_cancel() -> None:
    """The next one in line has it."""
    net = flow(
        a=BEGIN,
        b=step("a", mutex="m"),
        c=step("a", mutex="m"),
        d=step("a", mutex="m"),
        sorry="b.failed",
        stop=step("sorry", cancels=("c",)),
    )
    played = play(net, fails={"b": True}, takes={"c": 50})
    assert played.at("c") == [2]
    assert played.lost("c") == [3]
    assert played.at("d") == [3]


def test_a_firing_that_waits_for_a_mutex_can_be_cancelled() -> None:
    """It never starts, and nobody waits behind it."""
    net = flow(
        a=BEGIN,
        b=step("a", mutex="m"),
        c=step("a", mutex="m"),
        d=step("a", mutex="m"),
        stop=step("a", cancels=("c",)),
    )
    played = play(net, takes={"b": 5})
    assert played.at("c") == []
    assert len(played.lost("c")) == 1
    assert played.at("d") == [6]


def test_a_region_and_a_step_may_need_two_mutexes_and_take_both_or_none() -> None:
    """What waits for one of them holds not the other."""
    both = Region("both", mutex="left")
    net = flow(
        a=BEGIN,
        left=step("a", mutex="left"),
        two=step("a", mutex="right", region=both),
        right=step("a", mutex="right"),
    )
    played = play(net, takes={"left": 5, "right": 2, "two": 3})
    assert played.at("left") == [1]
    assert played.at("two") == [6]
    assert played.at("right") == [9]  # first come first served: it stands behind two


def test_nobody_overtakes_a_firing_that_waits_for_two() -> None:
    """Or it would starve."""
    both = Region("both", mutex="left")
    steps: dict[str, Any] = {"a": BEGIN, "first": step("a", mutex="left")}
    steps["two"] = step("a", mutex="right", region=both)
    for number in range(3):
        steps[f"r{number}"] = step("a", mutex="right")
    played = play(flow(**steps), takes={"first": 5})
    assert played.order == ["a", "first", "two", "r0", "r1", "r2"]


def test_a_mutex_holds_across_instances_of_a_group() -> None:
    """It is the run's."""
    net = flow(split=BEGIN, use=step(each("split"), mutex="printer"), end=gather("use"))
    played = play(net, gives={"split": [1, 2, 3]}, takes={"use": 2})
    assert played.at("use") == [1, 3, 5]
    assert played.at("end") == [7]


# --- regions ---------------------------------------------------------------------


def test_a_region_holds_its_mutex_until_nothing_is_left_to_do_in_it() -> None:
    """WCP-39: no interleaving of charge..receipt with premium."""
    deposit, insure = Region("deposit", "terminal"), Region("insure", "terminal")
    net = flow(
        hold=BEGIN,
        charge=step("hold", region=deposit),
        premium=step("hold", region=insure),
        receipt=step("charge", region=deposit),
    )
    played = play(net)
    assert played.order == ["hold", "charge", "receipt", "premium"]
    assert played.at("premium") == [3]


def test_a_region_lets_go_after_a_failure_and_after_a_cancel() -> None:
    """Nothing is left to do in it."""
    first, second = Region("first", "m"), Region("second", "m")
    net = flow(
        a=BEGIN,
        b=step("a", region=first),
        c=step("a", region=second),
        sorry="b.failed",
    )
    assert play(net, fails={"b": True}, takes={"b": 4}).at("c") == [5]
    net = flow(
        a=BEGIN,
        b=step("a", region=first),
        c=step("a", region=second),
        quit=step("a", cancels=("region(first)",)),
    )
    assert play(net, takes={"b": 50}).at("c") == [1]


def test_what_is_parked_in_a_region_holds_it_unless_all_would_stand_still() -> None:
    """A join inside waits for a step outside of it."""
    first, second = Region("first", "m"), Region("second", "m")
    net = flow(
        a=BEGIN,
        b=step("a", region=first),
        out="a",
        both=step(and_("b", "out"), region=first),
        c=step("a", region=second),
    )
    played = play(net, takes={"out": 9})
    assert played.at("both") == [10]
    assert played.at("c") == [11]
    net = flow(
        a=BEGIN,
        b=step("a", region=first),
        c=step("a", region=second),
        both=step(and_("b", "c"), region=first),
    )
    played = play(net)
    assert played.at("c") == [2]
    assert played.at("both") == [3]


def test_regions_that_wait_for_each_other_are_an_error() -> None:
    """Never a run that stands still without a word."""
    first, second = Region("first", "m"), Region("second", "n")
    net = flow(
        a=BEGIN,
        b=step("a", region=first),
        c=step("a", region=second),
        d=step("b", region=first, mutex="n"),
        e=step("c", region=second, mutex="m"),
    )
    played = play(net)
    assert played.status == "failed"
    (error,) = played.errors
    assert type(error) is DeadlockError
    assert str(error) == (
        "Flow cannot go on: d waits for 'n'; e waits for 'm'; 'm' is held by region "
        "first; 'n' is held by region second. Give the steps of a region no mutex "
        "that another region holds."
    )


# --- milestones ------------------------------------------------------------------


def trip(**more: Any) -> dict[str, Any]:
    steps: dict[str, Any] = {
        "begin": BEGIN,
        "booked": "begin",
        "ticketed": "booked",
        "ask": "begin",
        "reroute": step("ask", during=("booked", "ticketed")),
    }
    return {**steps, **more}


def test_a_step_before_its_time_waits_for_it() -> None:
    """WCP-18: it starts when the name comes that opens it."""
    played = play(flow(**trip()), takes={"booked": 4, "ticketed": 9})
    assert played.at("reroute") == [5]
    assert played.missed == []


def test_a_step_in_its_time_starts_at_once_without_touching_others() -> None:
    """Nothing is consumed."""
    played = play(flow(**trip()), takes={"ask": 5, "ticketed": 9})
    assert played.at("reroute") == [6]
    assert played.at("ticketed") == [2]


def test_a_step_after_its_time_is_missed() -> None:
    """It never runs, and that is reported."""
    played = play(flow(**trip()), takes={"ask": 9})
    assert played.at("reroute") == []
    assert played.missed == [
        (
            "Flow.reroute missed its time between booked and ticketed: ticketed came "
            "before it could start. (flow.py:5)"
        )
    ]
    assert played.status == "completed"


def test_a_round_whose_firing_was_missed_absorbs_what_comes_later() -> None:
    """It has fired: the step's own time is no matter of the join."""
    net = flow(
        **trip(
            late="ask",
            hold="begin",
            reroute=step(any_of(1, "ask", "late"), during=("booked", "ticketed")),
        )
    )
    played = play(net, takes={"ask": 9, "hold": 20})
    assert played.at("reroute") == []
    assert len(played.missed) == 1
    assert played.stuck == []


def test_a_step_that_waits_when_its_time_is_over_is_missed() -> None:
    """It waited for a mutex meanwhile."""
    steps = trip(
        hog=step("begin", mutex="m"),
        reroute=step("ask", during=("booked", "ticketed"), mutex="m"),
    )
    played = play(flow(**steps), takes={"hog": 20, "ask": 0})
    assert played.at("reroute") == []
    assert len(played.missed) == 1


def test_a_time_that_never_opens_is_missed_at_the_end() -> None:
    """The run does not wait for what cannot come."""
    net = flow(
        begin=BEGIN,
        choose=router("begin", labels=["open", "other"]),
        ask="begin",
        late=step("ask", during=("open", "ask")),
        hear="open",
        more="other",
    )
    net = net._replace(
        steps=tuple(
            one._replace(during=("open", "more")) if one.name == "late" else one
            for one in net.steps
            if one.name != "more"
        )
    )
    played = play(net, routes={"choose": ["other"]})
    assert played.missed == [
        "Flow.late missed its time between open and more: open never came. (flow.py:4)"
    ]
    assert played.ends[-1][1] == "completed"


def test_a_time_may_open_again() -> None:
    """Each name that comes says what holds from then on."""
    net = flow(
        begin=BEGIN,
        turn=router(merge("begin", "again"), labels=["again", "shut"]),
        ask=merge("again", "shut"),
        use=step("ask", during=("again", "shut")),
    )
    played = play(net, routes={"turn": ["again", "shut"]}, takes={"ask": 0.5})
    assert len(played.at("use")) == 1
    assert len(played.missed) == 1


LISTEN: dict[str, Any] = {
    "begin": BEGIN,
    "booked": "begin",
    "ticketed": "booked",
    "reroute": step(event("change"), during=("booked", "ticketed")),
}


def test_events_before_the_time_wait_and_between_run_each() -> None:
    """One after another: a listener takes one event at a time."""
    played = play(
        flow(**LISTEN),
        takes={"booked": 5, "ticketed": 20},
        events=[(1, "change", 1), (2, "change", 2), (9, "change", 3)],
    )
    assert played.at("reroute") == [6, 7, 9]
    assert played.given("reroute") == [1, 2, 3]
    assert played.status == "completed"


def test_a_run_does_not_wait_for_events_after_the_time() -> None:
    """They would be missed."""
    played = play(flow(**LISTEN), events=[(9, "change", 1)])
    assert played.waits == []
    assert played.ends == [(3, "completed")]
    kept = flow(**LISTEN, hold=BEGIN)
    played = play(kept, events=[(9, "change", 1)], takes={"hold": 20})
    assert len(played.missed) == 1
    assert played.at("reroute") == []
    assert played.ends == [(20, "completed")]


def test_all_events_in_line_are_missed_when_the_time_is_over() -> None:
    """None of them holds the run."""
    net = flow(**LISTEN, hog=step("begin", mutex="m"))
    net = net._replace(
        steps=tuple(
            one._replace(mutex="m") if one.name == "reroute" else one
            for one in net.steps
        )
    )
    played = play(
        net, takes={"hog": 30, "booked": 3}, events=[(1, "change", 1), (2, "change", 2)]
    )
    assert len(played.missed) == 2
    assert played.status == "completed"


def test_a_run_waits_while_its_time_may_open_by_an_event() -> None:
    """The event listener that opens it keeps the run."""
    net = flow(
        begin=BEGIN,
        paid=event("payment"),
        ship=step("begin", during=("paid", "begin")),
    )
    net = net._replace(
        steps=tuple(
            one._replace(during=("paid", "gone")) if one.name == "ship" else one
            for one in net.steps
        )
    )
    played = play(net, events=[(9, "payment", 1)])
    assert played.at("ship") == [10]
    assert played.waits


def test_a_cancelled_step_may_open_a_time() -> None:
    """``step.cancelled`` is a name like any other."""
    net = flow(
        begin=BEGIN,
        search="begin",
        stop=step("begin", cancels=("search",)),
        use=step("stop", during=("search.cancelled", "gone")),
    )
    assert play(net, takes={"search": 9}).at("use") == [2]


def test_a_name_that_an_instance_leaves_opens_a_time_for_all() -> None:
    """A milestone is the run's."""
    net = flow(
        split=BEGIN,
        a=each("split"),
        b=step("a", during=("a", "gone")),
        side=BEGIN,
        use=step("side", during=("a", "gone")),
    )
    played = play(net, gives={"split": [1, 2]}, takes={"a": [3, 9]})
    assert played.at("use") == [4]
    assert played.at("b") == [4, 10]
