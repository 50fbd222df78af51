"""Rules broken on purpose: each break must fail a property or a rule test.

Each break stands beside what it replaces and the check that has to notice it.
"""

from __future__ import annotations

from typing import Any

import pytest

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
    outside,
    rounds,
    settling,
    windows,
    withdraw,
)
from flowkit.core.records import StepAnswered, StepDeferred
from tests.core import (
    lane_nets,
    nets,
    test_cancelling,
    test_deferrals,
    test_gates,
    test_groups,
    test_lane_properties,
    test_machine,
    test_properties,
    test_rounds,
    test_windows,
)
from tests.core.breaking import PROPERTIES, RULES, breaks, fails, over

in_turns = over(nets.looped, test_properties.fires_once_a_turn)
in_pairs = over(nets.counted, test_properties.pairs_token_by_token)
in_trees = over(nets.branching, test_properties.waits_for_all_that_may_come)
in_tangles = over(nets.tangled, test_properties.accounts_for_everything)
in_lanes = over(lane_nets.grouped, test_lane_properties.keeps_the_rules_in_lanes)
in_cuts = over(lane_nets.cut, test_lane_properties.cancels_for_good)
in_gates = over(lane_nets.gated, test_lane_properties.shares_and_ends)
in_failures = over(lane_nets.failing, test_lane_properties.counts_failures)
in_deferrals = over(nets.tangled, test_properties.changes_nothing_but_waits)
in_deferred_lanes = over(lane_nets.wild, test_lane_properties.keeps_lanes_and_gates)
in_deferred_gates = over(lane_nets.gated, test_lane_properties.keeps_its_mutex)

HANDLERS = machine._HANDLERS
HANDLERS |= outside.HANDLERS  # else the first of them would take a break away
fire, arrive = rounds.fire, rounds.arrive
withdraw_as_it_is = withdraw.withdraw


@breaks(rounds, "fire", in_turns)
def without_past(*arguments: Any, past: Any = None, **more: Any) -> None:
    """R5 broken: nobody remembers which rounds caused it."""
    fire(*arguments[:5], **more)


@breaks(rounds, "arrive", in_pairs)
def newest_round(place: Any, trigger: Any, slot: int, token: Any, out: Any) -> None:
    """R4 broken: the newest round takes the token, not the oldest."""
    known = place.rounds.get((trigger.index, ()))
    if known:
        known.reverse()
    arrive(place, trigger, slot, token, out)


@breaks(
    rounds,
    "_takes",
    test_rounds.test_a_label_of_a_later_choice_is_not_absorbed_by_an_earlier_round,
)
def absorbing_labels(each: Any, trigger: Any, slot: int, token: Any) -> bool:
    """R4 broken: a later choice of a router is absorbed like any token."""
    return not each.arrived >> slot & 1 and each.id not in token.past


@breaks(
    rounds,
    "older",
    test_rounds.test_block_holds_the_next_round_until_the_first_is_complete,
)
def nothing_held_back(*_: Any, **__: Any) -> list[Any]:
    """R4 broken: ``block`` does not see older rounds."""
    return []


@breaks(rounds, "dead_inputs", in_trees)
def all_dead(_: Any, each: Any, *__: Any) -> int:
    """R6 broken: what has not come is dead."""
    return each.trigger.full & ~each.arrived


@breaks(rounds, "dead_inputs", in_trees)
def none_dead(*_: Any) -> int:
    """R6 broken: everything may still come."""
    return 0


@breaks(
    dead,
    "_with_parked",
    test_rounds.test_all_active_waits_for_what_is_parked_beside_an_event,
)
def parked_is_dead(_: Any, __: Any, ___: Any, moving: int) -> int:
    """R6 broken: parked tokens are not live work."""
    return moving


@breaks(
    rounds, "_mutual", test_rounds.test_two_joins_that_wait_on_each_other_fire_once_each
)
def never_mutual(*_: Any) -> bool:
    """R7 broken: joins that wait on each other wait forever."""
    return False


@breaks(
    net.Trigger,
    "exclusive",
    test_rounds.test_a_racer_that_feeds_somebody_else_is_spared_and_absorbed,
)
def all_upstream(trigger: Any, tree: Any) -> int:
    """R8 broken: branches that feed others are cancelled, too."""
    return sum(
        {
            1 << at
            for slot in trigger.slots
            for at in net.bits(trigger.reach[slot.index])
        }
    )


