"""Properties of the rules on random nets: P1-P4, P7 and P8 of patterns.md.

Each play is replayed and its tokens accounted for by the player itself (P7, P8).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import given, settings

from flowkit.core.net import MET
from tests.core.nets import branching, choosing, counted, looped, tangled
from tests.core.player import Played, play

if TYPE_CHECKING:
    from tests.core.nets import Case

EXAMPLES = settings(
    max_examples=100_000 if os.environ.get("FLOWKIT_PROVE") == "1" else 400
)


def pairs_token_by_token(case: Case) -> None:
    """P1: exactly min(counts) firings, the k-th with the k-th, the rest reported."""
    played = play(case.definition, **case.script)
    least, most = min(case.expected.values()), max(case.expected.values())
    arrived = {
        name: [payload for _, each, payload in case.script["events"] if each == name]
        for name in case.expected
    }
    given_to = [set(each) for each in played.given("join")]
    assert given_to == [
        {payloads[turn] for payloads in arrived.values()} for turn in range(least)
    ]
    assert len(played.stuck) == most - least


def fires_once_a_turn(case: Case) -> None:
    """P2: n of m in a loop of k turns: k firings, whatever happens to the rest."""
    turns, moments = case.expected
    played = play(case.definition, **case.script)
    assert len(played.at("join")) == turns
    assert moments is None or played.at("join") == moments
    assert len(played.at("last")) == 1
    heads = [
        name for name in set(played.order) if name.endswith("0") and name[0] == "b"
    ]
    assert {len(played.at(name)) for name in heads} == {turns}
    assert played.stuck == []
    assert played.status == "completed"


def joins_what_was_chosen(case: Case) -> None:
    """P3: the join of an exclusive choice fires once a turn."""
    played = play(case.definition, **case.script)
    assert len(played.at("join")) == case.expected
    assert played.stuck == []


def waits_for_all_that_may_come(case: Case) -> None:
    """P4: one firing a turn if anything arrived, when the last of it is through."""
    turns, aside = case.expected
    played = play(case.definition, **case.script)
    begins, fired = played.at("begin"), played.at("join")
    assert len(begins) <= turns
    for turn, begin in enumerate(begins):
        until = begins[turn + 1] if turn + 1 < len(begins) else float("inf")
        ends = [
            (time, firing.node.name)
            for time, firing in played.ended
            if firing.node.name not in aside | {"join", "more", "last"}
            and begin < time <= until
        ]
        leaves = [name for _, name in ends if name.startswith("leaf")]
        now = [time for time in fired if begin < time <= until]
        assert now == ([max(time for time, _ in ends)] if leaves else [])
        given_now = played.given("join")[fired.index(now[0])] if leaves else ()
        assert isinstance(given_now, str) or len(given_now) == len(leaves)
    assert played.stuck == []


def accounts_for_everything(case: Case) -> None:
    """P7, P8: the run ends or waits, and nothing that could fire is left behind."""
    played = play(case.definition, **case.script)
    if played.status == "completed":
        for each in played.marking.parked():
            missing = each.trigger.full & ~each.arrived
            assert each.trigger.tree.status(each.arrived, missing) != MET


def changes_nothing_but_waits(case: Case) -> None:
    """Deferral: what starts and ends, and when, is the same with it and without."""

    def told(played: Played) -> object:
        started = [(at, each.node.name) for at, each in played.started]
        ended = [(at, each.node.name) for at, each in played.ended]
        return started, ended, played.stuck, played.status

    later = play(case.definition, **case.script, defers=True)
    assert told(later) == told(play(case.definition, **case.script))


@EXAMPLES
@given(counted())
def test_and_pairs_the_kth_token_with_the_kth(case: Case) -> None:
    """P1: exactly min(counts) firings, the rest is reported as stuck."""
    pairs_token_by_token(case)


@EXAMPLES
@given(looped())
def test_a_partial_join_in_a_loop_fires_once_a_turn(case: Case) -> None:
    """P2: for all three kinds of ``rest``, any durations and branches."""
    fires_once_a_turn(case)


@EXAMPLES
@given(choosing())
def test_a_join_of_exclusive_branches_fires_once_a_turn(case: Case) -> None:
    """P3: ``or_``, ``merge`` and ``all_active`` alike."""
    joins_what_was_chosen(case)


@EXAMPLES
@given(branching())
def test_all_active_fires_once_after_the_last_arrival(case: Case) -> None:
    """P4: behind any tree of choices, with retries and side branches, in a loop."""
    waits_for_all_that_may_come(case)


@EXAMPLES
@given(tangled())
def test_every_token_is_accounted_for_in_any_net(case: Case) -> None:
    """P7, P8: consumed once, absorbed, purged or reported; replayed alike."""
    accounts_for_everything(case)


@EXAMPLES
@given(tangled())
def test_deferred_firings_change_nothing_but_waits(case: Case) -> None:
    """Retried or held back until the time it ends, a firing leaves what it would."""
    changes_nothing_but_waits(case)
