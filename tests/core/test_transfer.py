"""A marking with groups and gates under another definition goes on as before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowkit.core.carrying import missing_groups
from flowkit.core.commands import Firing
from flowkit.core.definition import Region
from flowkit.core.machine import decide
from flowkit.core.marking import Marking
from flowkit.core.net import Net
from flowkit.core.transfer import relabelled, renamed, transferred
from flowkit.define.conditions import all_active, and_, each, gather, timer, window
from tests.core.lane_nets import gated
from tests.core.player import BEGIN, Played, dump, flow, play, step
from tests.core.test_groups import LEADS, echo


def cut(played: Played, at: int) -> Marking:
    """The marking of a play after so many records."""
    marking = Marking(len(played.net.nodes))
    for record in played.records[:at]:
        decide(played.net, marking, record)
    return marking


def names_of(commands: Any) -> list[Any]:
    """What is started, and the kinds of the other commands."""
    return [
        (one.node.name, one.lane, repr(one.payload))
        if isinstance(one, Firing)
        else type(one).__name__
        for one in commands
    ]


def goes_on(played: Played, at: int, new: Net) -> None:
    """The rest of a play gives the same under the other definition."""
    marking = transferred(cut(played, at), played.net, new)
    for number in range(at, len(played.records)):
        commands = decide(new, marking, played.records[number])
        assert names_of(commands) == names_of(played.commands[number]), number


@settings(max_examples=60)
@given(gated(), st.integers(0, 40))
def test_a_run_with_groups_and_gates_goes_on_with_a_step_more(case, at) -> None:
    """At any record; numbers of steps, joins and gathers have changed."""
    played = play(case.definition, **case.script)
    at = min(at, len(played.records) - 1)
    first, *rest = case.definition.steps
    extra = flow(new=BEGIN, old=and_("new", "new")).steps[1]
    wider = case.definition._replace(
        steps=(extra._replace(name="added"), first, *reversed(rest))
    )
    same_order = case.definition._replace(
        steps=(extra._replace(name="added"), first, *rest)
    )
    goes_on(played, at, Net(same_order))
    marking = transferred(cut(played, at), played.net, Net(wider))
    live = cut(played, at).live
    assert {number: one.node.name for number, one in marking.live.items()} == {
        number: one.node.name for number, one in live.items()
    }


def test_a_stream_goes_on_under_another_definition() -> None:
    """Items that come later feed the same group."""
    played = play(
        flow(**LEADS), yields={"leads": [(1, "a"), (2, "b")]}, takes={"leads": 5}
    )
    new = Net(flow(more=step("leads"), **LEADS))
    for at in range(1, len(played.records)):
        marking = transferred(cut(played, at), played.net, new)
        for record in played.records[at:]:
            commands = decide(new, marking, record)
            if any(
                isinstance(one, Firing) and one.node.name == "end" for one in commands
            ):
                break
        else:
            assert at > 5


def test_a_watched_round_of_a_lane_is_carried_over() -> None:
    """``all_active`` still waits in its own lane."""
    steps: dict[str, Any] = {
        "split": BEGIN,
        "a": each("split"),
        "b": "a",
        "c": "a",
        "d": all_active("b", "c"),
        "end": gather("d"),
    }
    played = play(
        flow(**steps), gives={"split": [1, 2]}, takes={"b": [1, 5], "c": [5, 1]}
    )
    for at in range(1, len(played.records)):
        goes_on(played, at, Net(flow(**steps, added="zzz")))


RENAMED: dict[str, Any] = {
    "split": BEGIN,
    "read": step(each("split", limit=2), mutex="m"),
    "late": timer(3, after="read"),
    "more": step("read", during=("read", "gone"), cancels=("late",)),
    "w": window("more", count=1, time=2),
    "end": gather("more"),
    "sorry": "read.cancelled",
}


def test_steps_of_groups_and_gates_may_be_renamed() -> None:
    """Groups, gathers, timers, windows and options follow."""
    names = {"read": "scan", "more": "deep", "w": "wide", "split": "parts"}
    played = play(flow(**RENAMED), gives={"split": [1, 2, 3], "read": echo})
    for at in range(1, len(played.records)):
        marking = cut(played, at)
        made = relabelled(marking, played.net, names)
        assert made.definition == renamed(played.net.definition, names)
        for number in range(at, len(played.records)):
            commands = names_of(decide(made, marking, played.records[number]))
            wanted = [
                (names.get(one[0], one[0]), *one[1:]) if isinstance(one, tuple) else one
                for one in names_of(played.commands[number])
            ]
            assert commands == wanted
    shown = str(renamed(flow(**RENAMED), names))
    for gone in ("'read'", "after=read", "'more'"):
        assert gone not in shown


def test_what_another_definition_lacks_is_told() -> None:
    """Groups without their fan or gather, steps in other groups."""
    net = flow(split=BEGIN, read=each("split"), more="read", end=gather("more"))
    played = play(net, gives={"split": [1]}, takes={"more": 9})
    marking = cut(played, 3)
    plain = Net(flow(split=BEGIN, read="split", more="read"))
    assert list(missing_groups(marking, plain, {})) == [
        "a group of read is open, and read listens to each(..) no more",
        "step more (firing 3) runs in 1 group, and stands in no group now",
    ]
    gone = Net(flow(split=BEGIN, more="split"))
    assert list(missing_groups(marking, gone, {})) == [
        "step read, a group of which is open, is gone",
        "step more (firing 3) runs in 1 group, and stands in no group now",
    ]
    unheard = Net(flow(split=BEGIN, read=each("split"), more="read"))
    assert list(missing_groups(marking, unheard, {})) == [
        "a group of read is open, and nobody listens to gather(more)"
    ]
    assert list(missing_groups(marking, played.net, {})) == []


def test_gates_are_carried_over() -> None:
    """Holders, milestones and who waits."""
    steps: dict[str, Any] = {
        "a": BEGIN,
        "b": step("a", mutex="m"),
        "c": step("a", region=Region("part", "m")),
        "d": step("a", during=("b", "gone")),
    }
    played = play(flow(**steps), takes={"b": 3})
    for at in range(1, len(played.records)):
        goes_on(played, at, Net(flow(first="zzz", **steps)))
    again = transferred(cut(played, 2), played.net, played.net)
    assert dump(again) == dump(cut(played, 2))


def test_a_step_with_an_open_group_must_be_there() -> None:
    """Who transfers has looked."""
    net = flow(split=BEGIN, read=each("split"), end=gather("read"))
    played = play(net, gives={"split": [1]})
    with pytest.raises(KeyError):
        transferred(cut(played, 2), played.net, Net(flow(split=BEGIN)))
