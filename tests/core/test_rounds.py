"""The rules R4-R9: joins, rounds, dead inputs, races; WCP 3-9, 28-33, 37, 38, 41."""

from __future__ import annotations

from itertools import permutations

import pytest

from flowkit.core.marking import Marking, Token
from flowkit.core.net import Net
from flowkit.core.rounds import fire
from flowkit.core.withdraw import withdraw
from flowkit.define.conditions import (
    all_active,
    and_,
    any_of,
    event,
    merge,
    or_,
    times,
)
from tests.core.player import BEGIN, flow, play, router, step

NOTHING = {"begin": 0, "j": 0, "more": 0}


def looped(condition: object, most: int = 100) -> object:
    """Two branches, a join, and a router that goes round again."""
    return flow(
        most=most,
        begin=BEGIN,
        a=or_("begin", "again"),
        b=or_("begin", "again"),
        j=condition,
        more=router("j", labels=["again", "done"]),
        end="done",
    )


def turns(count: int) -> dict[str, object]:
    """A router that goes round, and out after that many turns."""
    return {"more": ["again"] * (count - 1) + ["done"]}


# --- the trace of section 2 ------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "fired", "lost", "end"),
    [
        ("ignore", [1, 2, 3], [], 7),
        ("block", [1, 5, 6], [], 10),
        ("cancel", [1, 2, 3], [1, 2, 3], 4),
    ],
)
def test_the_three_kinds_of_rest_in_a_loop_of_three_turns(
    rest: str, fired: list[int], lost: list[int], end: int
) -> None:
    """The trace table: a takes 1, b takes 5; ``end`` takes 1 more."""
    net = looped(any_of(1, "a", "b", rest=rest))
    played = play(net, takes={**NOTHING, "a": 1, "b": 5}, routes=turns(3))
    assert played.at("j") == fired
    assert played.lost("b") == lost
    assert played.ends == [(end, "completed")]
    assert played.stuck == []


# --- and_ (WCP-3, 33) ------------------------------------------------------------


@pytest.mark.parametrize("takes", [{"a": 1, "b": 4}, {"a": 4, "b": 1}])
def test_and_fires_once_after_the_slower_with_both_values(
    takes: dict[str, int],
) -> None:
    """WCP-3: whatever the finishing order; payloads stand by arrival."""
    played = play(flow(a=BEGIN, b=BEGIN, j=and_("a", "b")), takes=takes)
    assert played.at("j") == [4]
    assert set(played.given("j")[0]) == {"a1", "b1"}
    last = "b1" if takes["b"] == 4 else "a1"
    assert played.given("j")[0][-1] == last == played.started[-1][1].payload


@pytest.mark.parametrize("order", sorted(set(permutations("aaabbb"))), ids="".join)
def test_and_pairs_the_kth_with_the_kth_in_any_interleaving(
    order: tuple[str, ...],
) -> None:
    """WCP-33: three and three tokens are three firings."""
    counts = {"a": 0, "b": 0}
    events = []
    for at, name in enumerate(order):
        counts[name] += 1
        events.append((at + 1, name, f"{name}{counts[name]}"))
    net = flow(hold=BEGIN, j=and_("a", "b"))
    played = play(net, takes={"hold": 20}, events=events)
    assert [set(each) for each in played.given("j")] == [
        {"a1", "b1"}, {"a2", "b2"}, {"a3", "b3"},
    ]  # fmt: skip
    assert played.stuck == []


def test_and_reports_what_is_left_over() -> None:
    """WCP-33: three and two tokens are two firings and one stuck engine."""
    events = [(at, "engine", at) for at in (1, 2, 3)] + [
        (4, "frame", 4),
        (5, "frame", 5),
    ]
    net = flow(hold=BEGIN, j=and_("engine", "frame"))
    played = play(net, takes={"hold": 20}, events=events)
    assert played.given("j") == [(1, 4), (2, 5)]
    assert played.stuck == [
        (
            "Flow.j is stuck on and_(engine, frame): engine came; frame cannot come "
            "any "
            "more (nothing in the flow produces it). (flow.py:2)"
        )
    ]


def test_and_over_labels_of_one_router_takes_a_turn_for_each() -> None:
    """An ``and_`` collects over turns: a label waits for the other."""
    net = flow(
        most=9,
        r=router(labels=["x", "y"]),
        again=step("x", max_firings=1),
        r2=router("again", labels=["y"]),
        j=and_("x", "y"),
    )
    played = play(net, routes={"r": ["x"], "r2": ["y"]})
    assert played.given("j") == [("x", "y")]