@breaks(rounds, "_race", test_rounds.test_the_majority_ends_the_vote)
def nobody_cancelled(*_: Any) -> bool:
    """R8 broken: the losers go on."""
    return False


@breaks(
    rounds,
    "_consumed",
    test_rounds.test_an_inner_or_absorbs_what_comes_after_it_was_met,
)
def all_of_it(each: Any) -> tuple[Any, ...]:
    """R9 broken: what was absorbed is handed over all the same."""
    return tuple(each.tokens())


@breaks(machine, "same_turn", in_turns)
def no_turn(*_: Any) -> None:
    """R5 broken: the entry of a loop does not know that it is one."""


@breaks(
    ending, "moved_by_events", test_machine.test_an_event_listener_keeps_a_run_waiting
)
def nothing_outside(*_: Any) -> int:
    """R14 broken: a run with event listeners ends."""
    return 0


@breaks(marking.Marking, "close", test_rounds.test_closed_rounds_are_forgotten)
def keeps_a_copy(place: Any, each: Any) -> None:
    """R7 broken: a round that has closed takes more."""
    place.watched.pop(each.id, None)


@breaks(fanning, "pump", in_lanes)
def one_lane(place: Any, group: Any, out: Any) -> None:
    """R10 broken: instances share the lane around them."""
    while group.items:
        _, item = group.items.popleft()
        number = place.next_firing
        place.next_firing = number + 1
        firing = marking.Firing(number, group.node, group.name, item, lane=group.lane)
        fanning.begin(place, firing, out)


@breaks(lanes.Group, "full", in_lanes, as_=property)
def without_limit(*_: Any) -> bool:
    """R12 broken: a group is never full."""
    return False


@breaks(lanes.Results, "put", in_lanes)
def in_order_of_arrival(results: Any, index: int, value: Any) -> None:
    """R10 broken: results as they came."""
    results.indexes.append(index)
    results.values.append(value)


@breaks(groups, "_withdraw_rest", in_lanes)
@breaks(acts, "withdraw", in_cuts)
def ignores_cancel(*_: Any, **__: Any) -> None:
    """R10, R13 broken: what is not needed, or cancelled, goes on."""


@breaks(gates, "_takes", in_gates)
def unguarded(_: Any, __: Any, ___: Any) -> bool:
    """R12 broken: whoever comes may have a mutex."""
    return True


@breaks(gates, "free", in_gates)
def never_free(*_: Any) -> None:
    """R12 broken: a mutex stays with who had it."""


@breaks(acts, "withdraw", test_cancelling.test_the_step_that_asks_is_spared)
def spares_nobody(tables: Any, place: Any, nodes: int, out: Any, **more: Any) -> None:
    """R13 broken: who asks is cancelled, too."""
    withdraw_as_it_is(tables, place, nodes, out, **{**more, "asking": -1})


@breaks(
    leaving,
    "goes_on",
    test_cancelling.test_an_instance_that_cancels_its_own_group_ends_unheard,
)
def always_there(*_: Any) -> bool:
    """R13 broken: a lane that is over goes on."""
    return True


@breaks(groups, "collect", in_lanes)
def never_gathers(place: Any, gather: Any, token: Any, out: Any) -> None:
    """R10 broken: results are forgotten until the end."""


@breaks(dead, "_groups", in_lanes)
def no_groups(*_: Any) -> list[Any]:
    """R6 broken: an open group is not live work."""
    return []


@breaks(groups, "_unhandled", in_failures)
@breaks(
    groups,
    "_stuck",
    test_groups.test_a_join_that_cannot_fire_is_reported_when_its_lane_is_over,
)
@breaks(
    late,
    "next_in_line",
    test_gates.test_all_events_in_line_are_missed_when_the_time_is_over,
)
@breaks(
    gates,
    "_leave_regions",
    test_gates.test_a_region_holds_its_mutex_until_nothing_is_left_to_do_in_it,
)
@breaks(
    windows,
    "_disarm",
    test_windows.test_a_window_ends_when_nothing_has_come_for_so_long,
)
def swallows(*_: Any) -> None:
    """R2, R10, R12 broken: what is to be told or freed is not."""


