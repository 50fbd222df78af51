"""R13: cancelling steps, regions, groups and runs, without an event loop."""

from __future__ import annotations

from typing import Any

from flowkit.core.definition import Region
from flowkit.core.records import (
    RunStarted,
    StepAsked,
    StepFinished,
)
from flowkit.define.conditions import (
    all_active,
    and_,
    any_of,
    each,
    event,
    gather,
    merge,
    or_,
    timer,
)
from tests.core.player import BEGIN, flow, play, router, step

SEARCH: dict[str, Any] = {
    "begin": BEGIN,
    "search": "begin",
    "after": "search",
    "found": step(event("found", optional=True), cancels=("search",)),
}


# --- steps -----------------------------------------------------------------------


def test_a_running_step_is_cancelled_and_its_successors_never_run() -> None:
    """WCP-19."""
    played = play(flow(**SEARCH), takes={"search": 9}, events=[(3, "found", None)])
    assert played.lost("search") == [3]
    assert played.at("after") == []
    assert played.ends == [(4, "completed")]


def test_a_step_that_has_ended_is_not_undone() -> None:
    """After its commit a cancel has no effect."""
    net = flow(**SEARCH, hold=BEGIN)
    played = play(net, takes={"hold": 9}, events=[(5, "found", None)])
    assert played.cancelled == []
    assert len(played.at("after")) == 1


def test_a_step_that_waits_is_withdrawn_with_its_question() -> None:
    """Nobody answers it any more."""
    from flowkit.core.machine import decide
    from flowkit.core.marking import Marking
    from flowkit.core.net import Net
    from flowkit.core.records import EventReceived

    net = Net(flow(**SEARCH))
    marking = Marking(len(net.nodes))
    decide(net, marking, RunStarted(0))
    decide(net, marking, StepFinished(1, 1))
    decide(net, marking, StepAsked(2, 2, 0, "sleep"))
    assert marking.asked
    decide(net, marking, EventReceived(3, "found"))
    assert marking.asked == {}
    assert [each.node.name for each in marking.live.values()] == ["found"]


def test_a_listener_of_cancelled_hears_of_each() -> None:
    """Once all has settled."""
    net = flow(
        begin=BEGIN,
        search="begin",
        told="search.cancelled",
        stop=step("begin", cancels=("search",)),
    )
    played = play(net, takes={"search": 9})
    assert len(played.at("told")) == 1


def test_parked_tokens_of_a_cancelled_step_are_gone() -> None:
    """A join starts clean."""
    net = flow(
        a=BEGIN,
        b=BEGIN,
        c=BEGIN,
        join=and_("a", "b"),
        stop=step("c", cancels=("join",)),
    )
    played = play(net, takes={"a": 1, "b": 9, "c": 3})
    assert played.at("join") == []
    assert len(played.stuck) == 1
    assert "a cannot come any more" in played.stuck[0]


def test_a_join_behind_a_cancelled_step_sees_a_dead_input() -> None:
    """``all_active`` does not wait for it."""
    net = flow(
        a=BEGIN,
        b=BEGIN,
        c=BEGIN,
        join=all_active("a", "b"),
        stop=step("c", cancels=("b",)),
    )
    played = play(net, takes={"b": 50, "c": 3})
    assert played.at("join") == [3]


def test_of_two_steps_that_cancel_each_other_the_first_one_wins() -> None:
    """Who is cancelled before it starts cancels nobody."""
    net = flow(begin=BEGIN, one=step("begin", cancels=("two",)), two=step("begin"))
    net = net._replace(steps=(*net.steps[:2], net.steps[2]._replace(cancels=("one",))))
    played = play(net)
    assert [firing.node.name for _, firing in played.ended] == ["begin", "one"]


def test_a_timer_that_leads_nowhere_else_is_withdrawn() -> None:
    """The run does not wait for it."""
    net = flow(
        a=BEGIN, late=timer(50, after="a"), b="a", stop=step("b", cancels=("late",))
    )
    played = play(net)
    assert played.ends == [(3, "completed")]


def test_the_step_that_asks_is_spared() -> None:
    """It may stand in what it cancels."""
    rush = Region("rush")
    net = flow(
        a=BEGIN,
        b=step("a", region=rush),
        c=step("a", region=rush),
        d=step("b", region=rush),
    )
    played = play(net, acts={"b": [(0.5, "cancel", "region(rush)")]}, takes={"c": 9})
    assert played.lost("c") == [1.5]
    assert len(played.done("b")) == 1
    assert len(played.at("d")) == 1


def test_steps_that_begin_and_cancel_each_other_come_to_an_end() -> None:
    """Nothing settles forever."""
    net = flow(
        most=5,
        a=BEGIN,
        one=step(merge("a", "two.cancelled"), cancels=("two",)),
        two=step(merge("a", "one.cancelled"), cancels=("one",)),
    )
    played = play(net)
    assert played.status == "completed"
    assert len(played.lost("two")) == 1
    net = flow(
        most=5,
        a=BEGIN,
        b="a",
        c=any_of(1, "b", "c.cancelled", rest="cancel"),
        stop=step("a", cancels=("c",)),
    )
    assert play(net).status in {"completed", "failed"}