def test_and_of_the_same_step_twice_fires_on_each_token() -> None:
    """A copy reaches every input; the token is handed over once."""
    assert play(flow(a=BEGIN, j=and_("a", "a"))).given("j") == [("a1",)]


# --- or_, merge (WCP-5, 8, 9) ----------------------------------------------------


def test_or_fires_at_the_first_and_absorbs_the_later_one() -> None:
    """WCP-9: once, at the faster; the slower finishes and changes nothing."""
    played = play(flow(a=BEGIN, b=BEGIN, j=or_("a", "b")), takes={"a": 3, "b": 1})
    assert played.given("j") == [("b1",)]
    assert played.at("j") == [1]
    assert played.done("a") == [3]


def test_or_cancels_nobody() -> None:
    """A branch that feeds only the join runs to its end."""
    played = play(flow(a=BEGIN, b=BEGIN, j=or_("a", "b")), takes={"b": 9})
    assert played.cancelled == []
    assert played.ends == [(9, "completed")]


def test_or_fires_again_each_turn_of_a_loop_even_if_a_branch_outlives_it() -> None:
    """WCP-9: three turns, three firings; R5 keeps turn k+1 out of turn k's round."""
    played = play(
        looped(or_("a", "b")), takes={**NOTHING, "a": 1, "b": 7}, routes=turns(3)
    )
    assert played.at("j") == [1, 2, 3]


def test_the_entry_of_a_loop_takes_each_turn_whichever_branch_brought_it() -> None:
    """R5: the quick branch goes round; the slow one starts again each turn, too."""
    played = play(
        looped(or_("a", "b")), takes={**NOTHING, "a": 1, "b": 7}, routes=turns(3)
    )
    assert played.at("a") == played.at("b") == [0, 1, 2]
    assert played.ends == [(9, "completed")]


def test_the_same_goes_for_a_loop_that_an_event_enters() -> None:
    """R5: each of its branches is at the entry of one turn."""
    net = flow(
        begin=BEGIN,
        a=or_(event("e"), "again"),
        b=or_(event("e"), "again"),
        j=or_("a", "b"),
        more=router("j", labels=["again"]),
    )
    routes = {"more": ["again", None]}
    played = play(net, takes={"b": 9}, routes=routes, events=[(2, "e", None)])
    assert played.at("a") == [2, 5]
    assert played.at("b") == [2, 11]


def test_an_alternative_beside_a_loop_is_absorbed_in_its_first_turn() -> None:
    """R5 is about what came round, not about what may come round."""
    net = flow(
        begin=BEGIN,
        cached="begin",
        search=or_("begin", "again"),
        j=or_("cached", "search"),
        more=router("j", labels=["again"]),
    )
    played = play(net, takes={"cached": 1, "search": 5, "begin": 0, "j": 9})
    assert played.at("j") == [1]


def test_or_after_an_exclusive_choice_fires_once() -> None:
    """WCP-4 and 5: one branch runs, one firing behind it."""
    net = flow(r=router(labels=["x", "y"]), a="x", b="y", j=or_("a", "b"))
    played = play(net, routes={"r": ["y"]})
    assert played.order == ["r", "b", "j"]


def test_or_over_two_labels_chosen_at_once_fires_once() -> None:
    """Both labels feed one round; the second one is absorbed."""
    net = flow(r=router(labels=["x", "y"]), j=or_("x", "y"))
    played = play(net, routes={"r": [["x", "y"]]})
    assert played.given("j") == [("x",)]
    assert play(net, routes={"r": ["y"]}).given("j") == ["y"]


def test_or_over_a_router_and_its_label_fires_once() -> None:
    """Its completion and its label are two arrivals of one round."""
    net = flow(r=router(labels=["x"]), j=or_("r", "x"))
    assert play(net, routes={"r": ["x"]}).given("j") == [("r1",)]


def test_merge_fires_for_every_arrival() -> None:
    """WCP-8: three arrivals, three firings, and three of everything after."""
    net = flow(a=BEGIN, b=BEGIN, c=BEGIN, j=merge("a", "b", "c"), k="j")
    played = play(net, takes={"a": 1, "b": 1, "c": 4})
    assert played.at("j") == [1, 1, 4]
    assert len(played.at("k")) == 3


