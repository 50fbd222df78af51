"""Firings made ready: at once, behind others in line, or at a gate (R2, R12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.marking import NOTHING, Firing

if TYPE_CHECKING:
    from flowkit.core.commands import Command
    from flowkit.core.marking import Marking, Token
    from flowkit.core.net import Node

__all__ = ["begin", "fire", "next_in_line", "runs_away", "start", "started"]


def fire(
    marking: Marking,
    node: Node,
    token: Token,
    out: list[Command],
    tokens: tuple[Token, ...] | None = None,
    past: frozenset[int] = NOTHING,
) -> None:
    """Make a firing of ``node`` ready, or open a group if it fans out."""
    if node.each is not None:
        marking.late = (*marking.late, ("open", node, token, past))
        return
    number = marking.next_firing
    marking.next_firing = number + 1
    firing = Firing(number, node, token.name, token.payload, past, tokens, token.lane)
    if node.special:
        begin(marking, firing, out)
        return
    marking.live[number] = firing
    marking.fired[node.index] += 1
    out.append(firing)


def begin(marking: Marking, firing: Firing, out: list[Command]) -> None:
    """A firing is live; it starts unless it has to wait in line or at a gate."""
    node = firing.node
    if firing.lane and marking.lanes is not None:
        marking.lanes.enter(firing.lane)
    behind = node.serial and any(each.node is node for each in marking.live.values())
    marking.live[firing.id] = firing
    if behind:
        _queue(marking, firing)
    else:
        start(marking, firing, out)


def start(marking: Marking, firing: Firing, out: list[Command]) -> None:
    """Start a live firing if its gates let it."""
    node = firing.node
    if node.gated:
        from flowkit.core.gates import passes  # only flows with gates

        if not passes(marking, firing):
            return
    started(marking, firing, out)


def started(marking: Marking, firing: Firing, out: list[Command]) -> None:
    """A firing starts now: it counts, and cancels what it is to cancel."""
    node = firing.node
    if firing.lane and marking.lanes is not None:
        marking.lanes.fired(node, firing.lane)
    else:
        marking.fired[node.index] += 1
    out.append(firing)
    if node.cancels:
        marking.late = (*marking.late, ("cut", firing))


def _queue(marking: Marking, firing: Firing) -> None:
    from collections import deque  # rarely needed: an event behind an event

    if marking.queued is None:
        marking.queued = {}
    marking.queued.setdefault(firing.node.index, deque()).append(firing)


def next_in_line(marking: Marking, node: Node, out: list[Command]) -> None:
    """Start the next event of a listener that takes one at a time, if it is free."""
    line = (marking.queued or {}).get(node.index)
    if not line:
        return
    live = sum(each.node is node for each in marking.live.values())
    if live == len(line):
        firing = line.popleft()
        if firing.name in node.events:
            marking.fired = [0] * len(marking.fired)
        start(marking, firing, out)


def runs_away(marking: Marking, firing: Firing) -> bool:
    """Whether a step has fired more often, in its lane, than it may."""
    node, lane = firing.node, firing.lane
    if lane:
        lanes = marking.lanes
        return lanes is not None and lanes.count(node, lane) > node.limit
    return marking.fired[node.index] > node.limit
