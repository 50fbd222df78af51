"""Verbs of a running step that change what goes on beside it (R10, R13).

``yield`` and ``spawn`` add instances to a group, ``seal`` lets no more be added,
``complete`` goes on as if the rest were done, ``cancel`` withdraws it. Each is a
record of its own. A further turn of a repeated step is one, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.fanning import add, spawn
from flowkit.core.groups import complete, group_for
from flowkit.core.leaving import emit, goes_on, leave
from flowkit.core.marking import within
from flowkit.core.net import bits, targets
from flowkit.core.records import StepActed, StepFinished, StepTurned, StepYielded
from flowkit.core.withdraw import reach, withdraw, withdraw_firing

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.commands import Command
    from flowkit.core.marking import Firing, Lane, Marking
    from flowkit.core.net import Net, Node

    Out = list[Command]

__all__ = ["HANDLERS", "finds"]


def finds(net: Net, marking: Marking, firing: Firing, verb: str, target: str) -> bool:
    """Whether there is anything that a verb of a step applies to."""
    nodes = targets(net, (target,))
    lane = reach(net, nodes, firing.lane)
    groups = [] if marking.lanes is None else [*marking.lanes.groups.values()]
    if verb in {"spawn", "seal"}:
        node = net.nodes[next(bits(nodes))]
        group = group_for(marking, node, firing.lane)
        return group is not None and not group.sealed
    return any(
        nodes & group.node.bit and within(group.lane, lane) for group in groups
    ) or any(
        nodes & each.node.bit and within(each.lane, lane) and each.id != firing.id
        for each in marking.live.values()
    )


def _turned(
    net: Net, marking: Marking, record: StepTurned, out: Out
) -> Exception | None:
    firing = marking.live[record.firing]
    for name, payload in record.emitted:
        if not goes_on(marking, firing.lane):
            break
        fault = emit(net, marking, firing, name, payload, out)
        if fault is not None:
            return fault
    if firing.id not in marking.live:
        return None  # what it emitted has had it cancelled
    marking.asked.pop(firing.id, None)
    marking.deferred.pop(firing.id, None)
    firing.turn += 1
    firing.attempt = 1
    if firing.lane and marking.lanes is not None:
        marking.lanes.fired(firing.node, firing.lane)
    else:
        marking.fired[firing.node.index] += 1
    out.append(firing)
    return None


def _yielded(net: Net, marking: Marking, record: StepYielded, out: Out) -> None:
    add(marking, marking.live[record.firing], record.item, out)


def _acted(net: Net, marking: Marking, record: StepActed, out: Out) -> Exception | None:
    firing = marking.live[record.firing]
    nodes = targets(net, (record.target,))
    lane = reach(net, nodes, firing.lane)
    if record.verb == "cancel":
        withdraw(net, marking, nodes, out, lane=lane, asking=firing.id)
        return None
    for index in bits(nodes):
        node = net.nodes[index]
        if record.verb == "complete":
            fault = _complete(net, marking, node, lane, record, out)
            if fault is not None:
                return fault
            continue
        group = group_for(marking, node, firing.lane)
        if group is not None and not group.sealed:
            if record.verb == "seal":
                group.sealed = True
            else:
                spawn(marking, group, record.payload, out)
    return None


def _complete(
    net: Net,
    marking: Marking,
    node: Node,
    lane: Lane,
    record: StepActed,
    out: Out,
) -> Exception | None:
    """A group as if it were done, or firings of a step as if they had ended well."""
    if node.each is not None:
        groups = [] if marking.lanes is None else [*marking.lanes.groups.values()]
        for group in groups:
            if group.node is node and within(group.lane, lane):
                complete(marking, group, record.firing, out)
        return None
    for firing in [*marking.live.values()]:
        if firing.node is not node or not within(firing.lane, lane):
            continue
        if marking.is_undo(firing.id):
            continue  # it undoes something, which it alone can say is done
        if firing.id != record.firing:
            withdraw_firing(marking, firing, out)
            marking.seen[node.index] += 1
            done = StepFinished(record.at, firing.id, record.payload)
            fault = leave(net, marking, firing, done, out)
            if fault is not None:
                return fault
    return None


HANDLERS: dict[type, Callable[[Net, Marking, Any, Out], Exception | None]] = {
    StepTurned: _turned,
    StepYielded: _yielded,
    StepActed: _acted,
}