def test_merge_fires_twice_for_two_labels_at_once() -> None:
    """Every arrival is its own."""
    net = flow(r=router(labels=["x", "y"]), j=merge("x", "y"))
    assert play(net, routes={"r": [["x", "y"]]}).given("j") == ["x", "y"]


def test_merge_over_joins_fires_for_each_of_them() -> None:
    """Each branch is a join of its own."""
    net = flow(a=BEGIN, b=BEGIN, c=BEGIN, j=merge(and_("a", "b"), or_("b", "c")))
    played = play(net, takes={"a": 1, "b": 2, "c": 3})
    assert played.given("j") == [("a1", "b1"), ("b1",)]


# --- labels (R4) -----------------------------------------------------------------


def test_a_label_of_a_later_choice_is_not_absorbed_by_an_earlier_round() -> None:
    """R4: the second choice of the router is a turn of its own, fired round or not."""
    net = flow(
        a=BEGIN,
        b=BEGIN,
        side=BEGIN,
        r=router(merge("a", "b", "side"), labels=["x", "y"]),
        j=or_("x", "y"),
    )
    played = play(
        net, takes={"a": 1, "b": 2, "side": 9, "r": 0}, routes={"r": ["x", "y", None]}
    )
    assert played.at("j") == [1, 2]
    assert played.given("j") == [("x",), ("y",)]


def test_labels_of_one_choice_share_a_round() -> None:
    """R4: it is the later firing that opens a new one, not the later label."""
    net = flow(
        a=BEGIN, b=BEGIN, r=router(merge("a", "b"), labels=["x", "y"]), j=or_("x", "y")
    )
    played = play(
        net, takes={"a": 1, "b": 2, "r": 0}, routes={"r": [["x", "y"], ["y", "x"]]}
    )
    assert played.given("j") == [("x",), ("y",)]


# --- n of m (WCP-28 to 32) -------------------------------------------------------


def test_two_of_three_fires_at_the_second_and_absorbs_the_third() -> None:
    """WCP-30."""
    net = flow(a=BEGIN, b=BEGIN, c=BEGIN, j=any_of(2, "a", "b", "c"))
    played = play(net, takes={"a": 5, "b": 1, "c": 3})
    assert played.at("j") == [3]
    assert played.given("j") == [("b1", "c1")]
    assert played.done("a") == [5]


def test_block_holds_the_next_round_until_the_first_is_complete() -> None:
    """WCP-28 and 31: early tokens are kept, none is lost."""
    net = looped(any_of(1, "a", "b", rest="block"))
    takes = {**NOTHING, "a": 1, "b": [9, 2, 2]}
    played = play(net, takes=takes, routes=turns(3))
    assert played.at("j") == [1, 9, 10]
    assert played.stuck == []


def test_block_goes_on_when_what_is_missing_is_dead() -> None:
    """R7: a round is complete when each input has arrived or is dead."""
    net = flow(
        begin=BEGIN,
        r=router(or_("begin", "again"), labels=["x", "y"]),
        a="x",
        b="y",
        j=any_of(1, "a", "b", rest="block"),
        more=router("j", labels=["again"]),
    )
    routes = {"r": ["x", "y", "x"], "more": ["again", "again"]}
    played = play(net, takes={"j": 0, "more": 0, "r": 0}, routes=routes)
    assert played.at("j") == [2, 3, 4]


def test_blocked_rounds_that_wait_on_each_other_go_on_however_many_are_open() -> None:
    """Each of ``a`` and ``b`` may lead to the other, so several rounds have fired."""
    net = flow(
        begin=BEGIN,
        a=merge("begin", any_of(1, "again", "back", rest="block")),
        more=router("a", labels=["again"]),
        b=router(any_of(1, "a", "x", rest="block"), labels=["back"]),
        other=router("a", labels=["x"]),
    )
    for turns in range(2, 6):
        played = play(net, routes={"more": ["again"] * turns})
        assert played.stuck == []
        assert len(played.at("a")) == len(played.at("b")) == turns + 1