# --- regions ---------------------------------------------------------------------


def test_a_region_is_cancelled_wherever_its_tokens_are() -> None:
    """WCP-25: running, queued and parked inside are gone, outside untouched."""
    rush = Region("rush")
    net = flow(
        a=BEGIN,
        b=step("a", region=rush),
        c=step("b", region=rush),
        never=step(and_("b", "hold"), region=rush),
        hold=BEGIN,
        out="a",
        calm=step(event("calm", optional=True), cancels=("region(rush)",)),
    )
    played = play(
        net, takes={"c": 50, "hold": 20, "out": 9}, events=[(5, "calm", None)]
    )
    assert played.lost("c") == [5]
    assert played.at("never") == []
    assert len(played.done("out")) == 1


def test_a_region_that_is_entered_again_starts_clean() -> None:
    """Nothing parked is left of the first time."""
    rush = Region("rush")
    net = flow(
        begin=BEGIN,
        turn=router(merge("begin", "again"), labels=["left", "again", "right"]),
        both=step(and_("left", "right"), region=rush),
        stop=step("again", cancels=("region(rush)",)),
    )
    net = net._replace(
        steps=tuple(
            one._replace(trigger=merge_of(net, "begin", "stop"))
            if one.name == "turn"
            else one
            for one in net.steps
        )
    )
    played = play(net, routes={"turn": [["left", "again"], ["left", "right"]]})
    assert len(played.at("both")) == 1
    assert played.stuck == []


def merge_of(net: Any, *names: str) -> Any:
    from flowkit.core.definition import Join, Leaf

    return Join("merge", tuple(Leaf(name, "step") for name in names))


# --- groups ----------------------------------------------------------------------

GROUP: dict[str, Any] = {
    "split": BEGIN,
    "read": each("split", limit=3),
    "more": "read",
    "report": gather("more"),
    "side": BEGIN,
    "stop": step("side", cancels=("read",)),
}


def test_a_cancelled_group_never_gathers() -> None:
    """WCP-26: finished results are dropped, the rest is cancelled."""
    played = play(
        flow(**GROUP),
        gives={"split": list(range(9))},
        takes={"side": 4, "read": [1, 1, 9]},
    )
    assert played.at("report") == []
    assert played.lost("read") == [4, 4, 4]
    assert len(played.at("read")) == 5
    assert len(played.done("more")) == 2
    assert played.status == "completed"


def test_a_join_behind_a_cancelled_group_sees_a_dead_input() -> None:
    """It fires with the others."""
    net = flow(**GROUP, end=all_active("report", "side"))
    played = play(net, gives={"split": [1, 2]}, takes={"side": 2, "read": 9})
    assert played.given("end") == [("side1",)]


def test_a_group_that_is_cancelled_while_its_source_yields() -> None:
    """What comes later begins nothing; the source ends by itself."""
    net = flow(
        leads=step(start=True, yields=True),
        work=each("leads"),
        end=gather("work"),
        side=BEGIN,
        stop=step("side", cancels=("work",)),
        after="leads",
    )
    played = play(
        net,
        yields={"leads": [(1, 1), (5, 2)]},
        takes={"leads": 9, "work": 50, "side": 3},
    )
    assert len(played.at("work")) == 1
    assert played.at("end") == []
    assert played.at("after") == [9]
    assert played.status == "completed"


def test_an_instance_that_cancels_its_own_group_ends_unheard() -> None:
    """It is spared, its lane is over; a failure of it is the run's."""
    net = flow(
        split=BEGIN,
        read=each("split"),
        more="read",
        mend="read.failed",
        report=gather("more"),
    )
    script: dict[str, Any] = {
        "gives": {"split": [1, 2, 3]},
        "takes": {"read": [5, 9, 9]},
        "acts": {"read": lambda _, n: [(2, "cancel", "read")] if n == 1 else []},
    }
    played = play(net, **script)
    assert len(played.lost("read")) == 2
    assert len(played.done("read")) == 1
    assert played.at("more") == []
    assert played.at("report") == []
    assert played.status == "completed"
    played = play(net, **script, fails={"read": [1]})
    assert [str(error) for error in played.errors] == ["read1"]
    assert played.status == "failed"


def test_an_instance_that_has_cancelled_its_group_can_do_nothing_in_it() -> None:
    """Items, turns and emits of a lane that is over go nowhere."""
    net = flow(
        split=BEGIN,
        read=step(each("split"), yields=True, emits=("note",), test="until"),
        part=each("read"),
        hear="note",
        whole=gather("part"),
    )
    played = play(
        net,
        gives={"split": [1]},
        takes={"read": 9},
        acts={"read": [(1, "cancel", "read"), (2, "spawn", "part", 1)]},
        yields={"read": [(3, 1)]},
        emits={"read": [("note", 1)]},
        turns={"read": 3},
    )
    assert played.at("part") == []
    assert played.at("hear") == []
    assert played.taken in ([False, False], [True, False])
    assert played.status == "completed"


