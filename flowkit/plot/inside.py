"""Steps that are flows, shown from inside: a box with the flow's own graph.

What leads to the step leads to its node, which stands in the box and leads to the
flow's starts. What the step leads to is led to by the flow's last nodes; only its
failure leaves from the step's own node.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowkit.plot.model import Edge, Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowkit.plot.model import Diagram, Node

__all__ = ["shown_inside"]

_GIVEN = frozenset({"event", "outside"})


def shown_inside(drawn: Diagram, inside: Mapping[str, Diagram]) -> Diagram:
    """The diagram with some steps shown from inside.

    Args:
        drawn: the flow.
        inside: what the flows of these steps are, by the steps' names; nodes of them
            get the name of the step and a slash before their ids.
    """
    nodes: list[Node] = []
    edges: list[Edge] = []
    exits: dict[str, list[str]] = {}
    groups: list[Group] = []
    held: dict[str, tuple[str, ...]] = {}
    for node in drawn.nodes:
        part = inside.get(node.id)
        if part is None:
            nodes.append(node)
            continue
        within = _prefixed(part, f"{node.id}/")
        nodes += [replace(node, marks=()), *within.nodes]
        starts = [each for each in part.nodes if each.start and "/" not in each.id]
        edges += [
            Edge(node.id, f"{node.id}/{each.id}", taken=_taken(each, part))
            for each in starts
        ]
        edges += within.edges
        exits[node.id] = [*_exits(within)] or [node.id]
        members = (node.id, *(each.id for each in within.nodes))
        held[node.id] = members
        groups += [
            Group(f"{node.name}: {part.name}", members, "flow", node.doc),
            *within.groups,
        ]
    came = {node.id for node in nodes if node.status} if drawn.runs else None
    for edge in drawn.edges:
        sources = exits.get(edge.source, [edge.source])
        if edge.kind == "failed":
            sources = [edge.source]
        for source in sources:
            # The way of the step was gone by one of the flow's last nodes.
            missed = came is not None and source != edge.source and source not in came
            taken = (0,) if missed else edge.taken
            edges.append(replace(edge, source=source, taken=taken))
    around = [
        replace(group, nodes=tuple(_with_members(group, held)))
        for group in drawn.groups
    ]
    return replace(
        drawn,
        nodes=tuple(nodes),
        edges=tuple(dict.fromkeys(edges)),
        groups=(*around, *groups),
    )


def _prefixed(part: Diagram, prefix: str) -> Diagram:
    return replace(
        part,
        nodes=tuple(replace(node, id=prefix + node.id) for node in part.nodes),
        edges=tuple(
            replace(edge, source=prefix + edge.source, target=prefix + edge.target)
            for edge in part.edges
        ),
        groups=tuple(
            replace(group, nodes=tuple(prefix + name for name in group.nodes))
            for group in part.groups
        ),
    )


def _exits(part: Diagram) -> Iterator[str]:
    """The nodes that lead to no other one: the flow ends there."""
    left = {edge.source for edge in part.edges if not edge.back}
    for node in part.nodes:
        if node.id not in left and node.kind not in _GIVEN:
            yield node.id


def _taken(node: Node, part: Diagram) -> tuple[int, ...]:
    if not part.runs:
        return ()
    return (node.status.count if node.status else 0,)


def _with_members(group: Group, held: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for name in group.nodes:
        yield from held.get(name, (name,))
