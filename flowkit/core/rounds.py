"""Joins: tokens into rounds, rounds into firings (R4-R9).

Three moments, in this order after every commit:

1. :func:`arrive` puts a token into the oldest round that may take it;
2. a round that holds what it needs fires at once;
3. :func:`settle` moves the rounds that depend on dead inputs, to a fixed point.

A round fires once and closes when each input has arrived or is dead. An input is
dead for a round when no live work can still lead to it (R6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.commands import Cancel, Command
from flowkit.core.marking import NOTHING, Firing, Lane, Marking, Round, Token
from flowkit.core.net import DEAD, MET, Trigger, bits

if TYPE_CHECKING:
    from flowkit.core.net import Node, Tree

__all__ = ["arrive", "dead_inputs", "fire", "forget", "mutual", "settle"]


def fire(
    marking: Marking,
    node: Node,
    token: Token,
    out: list[Command],
    tokens: tuple[Token, ...] | None = None,
    past: frozenset[int] = NOTHING,
) -> None:
    """Make a firing of ``node`` ready; an event listener takes one at a time."""
    number = marking.next_firing
    marking.next_firing = number + 1
    firing = Firing(number, node, token.name, token.payload, past, tokens)
    if node.serial:
        behind = any(each.node is node for each in marking.live.values())
        marking.live[number] = firing
        if behind:
            _queue(marking, firing)
            return
    else:
        marking.live[number] = firing
    marking.fired[node.index] += 1
    out.append(firing)


def _queue(marking: Marking, firing: Firing) -> None:
    from collections import deque  # rarely needed: an event behind an event

    if marking.queued is None:
        marking.queued = {}
    marking.queued.setdefault(firing.node.index, deque()).append(firing)


def arrive(
    marking: Marking, trigger: Trigger, slot: int, token: Token, out: list[Command]
) -> None:
    """Put a token into the round it belongs to, and fire that round if it is met."""
    key = (trigger.index, _lane(token))
    rounds = marking.rounds.get(key)
    if rounds is None:
        rounds = marking.rounds[key] = []
    for each in rounds:
        if _takes(each, trigger, slot, token):
            break
    else:
        each = Round(marking.next_round, trigger, key[1])
        marking.next_round += 1
        rounds.append(each)
        if trigger.sensitive:
            marking.watched[each.id] = each
    held = each.held.setdefault(slot, [])
    held.append(token)
    if len(held) >= trigger.slots[slot].need:
        each.arrived |= 1 << slot
    if each.fired:
        if each.arrived == trigger.full:
            _close(marking, each)
        return
    _race(marking, each, 0, out)
    if not trigger.sensitive and trigger.tree.status(each.arrived, 0) == MET:
        _fire_round(marking, each, out)


def _lane(token: Token) -> Lane:
    return ()


def _takes(each: Round, trigger: Trigger, slot: int, token: Token) -> bool:
    if each.arrived >> slot & 1 or each.id in token.past:
        return False
    place = trigger.slots[slot]
    if any(merge.status(each.arrived, 0) == MET for merge in place.merges):
        return False
    if each.fired and token.router >= 0:
        return not any(
            held.router == token.router and held.source < token.source
            for tokens in each.held.values()
            for held in tokens
        )
    return True


def _fire_round(marking: Marking, each: Round, out: list[Command]) -> None:
    tokens = tuple(each.tokens())
    each.fired = True
    if each.arrived == each.trigger.full:
        _close(marking, each)
        own = NOTHING
    else:
        marking.watched[each.id] = each
        own = frozenset((each.id,))
    past = own.union(*(token.past for token in tokens)) if own or tokens else own
    if past:
        past = frozenset(
            number
            for number in past
            if number in marking.watched and marking.watched[number].fired
        )
    fire(marking, each.trigger.node, tokens[-1], out, tokens, past)


def _close(marking: Marking, each: Round) -> None:
    marking.watched.pop(each.id, None)
    key = (each.trigger.index, each.lane)
    rounds = marking.rounds[key]
    rounds.remove(each)
    if not rounds:
        del marking.rounds[key]


def settle(marking: Marking, out: list[Command]) -> None:
    """Fire and close what dead inputs allow, until nothing moves any more (R3)."""
    moved = True
    while moved and marking.watched:
        moved = False
        for each in list(marking.watched.values()):
            if each.id in marking.watched and _move(marking, each, out):
                moved = True


def _move(marking: Marking, each: Round, out: list[Command]) -> bool:
    dead = dead_inputs(marking, each)
    if each.fired:
        _race(marking, each, dead, out)
        if each.arrived | dead == each.trigger.full:
            _close(marking, each)
            return True
        return False
    if not _met(marking, each, dead):
        return False
    before = len(out)
    _fire_round(marking, each, out)
    _race(marking, each, dead, out)
    return len(out) > before or each.fired


def _met(marking: Marking, each: Round, dead: int) -> bool:
    """Whether a round with ``all_active`` or ``block`` in it may fire now."""
    tree = each.trigger.tree
    if not each.arrived or tree.status(each.arrived, dead) != MET:
        return False
    blocked = [part for part in tree.walk() if part.rest == "block"]
    if not blocked:
        return True
    older = _older(marking, each)
    for part in blocked:
        needed = part is tree or part.status(each.arrived, dead) == MET
        for other in older:
            done = other.arrived | dead_inputs(marking, other)
            if needed and done & part.mask != part.mask:
                return False
    return True


def _older(marking: Marking, each: Round) -> list[Round]:
    rounds = marking.rounds[each.trigger.index, each.lane]
    return rounds[: rounds.index(each)]


def _race(marking: Marking, each: Round, dead: int, out: list[Command]) -> None:
    """Cancel what a met ``rest="cancel"`` makes useless, once per round (R8)."""
    for tree in each.trigger.races:
        bit = 1 << tree.index
        if each.cancelled & bit or tree.status(each.arrived, dead) != MET:
            continue
        each.cancelled |= bit
        losers = each.trigger.exclusive(tree)
        forget(marking, losers, each.id, out)


def forget(marking: Marking, nodes: int, spared: int, out: list[Command]) -> None:
    """Cancel the live work in these steps that round ``spared`` did not cause."""
    firings = tuple(
        firing
        for firing in marking.live.values()
        if nodes >> firing.node.index & 1 and spared not in firing.past
    )
    for firing in firings:
        del marking.live[firing.id]
        queue = (marking.queued or {}).get(firing.node.index)
        if queue and firing in queue:
            queue.remove(firing)
    for parked in list(marking.parked()):
        if nodes >> parked.trigger.node.index & 1:
            _purge(marking, parked, spared)
    if firings:
        out.append(Cancel(firings))


def _purge(marking: Marking, parked: Round, spared: int) -> None:
    for slot, tokens in list(parked.held.items()):
        tokens[:] = [token for token in tokens if spared in token.past]
        if len(tokens) < parked.trigger.slots[slot].need:
            parked.arrived &= ~(1 << slot)
        if not tokens:
            del parked.held[slot]
    if not parked.held:
        _close(marking, parked)


def dead_inputs(
    marking: Marking, each: Round, *, outside: bool = False, moving: bool = True
) -> int:
    """The missing inputs that nothing live can still produce (R6), as a bitset.

    Args:
        outside: count outside events as able to arrive.
        moving: count tokens parked elsewhere as live work.
    """
    return _dead(marking, each, outside, moving, set())


def _dead(
    marking: Marking, each: Round, outside: bool, moving: bool, asked: set[int]
) -> int:
    dead = 0
    missing = each.trigger.full & ~each.arrived
    if outside:
        missing &= ~each.trigger.external
    reach = each.trigger.reach
    for slot in bits(missing):
        if not _alive(marking, reach[slot], each, moving, asked):
            dead |= 1 << slot
    return dead


def _alive(
    marking: Marking, reach: int, each: Round, moving: bool, asked: set[int]
) -> bool:
    number = each.id
    for firing in marking.live.values():
        if reach >> firing.node.index & 1 and number not in firing.past:
            return True
    if not moving:
        return False
    here = each.trigger.node
    for parked in marking.parked():
        node = parked.trigger.node
        if node is here or not reach >> node.index & 1:
            continue
        caused = all(number in token.past for token in parked.tokens())
        if not caused and _may_fire(marking, parked, asked):
            return True
    return False


def _may_fire(marking: Marking, parked: Round, asked: set[int]) -> bool:
    """Whether a parked round can still be met; a circle counts as it may."""
    if parked.id in asked:
        return True
    asked.add(parked.id)
    dead = _dead(marking, parked, outside=True, moving=True, asked=asked)
    asked.discard(parked.id)
    return parked.trigger.tree.status(parked.arrived, dead) != DEAD


def mutual(marking: Marking, out: list[Command]) -> bool:
    """Nothing is live: fire one ``all_active`` that waits only on others (R7).

    First those whose missing inputs are dead once parked tokens that cannot move
    are set aside, then, where several wait on each other, the one whose token is
    oldest. False if there is none.
    """
    waiting = [
        each
        for each in marking.parked()
        if each.trigger.sensitive
        and any(tree.active for tree in each.trigger.tree.walk())
    ]
    if not waiting:
        return False
    for beyond in (_movable(marking, waiting), _movable(marking, [])):
        ready = [each for each in waiting if _meets(each, _free(each, beyond))]
        if ready:
            oldest = min(ready, key=lambda each: each.tokens()[0].seq)
            _fire_round(marking, oldest, out)
            return True
    return False


def _free(each: Round, movable: int) -> int:
    """Missing inputs that none of the movable steps leads to."""
    dead = 0
    for slot in bits(each.trigger.full & ~each.arrived):
        if not each.trigger.reach[slot] & movable:
            dead |= 1 << slot
    return dead


def _meets(each: Round, dead: int) -> bool:
    return each.trigger.tree.status(each.arrived, dead) == MET


def _movable(marking: Marking, seeds: list[Round]) -> int:
    """Steps whose parked rounds can still be met from outside or the seeds."""
    found = 0
    for each in seeds:
        found |= 1 << each.trigger.node.index
    changed = True
    while changed:
        changed = False
        for each in marking.parked():
            bit = 1 << each.trigger.node.index
            if found & bit or each in seeds:
                continue
            coming = each.trigger.external
            for slot, reach in enumerate(each.trigger.reach):
                if reach & found:
                    coming |= 1 << slot
            active = any(tree.active for tree in each.trigger.tree.walk())
            if not active and _meets_all(each, coming):
                found |= bit
                changed = True
    return found


def _meets_all(each: Round, coming: int) -> bool:
    arrived = each.arrived | coming
    return each.trigger.tree.status(arrived, 0) == MET
