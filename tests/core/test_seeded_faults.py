"""Rules broken on purpose: each break must fail a property or a rule test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from flowkit.core import (
    acts,
    dead,
    ending,
    fanning,
    gates,
    groups,
    lanes,
    late,
    leaving,
    machine,
    marking,
    net,
    rounds,
    settling,
    windows,
    withdraw,
)
from tests.core import (
    lane_nets,
    nets,
    test_cancelling,
    test_gates,
    test_groups,
    test_lane_properties,
    test_machine,
    test_properties,
    test_rounds,
    test_windows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Break = tuple[object, str, Any]


def fails(strategy: Any, check: Callable[[Any], None]) -> None:
    """Whether a property fails within the first few hundred cases."""
    draw = settings(
        max_examples=500,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(Exception) as caught:
        draw(given(strategy)(check))()
    assert not isinstance(caught.value, TypeError | AttributeError | NameError)


def without_past(*arguments: Any, past: Any = None, **more: Any) -> None:
    """R5 broken: nobody remembers which rounds caused it."""
    fire(*arguments[:5], **more)


def newest_round(place: Any, trigger: Any, slot: int, token: Any, out: Any) -> None:
    """R4 broken: the newest round takes the token, not the oldest."""
    known = place.rounds.get((trigger.index, ()))
    if known:
        known.reverse()
    arrive(place, trigger, slot, token, out)


def absorbing_labels(each: Any, trigger: Any, slot: int, token: Any) -> bool:
    """R4 broken: a later choice of a router is absorbed like any token."""
    return not each.arrived >> slot & 1 and each.id not in token.past


def nothing_held_back(*_: Any, **__: Any) -> list[Any]:
    """R4 broken: ``block`` does not see older rounds."""
    return []


def all_dead(_: Any, each: Any, *__: Any) -> int:
    """R6 broken: what has not come is dead."""
    return each.trigger.full & ~each.arrived


def none_dead(*_: Any) -> int:
    """R6 broken: everything may still come."""
    return 0


def parked_is_dead(_: Any, __: Any, ___: Any, moving: int) -> int:
    """R6 broken: parked tokens are not live work."""
    return moving


def never_mutual(*_: Any) -> bool:
    """R7 broken: joins that wait on each other wait forever."""
    return False


def all_upstream(trigger: Any, tree: Any) -> int:
    """R8 broken: branches that feed others are cancelled, too."""
    return sum(
        {
            1 << at
            for slot in trigger.slots
            for at in net.bits(trigger.reach[slot.index])
        }
    )


def nobody_cancelled(*_: Any) -> bool:
    """R8 broken: the losers go on."""
    return False


def all_of_it(each: Any) -> tuple[Any, ...]:
    """R9 broken: what was absorbed is handed over all the same."""
    return tuple(each.tokens())


def no_turn(*_: Any) -> None:
    """R5 broken: the entry of a loop does not know that it is one."""


def nothing_outside(*_: Any) -> int:
    """R14 broken: a run with event listeners ends."""
    return 0


def keeps_a_copy(place: Any, each: Any) -> None:
    """R7 broken: a round that has closed takes more."""
    place.watched.pop(each.id, None)


def one_lane(place: Any, group: Any, out: Any) -> None:
    """R10 broken: instances share the lane around them."""
    while group.items:
        _, item = group.items.popleft()
        number = place.next_firing
        place.next_firing = number + 1
        firing = marking.Firing(number, group.node, group.name, item, lane=group.lane)
        fanning.begin(place, firing, out)


def without_limit(*_: Any) -> bool:
    """R12 broken: a group is never full."""
    return False


def in_order_of_arrival(group: Any, gather: Any) -> list[Any]:
    """R10 broken: results as they came."""
    return list(group.results.get(gather.index, {}).values())


def ignores_cancel(*_: Any, **__: Any) -> None:
    """R10 broken: what is not needed goes on."""


def unguarded(_: Any, __: Any, ___: Any) -> bool:
    """R12 broken: whoever comes may have a mutex."""
    return True


def never_free(*_: Any) -> None:
    """R12 broken: a mutex stays with who had it."""


def spares_nobody(tables: Any, place: Any, nodes: int, out: Any, **more: Any) -> None:
    """R13 broken: who asks is cancelled, too."""
    withdraw_as_it_is(tables, place, nodes, out, **{**more, "asking": -1})


def always_there(*_: Any) -> bool:
    """R13 broken: a lane that is over goes on."""
    return True


def never_gathers(place: Any, gather: Any, token: Any, out: Any) -> None:
    """R10 broken: results are forgotten until the end."""


def no_groups(*_: Any) -> list[Any]:
    """R6 broken: an open group is not live work."""
    return []


def swallows(*_: Any) -> None:
    """R10 broken: nobody hears of a group that has failed."""


withdraw_as_it_is = withdraw.withdraw
fire, arrive = rounds.fire, rounds.arrive

BY_PROPERTY = {
    "past": ((rounds, "fire", without_past), nets.looped, "fires_once_a_turn"),
    "oldest": ((rounds, "arrive", newest_round), nets.counted,
               "pairs_token_by_token"),
    "dead": ((rounds, "dead_inputs", all_dead), nets.branching,
             "waits_for_all_that_may_come"),
    "alive": ((rounds, "dead_inputs", none_dead), nets.branching,
              "waits_for_all_that_may_come"),
    "turn": ((machine, "same_turn", no_turn), nets.looped, "fires_once_a_turn"),
    "lane": ((fanning, "pump", one_lane), lane_nets.grouped, "keeps_the_rules_in_lanes"),
    "limit": ((lanes.Group, "full", property(without_limit)), lane_nets.grouped,
              "keeps_the_rules_in_lanes"),
    "index": ((groups, "_values", in_order_of_arrival), lane_nets.grouped,
              "keeps_the_rules_in_lanes"),
    "early": ((groups, "collect", never_gathers), lane_nets.grouped,
              "keeps_the_rules_in_lanes"),
    "rest": ((groups, "_withdraw_rest", ignores_cancel), lane_nets.grouped,
             "keeps_the_rules_in_lanes"),
    "groups": ((dead, "_groups", no_groups), lane_nets.grouped,
               "keeps_the_rules_in_lanes"),
    "cancel": ((acts, "withdraw", ignores_cancel), lane_nets.cut, "cancels_for_good"),
    "holder": ((gates, "_takes", unguarded), lane_nets.gated, "shares_and_ends"),
    "freed": ((gates, "free", never_free), lane_nets.gated, "shares_and_ends"),
    "policy": ((groups, "_unhandled", swallows), lane_nets.failing, "counts_failures"),
    "ledger": ((marking.Round, "tokens", lambda each: [
        token for tokens in each.held.values() for token in tokens
    ] * 2), nets.tangled, "accounts_for_everything"),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_PROPERTY)
def test_a_property_notices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule broken on purpose does not pass the properties."""
    (place, what, broken), strategy, check = BY_PROPERTY[name]
    monkeypatch.setattr(place, what, broken)
    here = test_properties if hasattr(test_properties, check) else test_lane_properties
    fails(strategy(), getattr(here, check))