def test_cancel_stops_the_losers_at_once() -> None:
    """WCP-29: one firing, two cancelled, their successors never ran."""
    net = flow(
        go=BEGIN,
        a="go",
        b="go",
        slow="go",
        c="slow",
        j=any_of(1, "a", "b", "c", rest="cancel"),
    )
    played = play(net, takes={"a": 3, "b": 9, "slow": 9})
    assert played.at("j") == [4]
    assert played.lost("b") == played.lost("slow") == [4]
    assert played.at("c") == []
    assert played.ends == [(5, "completed")]


def test_the_majority_ends_the_vote() -> None:
    """WCP-32: at the second vote the third is cancelled."""
    net = flow(a=BEGIN, b=BEGIN, c=BEGIN, j=any_of(2, "a", "b", "c", rest="cancel"))
    played = play(net, takes={"a": 1, "b": 2, "c": 9})
    assert (played.at("j"), played.lost("c")) == ([2], [2])
    assert played.ends == [(3, "completed")]


def test_a_racer_that_feeds_somebody_else_is_spared_and_absorbed() -> None:
    """WCP-29: the round stays open for it."""
    net = flow(a=BEGIN, b=BEGIN, audit="b", j=any_of(1, "a", "b", rest="cancel"))
    played = play(net, takes={"b": 5})
    assert played.cancelled == []
    assert played.at("j") == [1]
    assert played.at("audit") == [5]


def test_a_racer_whose_failure_alone_is_heard_is_cancelled() -> None:
    """Who listens to a failure has no use for the result."""
    net = flow(a=BEGIN, b=BEGIN, log="b.failed", j=any_of(1, "a", "b", rest="cancel"))
    assert play(net, takes={"b": 5}).lost("b") == [1]


def test_a_racer_that_feeds_the_step_another_way_is_spared() -> None:
    """What the outer condition still needs is not cancelled by the inner one."""
    net = flow(a=BEGIN, b=BEGIN, j=and_(any_of(1, "a", "b", rest="cancel"), "b"))
    played = play(net, takes={"b": 5})
    assert played.cancelled == []
    assert played.at("j") == [5]


def test_a_race_spares_what_its_own_firing_has_caused() -> None:
    """R8: work with the round in its past is the next turn's."""
    net = looped(any_of(1, "a", "b", rest="cancel"))
    played = play(net, takes={**NOTHING, "a": [1, 9], "b": [9, 1]}, routes=turns(2))
    assert played.at("j") == [1, 2]
    assert played.lost("b") == [1]
    assert played.lost("a") == [2]


def test_a_racer_can_be_cancelled_before_it_has_started() -> None:
    """WCP-19, before the start: the winner's own result would have started it."""
    net = flow(a=BEGIN, way="a", b="way", j=any_of(1, "a", "b", rest="cancel"))
    played = play(net)
    assert played.lost("way") == [1]
    assert played.order == ["a", "j"]


def test_cancelling_after_the_end_has_no_effect() -> None:
    """WCP-19: what has committed stays."""
    net = flow(a=BEGIN, b=BEGIN, c="b", j=any_of(1, "a", "c", rest="cancel"))
    played = play(net, takes={"b": 1, "a": 2, "c": 9})
    assert played.done("b") == [1]
    assert played.lost("c") == [2]


def test_a_race_removes_what_is_parked_in_a_loser() -> None:
    """R13: parked tokens inside are gone, and not reported as stuck."""
    net = flow(
        a=BEGIN, p=BEGIN, q=BEGIN, b=and_("p", "q"),
        j=any_of(1, "a", "b", rest="cancel"),
    )  # fmt: skip
    played = play(net, takes={"p": 1, "a": 2, "q": 9})
    assert played.lost("q") == [2]
    assert played.stuck == []
    assert played.ends == [(3, "completed")]


def test_a_race_removes_queued_events_of_a_loser() -> None:
    """All of a loser's work goes: the event it handles and those in its queue."""
    net = flow(hold=BEGIN, a="hold", b=event("e"), j=any_of(1, "a", "b", rest="cancel"))
    events = [(1, "e", "one"), (2, "e", "two"), (20, "e", "three")]
    played = play(net, takes={"hold": 3, "a": 3, "b": 9}, events=events)
    assert played.at("j")[0] == 6
    assert played.lost("b") == [6, 6]
    assert played.given("b") == ["one", "three"]


