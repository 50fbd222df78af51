"""What is live, and what is dead for a round (R6, R7).

Live work is what runs, and what is parked in another join and can still be met
there. It leads to an input if the graph has a way, past the join's own step. Steps
are bits and inputs are bits, so that a question costs rounds times live work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.ending import moved_by_events
from flowkit.core.marking import NOTHING, within
from flowkit.core.net import MET, bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.marking import Lane, Marking, Round

__all__ = ["circle", "dead_inputs", "older", "stays_open"]


def older(marking: Marking, each: Round) -> list[Round]:
    """The open rounds of the same join before this one."""
    rounds = marking.rounds[each.trigger.index, each.lane]
    return rounds[: rounds.index(each)]


def dead_inputs(marking: Marking, each: Round, aside: frozenset[int] = NOTHING) -> int:
    """The missing inputs that nothing live can still produce (R6), as a bitset.

    Args:
        aside: numbers of rounds whose tokens do not count as live work.
    """
    moving = _moving(marking, each)
    dead = _unreached(each, moving)
    if dead and len(marking.rounds) > 1:
        dead = _unreached(each, _with_parked(marking, each, aside, moving))
    if dead and each.fired:
        dead &= ~_turned(marking, each, dead)
    return dead


def stays_open(marking: Marking, each: Round) -> bool:
    """Whether an input of a round that has fired may still come (R7).

    Mostly the step that brings it is at work: then nobody asks what leads there.
    """
    trigger, number, lane = each.trigger, each.id, each.lane
    for slot in bits(trigger.full & ~each.arrived):
        near = trigger.near[slot]
        for firing in marking.live.values():
            if firing.node.index in near and firing.lane == lane:
                past = firing.past
                if not past or (number not in past and -number not in past):
                    return True
    return each.arrived | dead_inputs(marking, each) != trigger.full


def _turned(marking: Marking, each: Round, dead: int) -> int:
    """The inputs that work of this round's own turn leads to, but for loops (R5)."""
    moving = 0
    for firing in marking.live.values():
        if -each.id in firing.past and each.id not in firing.past:
            moving |= firing.node.bit
    for bit, past in _groups(marking, each.lane):
        if -each.id in past and each.id not in past:
            moving |= bit
    if not moving:
        return 0
    return dead & ~each.trigger.turns & ~_unreached(each, moving)


def _moving(marking: Marking, each: Round) -> int:
    """Steps with firings that this round, or its turn of a loop, did not cause."""
    number, lane = each.id, each.lane
    moving = 0
    lanes = marking.lanes
    if lane and lanes is not None and not (marking.late or lanes.at_work(lane)):
        return moving
    for firing in marking.live.values():
        if firing.lane != lane and not _leads(marking, firing.lane, lane):
            continue
        past = firing.past
        if not past or (number not in past and -number not in past):
            moving |= firing.node.bit
    for bit, past in _groups(marking, lane):
        if number not in past and -number not in past:
            moving |= bit
    return moving


def _groups(marking: Marking, lane: Lane) -> Iterator[tuple[int, frozenset[int]]]:
    """Groups that are to open, and those with a gather that has not fired (R6)."""
    for what, *about in marking.late:
        if what == "open":
            node, token, past = about
            if _leads(marking, token.lane, lane):
                yield node.bit, past
    if marking.lanes is not None:
        for group in marking.lanes.groups.values():
            if not group.silent and _leads(marking, group.lane, lane):
                yield group.node.bit, group.past


def _leads(marking: Marking, there: Lane, lane: Lane) -> bool:
    """Whether work in a lane leads to one around it: by gathers that have not fired."""
    if not within(there, lane):
        return False
    return marking.lanes is None or not marking.lanes.muted(there, len(lane))


def _unreached(each: Round, moving: int) -> int:
    dead = 0
    reach = each.trigger.reach
    for slot in bits(each.trigger.full & ~each.arrived):
        if not reach[slot] & moving:
            dead |= 1 << slot
    return dead


def _beside(marking: Marking, each: Round, aside: frozenset[int]) -> list[Round]:
    """Rounds parked in other steps that this round did not cause."""
    node, number, fired = each.trigger.node, each.id, each.fired
    lane = each.lane
    return [
        parked
        for parked in marking.parked(lane)
        if parked.trigger.node is not node
        and (parked.lane == lane or _leads(marking, parked.lane, lane))
        and parked.id not in aside
        and not (
            fired
            and any(
                number in token.past
                for tokens in parked.held.values()
                for token in tokens
            )
        )
    ]


def _with_parked(
    marking: Marking, each: Round, aside: frozenset[int], moving: int
) -> int:
    """The steps that move, and those of parked rounds that can still be met."""
    parked = _beside(marking, each, aside)
    if not parked:
        return moving
    net = each.trigger.net
    outside = moved_by_events(net, marking) if net.events else 0
    changed = True
    while changed:
        changed = False
        for other in parked:
            bit = other.trigger.node.bit
            if not moving & bit and _can_move(other, moving | outside):
                moving |= bit
                changed = True
    return moving


def _can_move(each: Round, moving: int) -> bool:
    trigger = each.trigger
    dead = _unreached(each, moving) & ~trigger.external
    return trigger.tree.status(trigger.full & ~dead, dead) == MET


def circle(
    marking: Marking,
    ready: list[Round],
    waiting: list[Round],
    aside: frozenset[int],
) -> list[Round]:
    """Those ready rounds that wait on no other but one that waits on them."""
    ahead = _closed({each.id: _ahead(marking, each, waiting) for each in waiting})
    ripe = {each.id for each in ready}
    alone = {
        each.id
        for each in waiting
        if each.id not in ripe and _moves_alone(marking, each, aside)
    }
    return [
        each
        for each in ready
        if not ahead[each.id] & alone
        and all(each.id in ahead[number] for number in ahead[each.id] & ripe)
    ]


def _moves_alone(marking: Marking, each: Round, aside: frozenset[int]) -> bool:
    net = each.trigger.net
    moving = _with_parked(marking, each, aside, _moving(marking, each))
    outside = moved_by_events(net, marking) if net.events else 0
    return _can_move(each, moving | outside)


def _ahead(marking: Marking, each: Round, waiting: list[Round]) -> set[int]:
    """The waiting rounds in other steps that a round waits on."""
    blockers = [each, *older(marking, each)] if each.trigger.blocks else [each]
    reach = 0
    for blocker in blockers:
        for slot in bits(each.trigger.full & ~blocker.arrived):
            reach |= each.trigger.reach[slot]
    return {other.id for other in waiting if reach & other.trigger.node.bit}


def _closed(ahead: dict[int, set[int]]) -> dict[int, set[int]]:
    """The transitive closure."""
    changed = True
    while changed:
        changed = False
        for each, known in ahead.items():
            wider = known.union(*(ahead[number] for number in known))
            if len(wider) > len(known):
                ahead[each] = wider
                changed = True
    return ahead