def test_a_step_of_the_lane_is_cancelled_in_its_own_lane_only() -> None:
    """Asked from inside; asked from outside it is cancelled in all."""
    steps: dict[str, Any] = {
        "split": BEGIN,
        "a": each("split"),
        "slow": "a",
        "quick": "a",
        "end": gather("slow"),
    }
    inside = flow(**{**steps, "quick": step("a", cancels=("slow",))})
    played = play(inside, gives={"split": [1, 2]}, takes={"a": [1, 4], "slow": [2, 9]})
    assert len(played.lost("slow")) == 2
    assert played.lost("slow") == [2, 5]
    outside = flow(**steps, late=timer(3), stop=step("late", cancels=("slow",)))
    played = play(outside, gives={"split": [1, 2]}, takes={"slow": 9})
    assert played.lost("slow") == [4, 4]
    assert played.given("end") == [[]]


def test_a_race_cancels_a_whole_group() -> None:
    """The loser may be a fan-out."""
    net = flow(
        begin=BEGIN,
        split="begin",
        read=each("split", limit=1),
        whole=gather("read"),
        quick="begin",
        end=any_of(1, "whole", "quick", rest="cancel"),
    )
    played = play(net, gives={"split": [1, 2, 3]}, takes={"quick": 3, "read": 5})
    assert played.at("end") == [4]
    assert played.lost("read") == [4]
    assert len(played.at("read")) == 1
    assert played.ends == [(5, "completed")]


def test_what_decides_a_race_against_its_own_group_ends_unheard() -> None:
    """What an instance has emitted cancels its group: the rest of it has no lane."""
    net = flow(
        split=BEGIN,
        read=step(each("split"), emits=("found",), router=True, labels=("more",)),
        after="read",
        last="more",
        whole=gather("read"),
        end=any_of(1, event("found", optional=True), "whole", rest="cancel"),
    )
    for routes in ({}, {"read": ["more"]}):
        played = play(
            net,
            gives={"split": [1, 2]},
            takes={"read": [1, 3]},
            routes=routes,
            emits={"read": [("found", "it")]},
        )
        assert played.given("end") == [("it",)]
        assert played.lost("read") == [2]
        assert played.at("after") == []
        assert played.at("last") == []
        assert played.status == "completed"


def test_a_step_that_repeats_itself_may_decide_a_race_against_its_own_group() -> None:
    """It takes no further turn."""
    net = flow(
        split=BEGIN,
        read=step(each("split"), emits=("found", "note")),
        after="note",
        whole=gather("read"),
        end=any_of(1, event("found", optional=True), "whole", rest="cancel"),
    )
    played = play(
        net,
        gives={"split": [1]},
        turns={"read": 3},
        emits={"read": [("found", "it"), ("note", 1)]},
    )
    assert played.given("end") == [("it",)]
    assert played.lost("read") == [2]
    assert played.at("after") == []
    assert played.ends == [(3, "completed")]


def test_a_group_that_is_about_to_open_can_be_cancelled() -> None:
    """In the same commit."""
    net = flow(
        split=BEGIN,
        stop=step("split", cancels=("read",)),
        read=each("split"),
        end=gather("read"),
    )
    played = play(net, gives={"split": [1, 2]})
    assert played.done("read") == []
    assert played.at("end") == []
    assert played.status == "completed"


# --- runs ------------------------------------------------------------------------


def test_a_cancelled_run_takes_everything_along() -> None:
    """WCP-20: groups, gates and timers, too."""
    net = flow(
        split=BEGIN,
        read=step(each("split", limit=2), mutex="m"),
        late=timer(50, after="split"),
        end=gather("read"),
    )
    played = play(net, gives={"split": [1, 2, 3]}, takes={"read": 9}, cancels=5)
    assert played.status == "cancelled"
    assert played.marking.live == {}
    assert played.marking.lanes is None
    assert played.marking.gates is None
    assert played.marking.timers == {}


def test_a_stop_in_an_instance_ends_the_run_well() -> None:
    """WCP-43: the others are cancelled."""
    net = flow(split=BEGIN, read=each("split"), hit="read", end=gather("read"))
    played = play(net, gives={"split": [1, 2]}, takes={"read": [1, 9]}, stops=["hit"])
    assert played.status == "completed"
    assert len(played.lost("read")) == 1


# --- complete --------------------------------------------------------------------


def test_a_running_step_is_completed_with_a_value() -> None:
    """As if it had ended by itself: its listeners go on."""
    net = flow(a=BEGIN, slow="a", after="slow", side=BEGIN)
    played = play(
        net,
        takes={"slow": 50, "side": 5},
        acts={"side": [(3, "complete", "slow", "enough")]},
    )
    assert played.given("after") == ["enough"]
    assert played.at("after") == [3]
    assert played.lost("slow") == [3]


def test_an_or_is_not_fooled_by_a_completed_step() -> None:
    """One firing a round."""
    net = flow(a=BEGIN, slow="a", quick="a", end=or_("slow", "quick"), side=BEGIN)
    played = play(
        net,
        takes={"slow": 50, "side": 5, "quick": 7},
        acts={"side": [(3, "complete", "slow", "enough")]},
    )
    assert len(played.at("end")) == 1