def test_a_spared_event_in_the_queue_of_a_cancelled_one_starts() -> None:
    """The listener is free again: the next in line goes on."""
    net = Net(flow(a=event("e")))
    marking = Marking(1)
    (node,) = net.nodes
    for past in (frozenset(), frozenset({5}), frozenset()):
        fire(marking, node, Token("e", None, 1, past), [], past=past)
    out: list[object] = []
    withdraw(net, marking, node.bit, out, cause=5)  # type: ignore[arg-type]
    cancel, started = out
    assert [each.id for each in cancel.firings] == [1, 3]
    assert started.id == 2
    assert list(marking.live) == [2]


def test_a_race_inside_another_condition_cancels_when_its_own_part_is_met() -> None:
    """The inner race is over before the outer condition is."""
    net = flow(
        a=BEGIN, b=BEGIN, c=BEGIN, j=and_(any_of(1, "a", "b", rest="cancel"), "c")
    )
    played = play(net, takes={"a": 1, "b": 9, "c": 5})
    assert played.lost("b") == [1]
    assert played.given("j") == [("a1", "c1")]


# --- all_active (WCP-6, 7, 37, 38) -----------------------------------------------

SUBSETS = [
    [each for at, each in enumerate(("x", "y", "z")) if bits >> at & 1]
    for bits in range(8)
]


@pytest.mark.parametrize("chosen", SUBSETS, ids=lambda each: "".join(each) or "none")
def test_all_active_joins_just_the_branches_that_were_chosen(chosen: list[str]) -> None:
    """WCP-6 and 7: for each subset those branches start, and one join fires."""
    net = flow(
        r=router(labels=["x", "y", "z"]), a="x", b="y", c="z",
        j=all_active("a", "b", "c"),
    )  # fmt: skip
    takes = {"a": 3, "b": 1, "c": 2}
    played = play(net, takes=takes, routes={"r": [chosen]})
    branches = {"x": "a", "y": "b", "z": "c"}
    started = {branches[each] for each in chosen}
    assert set(played.order) - {"r", "j"} == started
    last = [1 + max(takes[each] for each in started)] if started else []
    assert played.at("j") == last
    assert played.status == "completed"


@pytest.mark.parametrize(
    ("outer", "inner", "given"),
    [
        (["price", "scan"], ["quick"], ("price1", "quick1")),
        (["price", "scan"], ["deep"], ("price1", "deep1")),
        (["price", "scan"], [], ("price1",)),
        (["price"], [], ("price1",)),
        (["scan"], ["deep"], ("deep1",)),
    ],
)
def test_all_active_sees_through_an_inner_choice(
    outer: list[str], inner: list[str], given: tuple[str, ...]
) -> None:
    """WCP-37: one firing, not before the last arrival, no dead or side branch."""
    net = flow(
        r=router(labels=["price", "scan"]),
        price="price_it",
        q=router("scan", labels=["quick_it", "deep_it"]),
        quick="quick_it",
        deep="deep_it",
        side="r",
        j=all_active("price", "quick", "deep"),
    )
    net = net._replace(
        steps=tuple(
            each._replace(labels=("price_it", "scan")) if each.name == "r" else each
            for each in net.steps
        )
    )
    labels = [{"price": "price_it"}.get(each, each) for each in outer]
    played = play(
        net,
        takes={"price": 1, "quick": 3, "deep": 7, "side": 50},
        routes={"r": [labels], "q": [[f"{each}_it" for each in inner]]},
    )
    assert played.given("j") == [given]
    assert played.at("j")[0] < 50


def test_all_active_waits_for_a_retry_loop() -> None:
    """WCP-38: it fires once, after the last redo."""
    net = flow(
        begin=BEGIN,
        legal="begin",
        tax="begin",
        review=router(or_("legal", "redo"), labels=["redo", "legal_ok"]),
        j=all_active("legal_ok", "tax"),
    )
    played = play(
        net, takes={"tax": 2}, routes={"review": ["redo", "redo", "legal_ok"]}
    )
    assert played.at("j") == [5]
    assert played.given("j") == [("tax1", "legal_ok")]


def test_two_joins_that_wait_on_each_other_fire_once_each() -> None:
    """R7: the one with the older token first, which settles the other."""
    net = flow(
        a=BEGIN,
        b=BEGIN,
        left=router(all_active("a", "to_left"), labels=["to_right", "left_done"]),
        right=router(all_active("b", "to_right"), labels=["to_left", "right_done"]),
        end=merge("left_done", "right_done"),
    )
    routes = {"left": ["left_done"], "right": ["right_done"]}
    played = play(net, takes={"a": 2, "b": 1}, routes=routes)
    assert played.at("right") == [2]
    assert played.at("left") == [3]
    assert len(played.at("end")) == 2


