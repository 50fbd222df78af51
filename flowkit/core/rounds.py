"""Joins: tokens into rounds, rounds into firings (R4-R9).

Three moments, in this order after every commit:

1. :func:`arrive` puts a token into the oldest round that may take it;
2. a round that holds what it needs fires at once;
3. :func:`settle` moves the rounds that depend on dead inputs, to a fixed point: those
   outside of groups, and those of lanes in which something has changed.

A round fires once and closes when each input has arrived or is dead. An input is
dead for a round when no live work can still lead to it (R6). Live work is what runs
and what is parked in another join and can still be met there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.dead import circle, dead_inputs, older, stays_open
from flowkit.core.lines import fire
from flowkit.core.marking import NOTHING, ROOT, Firing, Lane, Marking, Round, Token
from flowkit.core.net import MET, Trigger, bits

if TYPE_CHECKING:
    from flowkit.core.commands import Command
    from flowkit.core.net import Edge, Tree

__all__ = ["arrive", "same_turn", "settle", "spread"]


def spread(
    marking: Marking, edges: tuple[Edge, ...], token: Token, out: list[Command]
) -> None:
    """A copy of the token to every listener, routers first (R1)."""
    for edge in edges:
        if edge.trigger is None:
            node = edge.node
            if node.special:
                fire(marking, node, token, out, past=token.past)
                continue
            number = marking.next_firing
            marking.next_firing = number + 1
            firing = Firing(number, node, token.name, token.payload, token.past)
            marking.live[number] = firing
            marking.fired[node.index] += 1
            out.append(firing)
        else:
            arrive(marking, edge.trigger, edge.slot, token, out)


def arrive(
    marking: Marking, trigger: Trigger, slot: int, token: Token, out: list[Command]
) -> None:
    """Put a token into the round it belongs to, and fire that round if it is met."""
    if trigger.window is not None:
        from flowkit.core.windows import put  # only flows with windows

        put(marking, trigger, token, out)
        return
    lane = token.lane
    rounds = marking.rounds.setdefault((trigger.index, lane), [])
    if rounds and trigger.simple and not (token.past or lane or marking.watched):
        each = rounds[0]
        if not (each.arrived >> slot & 1 or each.fired):  # the oldest may take it
            _put(marking, each, slot, token, out)
            return
    each = _round_for(marking, trigger, slot, token, rounds, lane)
    held = each.held.setdefault(slot, [])
    held.append(token)
    if len(held) >= trigger.slots[slot].need:
        each.arrived |= 1 << slot
    if each.fired:
        if each.arrived == trigger.full:
            marking.close(each)
        return
    if trigger.races:
        _race(marking, each, 0, out)
    if not trigger.sensitive and trigger.tree.status(each.arrived, 0) == MET:
        _fire_round(marking, each, out)


def _round_for(
    marking: Marking,
    trigger: Trigger,
    slot: int,
    token: Token,
    rounds: list[Round],
    lane: Lane,
) -> Round:
    """The oldest round that may take the token, else a new one (R4)."""
    for each in rounds:
        if _takes(each, trigger, slot, token):
            return each
    each = Round(marking.next_round, trigger, lane)
    marking.next_round += 1
    rounds.append(each)
    if trigger.sensitive:
        marking.watch(each)
    return each


def _put(
    marking: Marking, each: Round, slot: int, token: Token, out: list[Command]
) -> None:
    """A token into a round of a plain join, which fires when it has enough."""
    each.held[slot] = [token]
    each.arrived |= 1 << slot
    if each.arrived.bit_count() >= each.trigger.tree.need:
        _fire_round(marking, each, out)


def _takes(each: Round, trigger: Trigger, slot: int, token: Token) -> bool:
    past = token.past
    if each.arrived >> slot & 1 or each.id in past:
        return False
    if -each.id in past and trigger.turns >> slot & 1:
        return False
    for merge, others in trigger.slots[slot].merges:
        if merge.status(each.arrived, 0) == MET or any(
            other in each.held for other in bits(others)
        ):
            return False
    if each.fired and token.router >= 0:
        return not any(
            held.router == token.router and held.source < token.source
            for tokens in each.held.values()
            for held in tokens
        )
    return True


def _fire_round(marking: Marking, each: Round, out: list[Command]) -> None:
    tokens = _consumed(each)
    each.fired = True
    if each.arrived == each.trigger.full:
        marking.close(each)
        own = NOTHING
    else:
        marking.watch(each)
        own = frozenset((each.id,))
    past = own
    inherited = NOTHING.union(*[token.past for token in tokens])
    if inherited:
        past |= {
            number
            for number in inherited
            if (known := _known(marking, each.lane, abs(number))) and known.fired
        }
    fire(marking, each.trigger.node, tokens[-1], out, tokens, past)


def _known(marking: Marking, lane: Lane, number: int) -> Round | None:
    """A watched round of a lane, or of one around it, by its number."""
    for depth in range(len(lane), -1, -1):
        found = marking.watched_in(lane[:depth]).get(number)
        if found is not None:
            return found
    return None


def _consumed(each: Round) -> tuple[Token, ...]:
    """What a firing round consumes: all it holds, oldest first.

    Not what reached an inner condition that was met already: that was absorbed.
    """
    if each.trigger.flat:
        return tuple(each.tokens())
    taken: dict[Token, None] = {}
    arrived = 0
    lacks = {slot: each.trigger.slots[slot].need for slot in each.held}
    placed = [(token, slot) for slot, held in each.held.items() for token in held]
    for token, slot in sorted(placed, key=lambda pair: pair[0].seq):
        inside = each.trigger.slots[slot].inside
        if any(tree.status(arrived, 0) == MET for tree in inside):
            continue
        taken[token] = None
        lacks[slot] -= 1
        if not lacks[slot]:
            arrived |= 1 << slot
    return tuple(taken)


def same_turn(marking: Marking, token: int, firing: int) -> None:
    """Note on what a commit made which rounds it opened at the entry of a loop (R5).

    What comes round the loop from there, by whichever branch, is the next turn, and
    not for these rounds.

    Args:
        token: number of the first token of the commit.
        firing: number of the first firing it made.
    """
    opened = [
        each
        for lane in _stirred(marking)
        for each in marking.watched_in(lane).values()
        if _is_entry(each, token)
    ]
    for each in opened:
        mark = frozenset((-each.id,))
        marking.late = tuple(
            (*late[:-1], late[-1] | mark) if late[0] == "open" else late
            for late in marking.late
        )
        for made in marking.live.values():
            if made.id >= firing and each.id not in made.past:
                made.past |= mark
        for parked in marking.parked():
            for tokens in parked.held.values():
                for held in tokens:
                    if held.seq >= token:
                        held.past |= mark


def _is_entry(each: Round, token: int) -> bool:
    turns = each.trigger.turns if each.fired else 0
    return bool(turns & ~each.arrived) and any(
        not turns >> slot & 1 and tokens[-1].seq >= token
        for slot, tokens in each.held.items()
    )


def settle(marking: Marking, out: list[Command]) -> None:
    """Fire and close what dead inputs allow, until nothing moves any more (R3).

    Lanes come before what is around them: an inner lane is live work of the outer.
    """
    while True:
        lanes = _stirred(marking)
        if marking.lanes is not None:
            marking.lanes.stirred.clear()
        for lane in lanes:
            moved = True
            while moved and marking.watched_in(lane):
                moved = _pass(marking, lane, out) or _mutual(marking, lane, out)
        if marking.lanes is None or not marking.lanes.stirred:
            return


def _stirred(marking: Marking) -> list[Lane]:
    """Lanes in which something has changed and those around them, inner ones first."""
    if marking.lanes is None or not marking.lanes.stirred:
        return [ROOT]
    found = {
        lane[:depth] for lane in marking.lanes.stirred for depth in range(len(lane) + 1)
    }
    return sorted(found, key=lambda lane: (-len(lane), lane))


def _pass(marking: Marking, lane: Lane, out: list[Command]) -> bool:
    """Look at each watched round once; those behind one that waits wait, too."""
    moved = False
    waiting: set[int] = set()
    for each in list(marking.watched_in(lane).values()):
        if each.trigger.index in waiting and not each.fired:
            continue
        if each.id not in marking.watched_in(lane):
            continue
        if _move(marking, each, out):
            moved = True
        elif not each.fired and each.trigger.flat:
            waiting.add(each.trigger.index)
    return moved


def _mutual(marking: Marking, lane: Lane, out: list[Command]) -> bool:
    """Fire one of several rounds that wait on nothing but each other (R7).

    They are rounds with an ``all_active`` or a ``block`` in them. The one with the
    oldest token fires; False if there is none.
    """
    waiting = _waiting(marking, lane)
    if len(waiting) < 2:  # noqa: PLR2004 - a circle takes two
        return False
    aside = frozenset(
        each.id for each in marking.watched_in(lane).values() if not each.fired
    )
    dead = {each.id: dead_inputs(marking, each, aside) for each in waiting}
    ready = [each for each in waiting if _met(marking, each, dead[each.id], aside)]
    found = circle(marking, ready, waiting, aside) if ready else []
    if not found:
        return False
    oldest = min(found, key=_age)
    _race(marking, oldest, dead[oldest.id], out)
    _fire_round(marking, oldest, out)
    return True


def _waiting(marking: Marking, lane: Lane) -> list[Round]:
    """Watched rounds of a lane that have not fired, the oldest of each join."""
    first: dict[int, Round] = {}
    for each in marking.watched_in(lane).values():
        if not each.fired:
            first.setdefault(
                each.trigger.index if each.trigger.flat else -each.id, each
            )
    return list(first.values())


def _age(each: Round) -> int:
    return each.tokens()[0].seq


def _move(marking: Marking, each: Round, out: list[Command]) -> bool:
    if each.fired:
        if stays_open(marking, each):
            return False
        marking.close(each)
        return True
    dead = dead_inputs(marking, each)
    raced = _race(marking, each, dead, out)
    if not _met(marking, each, dead):
        return raced
    _fire_round(marking, each, out)
    return True


def _met(
    marking: Marking, each: Round, dead: int, aside: frozenset[int] = NOTHING
) -> bool:
    """Whether a round with ``all_active`` or ``block`` in it may fire now."""
    arrived = each.arrived
    for part in each.trigger.blocks:
        if _held_back(marking, each, part, aside):
            arrived &= ~part.mask
            dead &= ~part.mask
    return bool(arrived) and each.trigger.tree.status(arrived, dead) == MET


def _held_back(
    marking: Marking, each: Round, part: Tree, aside: frozenset[int]
) -> bool:
    """Whether an older round lacks an input of this condition that may come."""
    return any(
        part.mask & ~other.arrived & ~dead_inputs(marking, other, aside)
        for other in older(marking, each)
    )


def _race(marking: Marking, each: Round, dead: int, out: list[Command]) -> bool:
    """Cancel what a met ``rest="cancel"`` makes useless, once per round (R8)."""
    raced = False
    for tree in each.trigger.races:
        bit = 1 << tree.index
        if each.cancelled & bit or tree.status(each.arrived, dead) != MET:
            continue
        each.cancelled |= bit
        _forget(marking, each, tree, out)
        raced = True
    return raced


def _forget(marking: Marking, each: Round, tree: Tree, out: list[Command]) -> None:
    """Cancel the live work that leads to nothing but a met condition (R8)."""
    from flowkit.core.withdraw import withdraw  # only flows that cancel

    trigger = each.trigger
    nodes = trigger.exclusive(tree)
    withdraw(trigger.net, marking, nodes, out, lane=each.lane, cause=each.id)
