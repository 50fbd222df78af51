"""Groups and gates of a marking, carried over to a changed graph (by names)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from flowkit.core.gates import Gates
from flowkit.core.lanes import Group, Instance, Lanes
from flowkit.core.marking import Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowkit.core.marking import Marking
    from flowkit.core.net import Gather, Net, Node

__all__ = ["carry_gates", "carry_lanes", "missing_groups", "relabel_groups"]


def carry_lanes(lanes: Lanes, old: Net, new: Net) -> Lanes:
    """The same groups over the steps of another definition; watched rounds aside.

    Raises:
        KeyError: a step with an open group is gone.
    """
    nodes = {node.name: node for node in new.nodes}
    made = Lanes()
    made.next, made.idle = lanes.next, deque(lanes.idle)
    made.stirred = set(lanes.stirred)
    for (firing, index), fed in lanes.streams.items():
        made.streams[firing, nodes[old.nodes[index].name].index] = fed
    for number, group in lanes.groups.items():
        made.groups[number] = _carried(group, nodes, old)
    return made


def _carried(group: Group, nodes: Mapping[str, Node], old: Net) -> Group:
    token = Token(group.name, None, 0, group.past, lane=group.lane)
    made = Group(group.id, nodes[group.node.name], token, group.past)
    made.items, made.total, made.done = group.items, group.total, group.done
    made.exhausted, made.sealed = group.exhausted, group.sealed
    made.failures = group.failures
    for index, instance in group.lanes.items():
        made.lanes[index] = there = Instance()
        there.live = instance.live
        for step, count in instance.fired.items():
            node = nodes.get(old.nodes[step].name)
            if node is not None:
                there.fired[node.index] = count
    for gather in group.node.gathers:
        now = same_gather(gather, made.node)
        if now is not None:
            if gather.index in group.results:
                made.results[now.index] = group.results[gather.index]
            if gather.index in group.fired:
                made.fired.add(now.index)
    return made


def same_gather(gather: Gather, fan: Node) -> Gather | None:
    """The gather of the same name that closes the groups of a step."""
    near = [each for each in fan.gathers if each.leaf.name == gather.leaf.name]
    return next(
        (each for each in near if each.leaf == gather.leaf), near[0] if near else None
    )


def carry_gates(gates: Gates, old: Net, made: Marking, new: Net) -> Gates:
    """The same holders, milestones and waiting firings under another definition."""
    nodes = {node.name: node for node in new.nodes}
    carried = Gates()
    carried.holders = dict(gates.holders)
    for number in gates.waiting:
        carried.add(made.live[number])
    for index, phase in gates.phases.items():
        node = nodes.get(old.nodes[index].name)
        if node is not None:
            carried.phases[node.index] = phase
    return carried


def relabel_groups(lanes: Lanes, net: Net, names: Mapping[str, str]) -> None:
    """Groups under renamed steps; the numbers of steps and gathers stay."""
    for group in lanes.groups.values():
        group.node = net.nodes[group.node.index]
        group.name = names.get(group.name, group.name)


def missing_groups(
    marking: Marking, new: Net, names: Mapping[str, str]
) -> Iterator[str]:
    """What a run's groups stand at and another definition lacks, a sentence each."""
    nodes = {node.name: node for node in new.nodes}
    groups = () if marking.lanes is None else marking.lanes.groups.values()
    for group in groups:
        name = names.get(group.node.name, group.node.name)
        node = nodes.get(name)
        if node is None:
            yield f"step {name}, a group of which is open, is gone"
            continue
        if node.each is None:
            yield f"a group of {name} is open, and {name} listens to each(..) no more"
            continue
        kept = {each.leaf.name for each in node.gathers}
        for gather in group.node.gathers:
            leaf = names.get(gather.leaf.name, gather.leaf.name)
            if gather.index not in group.fired and leaf not in kept:
                yield f"a group of {name} is open, and nobody listens to gather({leaf})"
    for firing in marking.live.values():
        name = names.get(firing.node.name, firing.node.name)
        node = nodes.get(name)
        if node is not None and node.depth != len(firing.lane):
            yield (
                f"step {name} (firing {firing.id}) runs in {_depth(len(firing.lane))}, "
                f"and stands in {_depth(node.depth)} now"
            )


def _depth(depth: int) -> str:
    return f"{depth} group{'' if depth == 1 else 's'}" if depth else "no group"