def test_joins_that_wait_on_each_other_do_not_wait_for_a_side_branch() -> None:
    """R7: nothing else that leads to them can move; that is enough."""
    net = flow(
        a=BEGIN,
        b=BEGIN,
        side=BEGIN,
        left=router(all_active("a", "to_left"), labels=["to_right"]),
        right=router(all_active("b", "to_right"), labels=["to_left"]),
    )
    played = play(net, takes={"a": 2, "b": 1, "side": 50})
    assert (played.at("right"), played.at("left")) == ([2], [3])


def test_a_join_behind_two_that_wait_on_each_other_waits_for_them() -> None:
    """R7: it has the oldest token, but nobody waits on it."""
    net = flow(
        a=BEGIN,
        b=BEGIN,
        c=BEGIN,
        left=router(all_active("a", "to_left"), labels=["to_right"]),
        right=router(all_active("b", "to_right"), labels=["to_left"]),
        behind=all_active("c", "left"),
    )
    played = play(net, takes={"a": 3, "b": 2, "c": 1})
    assert played.at("right") == [3]
    assert played.at("left") == [4]
    assert played.given("behind") == [("c1", "left1")]


def test_joins_that_wait_on_each_other_in_a_loop_fire_once_a_turn() -> None:
    """WCP-38: inside an outer loop once per turn."""
    net = flow(
        begin=BEGIN,
        a=or_("begin", "again"),
        b=or_("begin", "again"),
        left=router(all_active("a", "to_left"), labels=["to_right", "left_done"]),
        right=router(all_active("b", "to_right"), labels=["to_left", "right_done"]),
        j=and_("left_done", "right_done"),
        more=router("j", labels=["again"]),
    )
    routes = {
        "left": lambda _: "left_done",
        "right": lambda _: "right_done",
        "more": ["again", "again"],
    }
    played = play(net, takes={"a": 2}, routes=routes)
    assert len(played.at("left")) == len(played.at("right")) == 3
    assert played.stuck == []


def test_all_active_does_not_wait_for_joins_that_are_deadlocked() -> None:
    """Two ``and_`` that wait for each other produce nothing: the input is dead."""
    net = flow(
        a=BEGIN,
        b=BEGIN,
        x=BEGIN,
        side=BEGIN,
        p=and_("a", "q"),
        q=and_("b", "p"),
        j=all_active("x", "p"),
    )
    played = play(net, takes={"side": 50})
    assert played.at("j") == [1]
    assert len(played.stuck) == 2


def test_all_active_waits_for_tokens_parked_upstream() -> None:
    """R6: what is parked in another join, and can be met, is live work."""
    net = flow(
        x=BEGIN, p=BEGIN, q=BEGIN, slow="q", k=and_("p", "slow"), j=all_active("x", "k")
    )
    played = play(net, takes={"slow": 8})
    assert played.given("j") == [("x1", "k1")]


def test_all_active_does_not_wait_for_events() -> None:
    """R6: an outside event is no live work; what it brings later is a new round."""
    net = flow(a=BEGIN, j=all_active("a", event("e")))
    played = play(net, events=[(5, "e", None)])
    assert played.at("j") == [1, 5]


def test_all_active_waits_for_what_is_parked_beside_an_event() -> None:
    """R6: the parked token is live work, the event may still come."""
    net = flow(
        x=BEGIN, ask=BEGIN, approved=and_("ask", event("yes")),
        j=all_active("x", "approved"),
    )  # fmt: skip
    assert play(net).status == "waiting"
    played = play(net, events=[(7, "yes", None)])
    assert played.at("j") == [8]


def test_all_active_waits_for_an_event_behind_a_step() -> None:
    """The same, if a step handles the event first."""
    net = flow(
        x=BEGIN, ask=BEGIN, answer=event("yes"), approved=and_("ask", "answer"),
        j=all_active("x", "approved"),
    )  # fmt: skip
    played = play(net, events=[(7, "yes", None)])
    assert played.given("j") == [("x1", "approved1")]