BY_RULE: dict[str, tuple[Break, Callable[[], None]]] = {
    "labels": (
        (rounds, "_takes", absorbing_labels),
        test_rounds.test_a_label_of_a_later_choice_is_not_absorbed_by_an_earlier_round,
    ),
    "block": (
        (rounds, "older", nothing_held_back),
        test_rounds.test_block_holds_the_next_round_until_the_first_is_complete,
    ),
    "parked": (
        (dead, "_with_parked", parked_is_dead),
        test_rounds.test_all_active_waits_for_what_is_parked_beside_an_event,
    ),
    "mutual": (
        (rounds, "_mutual", never_mutual),
        test_rounds.test_two_joins_that_wait_on_each_other_fire_once_each,
    ),
    "exclusive": (
        (net.Trigger, "exclusive", all_upstream),
        test_rounds.test_a_racer_that_feeds_somebody_else_is_spared_and_absorbed,
    ),
    "race": (
        (rounds, "_race", nobody_cancelled),
        test_rounds.test_the_majority_ends_the_vote,
    ),
    "open": (
        (rounds, "stays_open", lambda *_: True),
        test_rounds.test_a_round_closes_when_nothing_can_bring_what_is_missing,
    ),
    "closed": (
        (rounds, "stays_open", lambda *_: False),
        test_rounds.test_a_round_stays_open_while_a_branch_may_still_reach_it,
    ),
    "closing": (
        (marking.Marking, "close", keeps_a_copy),
        test_rounds.test_closed_rounds_are_forgotten,
    ),
    "absorbed": (
        (rounds, "_consumed", all_of_it),
        test_rounds.test_an_inner_or_absorbs_what_comes_after_it_was_met,
    ),
    "spared": (
        (acts, "withdraw", spares_nobody),
        test_cancelling.test_the_step_that_asks_is_spared,
    ),
    "over": (
        (leaving, "goes_on", always_there),
        test_cancelling.test_an_instance_that_cancels_its_own_group_ends_unheard,
    ),
    "stuck lane": (
        (groups, "_stuck", swallows),
        test_groups.test_a_join_that_cannot_fire_is_reported_when_its_lane_is_over,
    ),
    "milestone": (
        (gates, "_phase", lambda *_: gates.OPEN),
        test_gates.test_a_step_before_its_time_waits_for_it,
    ),
    "line": (
        (late, "next_in_line", swallows),
        test_gates.test_all_events_in_line_are_missed_when_the_time_is_over,
    ),
    "region": (
        (gates, "_leave_regions", swallows),
        test_gates.test_a_region_holds_its_mutex_until_nothing_is_left_to_do_in_it,
    ),
    "overtaking": (
        (
            gates,
            "_needs",
            lambda gate, node: iter(
                [node.mutex] if node.mutex and gate.waiting == {} else []
            ),
        ),
        test_gates.test_of_steps_with_a_mutex_one_runs_at_a_time_in_the_order_they_came,
    ),
    "gap": (
        (windows, "_disarm", swallows),
        test_windows.test_a_window_ends_when_nothing_has_come_for_so_long,
    ),
    "waiting": (
        (ending, "moved_by_events", nothing_outside),
        test_machine.test_an_event_listener_keeps_a_run_waiting,
    ),
}


@pytest.mark.parametrize("name", BY_RULE)
def test_a_rule_test_notices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule broken on purpose does not pass the test that states it."""
    (place, what, broken), check = BY_RULE[name]
    check()
    monkeypatch.setattr(place, what, broken)
    with pytest.raises(AssertionError):
        check()


def test_the_player_notices_a_decision_that_is_not_repeatable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P8: a core that decides by chance does not pass a single play."""
    settle, chance = rounds.settle, iter(range(10_000))

    def drifting(place: Any, out: Any) -> None:
        settle(place, out)
        place.next_token += next(chance)

    monkeypatch.setattr(settling, "settle", drifting)
    fails(nets.looped(), test_properties.fires_once_a_turn)