@breaks(
    rounds,
    "stays_open",
    test_rounds.test_a_round_closes_when_nothing_can_bring_what_is_missing,
)
def never_closed(*_: Any) -> bool:
    """R7 broken: a round that has fired never closes."""
    return True


@breaks(
    rounds,
    "stays_open",
    test_rounds.test_a_round_stays_open_while_a_branch_may_still_reach_it,
)
def closed_at_once(*_: Any) -> bool:
    """R7 broken: a round closes as it fires."""
    return False


@breaks(gates, "_phase", test_gates.test_a_step_before_its_time_waits_for_it)
def always_open(*_: Any) -> Any:
    """R12 broken: a milestone is open from the beginning."""
    return gates.OPEN


@breaks(
    gates,
    "_needs",
    test_gates.test_of_steps_with_a_mutex_one_runs_at_a_time_in_the_order_they_came,
)
def overtaking(gate: Any, node: Any) -> Any:
    """R12 broken: nobody takes a mutex while somebody waits."""
    return iter([node.mutex] if node.mutex and gate.waiting == {} else [])


@breaks(marking.Round, "tokens", in_tangles)
def twice(each: Any) -> list[Any]:
    """R4 broken: a step is given each token two times."""
    return [token for tokens in each.held.values() for token in tokens] * 2


defer, answer = HANDLERS[StepDeferred], HANDLERS[StepAnswered]


@breaks(HANDLERS, StepDeferred, in_deferrals)
def forgotten(tables: Any, place: Any, record: Any) -> Any:
    """Deferral broken: what is to begin again is live no more."""
    place.live.pop(record.firing, None)
    return ()


@breaks(HANDLERS, StepDeferred, in_deferred_gates)
def gives_its_mutex_up(tables: Any, place: Any, record: Any) -> Any:
    """Deferral broken: another one may come between two attempts."""
    firing = place.live.get(record.firing)
    if firing is not None and firing.node.gated:
        gates.free(place, firing)
    return defer(tables, place, record)


@breaks(HANDLERS, StepDeferred, in_deferred_lanes)
def leaves_its_lane(tables: Any, place: Any, record: Any) -> Any:
    """Deferral broken: an instance between two attempts is not live in its lane."""
    firing = place.live.get(record.firing)
    if firing is not None and firing.lane and place.lanes is not None:
        place.lanes.leave(firing.lane)
    return defer(tables, place, record)


@breaks(
    HANDLERS,
    StepDeferred,
    test_deferrals.test_a_firing_waits_for_its_time_and_the_run_with_it,
)
def begins_at_once(tables: Any, place: Any, record: Any) -> Any:
    """Deferral broken: nobody waits until it is due."""
    return defer(tables, place, record._replace(due=record.at))


@breaks(
    HANDLERS,
    StepDeferred,
    test_deferrals.test_the_open_questions_of_an_attempt_go_with_it,
)
def keeps_its_questions(tables: Any, place: Any, record: Any) -> Any:
    """Deferral broken: what an attempt has asked is answered in the next one."""
    asked = place.asked.get(record.firing, {})
    commands = defer(tables, place, record)
    place.asked[record.firing].update(asked)
    return commands


@breaks(
    HANDLERS,
    StepDeferred,
    test_deferrals.test_a_limit_that_holds_a_firing_back_is_no_attempt,
)
def counts_every_one(tables: Any, place: Any, record: Any) -> Any:
    """Deferral broken: what a limit holds back is an attempt more."""
    place.live[record.firing].attempt += record.error is None
    return defer(tables, place, record)


@breaks(
    HANDLERS,
    StepAnswered,
    test_deferrals.test_a_deferral_does_not_count_firings_anew,
)
def counts_anew(tables: Any, place: Any, record: Any) -> Any:
    """Deferral, R11 broken: its time is an answer from outside."""
    place.fired = [0] * len(place.fired)
    return answer(tables, place, record)


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_notices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule broken on purpose does not pass the properties."""
    PROPERTIES[name].apply(monkeypatch)
    fails(PROPERTIES[name].check)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_test_notices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule broken on purpose does not pass the test that states it."""
    check = RULES[name].check
    check()
    RULES[name].apply(monkeypatch)
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
    fails(in_turns)