def test_all_active_does_not_wait_for_what_is_parked_beside_an_optional_event() -> None:
    """An optional event keeps nothing waiting."""
    net = flow(
        x=BEGIN, ask=BEGIN, approved=and_("ask", event("yes", optional=True)),
        j=all_active("x", "approved"),
    )  # fmt: skip
    played = play(net)
    assert played.at("j") == [1]
    assert played.stuck == [
        (
            "Flow.approved is stuck on and_(ask, event('yes')): ask came; event('yes') "
            "cannot come any more (the event is optional). (flow.py:3)"
        )
    ]


def test_all_active_takes_a_failure_as_an_arrival() -> None:
    """``.failed`` is dead once the step ended well, and the other way round."""
    net = flow(a=BEGIN, b=BEGIN, j=all_active("a", "b", "b.failed"))
    assert play(net, takes={"b": 4}).given("j") == [("a1", "b1")]
    (given,) = play(net, takes={"b": 4}, fails={"b": True}).given("j")
    assert [str(each) for each in given] == ["a1", "b1"]


def test_a_router_without_declared_labels_may_produce_any() -> None:
    """R6 is on the safe side: what is not declared may still come."""
    net = flow(a=BEGIN, r=router("go"), go=BEGIN, j=all_active("a", "x"))
    net = flow(a=BEGIN, go=BEGIN, r=router("go"), b="x", j=all_active("a", "b"))
    played = play(net, takes={"r": 9}, routes={"r": [[]]})
    assert played.at("j") == [10]


def test_all_active_and_block_that_wait_on_each_other_go_on() -> None:
    """R7 for ``block``, too: its older round waits for the join that waits for it."""
    net = flow(
        begin=BEGIN,
        a=or_("begin", "again"),
        p="begin",
        k=all_active("p", "to_k"),
        j=any_of(1, "a", "k", rest="block"),
        more=router("j", labels=["again", "to_k"]),
    )
    played = play(net, takes={"p": 1}, routes={"more": ["again"]})
    assert played.at("k") == [5]
    assert played.at("j") == [2, 6]
    assert played.stuck == []


# --- times (WCP-41) --------------------------------------------------------------


def test_times_makes_one_firing_of_n_arrivals() -> None:
    """WCP-41: 25 arrivals in batches of ten: two firings, five parked and reported."""
    net = flow(hold=BEGIN, j=times(10, "car"))
    events = [(at, "car", at) for at in range(1, 26)]
    played = play(net, takes={"hold": 99}, events=events)
    assert played.given("j") == [tuple(range(1, 11)), tuple(range(11, 21))]
    assert played.stuck == [
        (
            "Flow.j is stuck on times(10, car): car came 5 of 10 times and cannot come "
            "any "
            "more (nothing in the flow produces it). (flow.py:2)"
        )
    ]


def test_times_counts_arrivals_of_any_input_of_a_merge() -> None:
    """One place with two sources."""
    net = flow(a=BEGIN, b=BEGIN, c=BEGIN, j=times(2, merge("a", "b", "c")))
    played = play(net, takes={"a": 1, "b": 2, "c": 3})
    assert played.given("j") == [("a1", "b1")]
    assert len(played.stuck) == 1


def test_times_is_an_input_like_any_other() -> None:
    """Two votes and the chair's word."""
    net = flow(hold=BEGIN, j=and_(times(2, "vote"), "chair"))
    events = [(1, "vote", 1), (2, "chair", 2), (3, "vote", 3), (4, "vote", 4)]
    played = play(net, takes={"hold": 9}, events=events)
    assert played.given("j") == [(1, 2, 3)]
    assert played.stuck == [
        (
            "Flow.j is stuck on and_(times(2, vote), chair): vote came 1 of 2 times "
            "and "
            "cannot come any more (nothing in the flow produces it); chair cannot come "
            "any "
            "more (nothing in the flow produces it). (flow.py:2)"
        )
    ]


# --- nested conditions (R9) ------------------------------------------------------


def test_and_over_merge_pairs_arrivals_of_either_with_the_other_input() -> None:
    """A merge inside a join is one place with several sources."""
    net = flow(hold=BEGIN, j=and_(merge("a", "b"), "c"))
    events = [(1, "a", "a"), (2, "b", "b"), (3, "c", "c1"), (4, "c", "c2")]
    played = play(net, takes={"hold": 9}, events=events)
    assert played.given("j") == [("a", "c1"), ("b", "c2")]


def test_an_inner_or_absorbs_what_comes_after_it_was_met() -> None:
    """R9: the later input is no part of what the step is handed."""
    net = flow(a=BEGIN, b=BEGIN, c=BEGIN, j=and_(or_("a", "b"), "c"))
    played = play(net, takes={"a": 1, "b": 2, "c": 3})
    assert played.given("j") == [("a1", "c1")]
    assert played.stuck == []


def test_what_an_unused_inner_condition_holds_is_absorbed() -> None:
    """R9: not stuck, once the outer round has fired."""
    net = flow(a=BEGIN, b=BEGIN, c=BEGIN, j=or_(and_("a", "b"), "c"))
    played = play(net, takes={"a": 1, "c": 2, "b": 3})
    assert played.at("j") == [2]
    assert played.stuck == []


def test_rounds_of_an_inner_condition_live_in_rounds_of_the_outer() -> None:
    """R9: the second pair of a and b belongs to the second round."""
    net = flow(hold=BEGIN, j=and_(or_("a", "b"), "c"))
    events = [(at, name, f"{name}{at}") for at, name in enumerate("abaccb", start=1)]
    played = play(net, takes={"hold": 9}, events=events)
    assert played.given("j") == [("a1", "c4"), ("a3", "c5")]


def test_all_active_may_stand_inside_another_condition() -> None:
    """It is met when nothing more can arrive at it."""
    net = flow(
        r=router(labels=["x", "y"]), a="x", b="y", c=BEGIN,
        j=and_(all_active("a", "b"), "c"),
    )  # fmt: skip
    played = play(net, takes={"a": 4, "c": 1}, routes={"r": ["x"]})
    assert played.given("j") == [("c1", "a1")]


def test_block_inside_another_condition_holds_only_its_own_part_back() -> None:
    """The other input of the outer condition fires it meanwhile."""
    net = looped(or_(any_of(1, "a", "b", rest="block"), "ping"))
    takes = {**NOTHING, "a": 1, "b": 9}
    events = [(3, "ping", "absorbed"), (4, "ping", "second")]
    played = play(net, takes=takes, routes=turns(2), events=events)
    assert played.at("j")[:2] == [1, 4]


def test_a_merge_of_joins_in_a_join_takes_one_of_them_a_round() -> None:
    """A round that has begun one branch leaves the other to the next round."""
    net = flow(hold=BEGIN, j=and_(merge(and_("a", "b"), "c"), "d"))
    events = [(at, name, f"{name}{at}") for at, name in enumerate("acddb", start=1)]
    played = play(net, takes={"hold": 9}, events=events)
    assert sorted(played.given("j")) == [("a1", "d3", "b5"), ("c2", "d4")]
    assert played.stuck == []


def test_a_join_of_one_input_is_that_input() -> None:
    """Legal, and no join at all."""
    for join in (and_("a"), or_("a"), all_active("a"), merge("a"), any_of(1, "a")):
        assert play(flow(a=BEGIN, j=join)).given("j") == ["a1"]


# --- rounds close (R7) -----------------------------------------------------------


def test_a_round_stays_open_while_a_branch_may_still_reach_it() -> None:
    """A late branch is absorbed by the round it belongs to, however late."""
    net = looped(any_of(1, "a", "b"))
    played = play(net, takes={**NOTHING, "a": 1, "b": [30, 1]}, routes=turns(3))
    assert played.at("j") == [1, 2, 3]
    assert played.ends == [(30, "completed")]


def test_a_round_closes_when_nothing_can_bring_what_is_missing() -> None:
    """Names from outside are no live work: each arrival is a round of its own."""
    net = flow(hold=BEGIN, j=or_("ping", "pong"))
    events = [(3, "ping", 1), (4, "pong", 2)]
    played = play(net, takes={"hold": 9}, events=events)
    assert played.at("j") == [3, 4]


def test_closed_rounds_are_forgotten() -> None:
    """The past stays small in a long loop, and the marking too."""
    net = looped(any_of(1, "a", "b"), most=500)
    takes = {**NOTHING, "a": 1, "b": 3}
    played = play(net, takes=takes, routes=turns(200), longest=20_000)
    assert len(played.at("j")) == 200
    assert max(len(firing.past) for _, firing in played.started) <= 4
    assert played.marking.rounds == {}
    assert played.marking.watched == {}
