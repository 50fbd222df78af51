"""Large diagrams made small enough to read: many steps become one node.

What belongs together goes first, each kind of it everywhere or nowhere: sub-flows,
then rows of steps without a branch, then steps that have the same neighbours. Only
if that is not enough, steps that follow each other are put together as they come.
What failed, waits or runs in a run that is drawn stays visible as long as possible.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from flowkit.plot.cycles import back_edges
from flowkit.plot.model import Diagram, Edge, Fact, Group, Node, Status, nested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flowkit.plot.model import State

__all__ = ["MOST", "collapsed"]

MOST = 300
"""Nodes up to which a diagram is drawn as it is."""

_LEAST_ROW = 3
_STEPS = ("start", "listen", "router", "flow", "several")
_WORST: tuple[State, ...] = (
    "failed",
    "stuck",
    "differs",
    "running",
    "waiting",
    "ready",
    "cancelled",
    "first",
    "second",
    "same",
    "done",
)
_TO_SEE = frozenset(_WORST[:6])


def collapsed(drawn: Diagram, most: int = MOST) -> Diagram:
    """The diagram with at most so many nodes; itself if it has no more."""
    ways: tuple[Callable[[Diagram], list[list[str]]], ...] = (
        _sub_flows,
        _rows,
        _alike,
        _rows,
        _alike,
        lambda each: _rows(each, all_of_them=True),
        lambda each: _chunks(each, most),
    )
    whole = len(drawn.nodes)
    if whole <= most:
        return drawn
    for way in ways:
        if len(drawn.nodes) > most:
            drawn = _merged(drawn, way(drawn))
    text = f"{whole} nodes, drawn as {len(drawn.nodes)}: what belongs together is one"
    return replace(drawn, facts=(*drawn.facts, Fact(text)))


def _sub_flows(drawn: Diagram) -> list[list[str]]:
    """The nodes of each sub-flow that is shown from inside, outermost ones only."""
    boxes, _, around = nested(drawn)
    outer = set()
    found = []
    for index, group in enumerate(boxes):
        if around[index] in outer:
            outer.add(index)
        elif group.kind == "flow":
            outer.add(index)
            found.append(list(group.nodes))
    return found


def _neighbours(
    drawn: Diagram,
) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    before: dict[str, set[str]] = defaultdict(set)
    after: dict[str, set[str]] = defaultdict(set)
    for edge in drawn.edges:
        before[edge.target].add(edge.source)
        after[edge.source].add(edge.target)
    return before, after


def _movable(drawn: Diagram, *, all_of_them: bool = False) -> dict[str, Node]:
    """Nodes that may go into another one, by id."""
    return {
        node.id: node
        for node in drawn.nodes
        if node.kind in _STEPS
        and not node.start
        and (all_of_them or node.status is None or node.status.state not in _TO_SEE)
    }


def _rows(drawn: Diagram, *, all_of_them: bool = False) -> list[list[str]]:
    """Steps one after another, between them no way in or out."""
    before, after = _neighbours(drawn)
    inside = nested(drawn)[1]
    movable = _movable(drawn, all_of_them=all_of_them)

    def goes_on(one: str, other: str) -> bool:
        return (
            other in movable
            and len(after[one]) == 1
            and before[other] == {one}
            and inside.get(one) == inside.get(other)
        )

    found, seen = [], set[str]()
    for first in movable:
        sources = before[first]
        source = next(iter(sources)) if len(sources) == 1 else ""
        if first in seen or (source in movable and goes_on(source, first)):
            continue
        row = [first]
        seen.add(first)
        while after[row[-1]]:
            following = next(iter(after[row[-1]]))
            if following in seen or not goes_on(row[-1], following):
                break
            row.append(following)
            seen.add(following)
        if len(row) >= _LEAST_ROW:
            found.append(row)
    return found


def _alike(drawn: Diagram) -> list[list[str]]:
    """Steps that come from and lead to the same nodes."""
    before, after = _neighbours(drawn)
    inside = nested(drawn)[1]
    alike: dict[object, list[str]] = defaultdict(list)
    for name in _movable(drawn):
        if before[name] or after[name]:
            key = frozenset(before[name]), frozenset(after[name]), inside.get(name)
            alike[key].append(name)
    return [names for names in alike.values() if len(names) >= _LEAST_ROW]


def _chunks(drawn: Diagram, most: int) -> list[list[str]]:
    """Nodes in the order they follow each other, cut into equal parts."""
    _, after = _neighbours(drawn)
    order = [node.id for node in sorted(drawn.nodes, key=lambda node: not node.start)]
    back = {(edge.source, edge.target) for edge in drawn.edges if edge.back}
    rank = dict.fromkeys(order, 0)
    left = Counter(t for s in order for t in after[s] if (s, t) not in back)
    ready = [name for name in order if not left[name]]
    for name in ready:  # grows as it goes
        for target in sorted(after[name]):
            if (name, target) not in back:
                rank[target] = max(rank[target], rank[name] + 1)
                left[target] -= 1
                if not left[target]:
                    ready.append(target)
    place = {node.id: index for index, node in enumerate(drawn.nodes)}
    inside = nested(drawn)[1]
    parts: dict[int, list[str]] = defaultdict(list)
    for name in sorted(order, key=lambda name: (rank[name], place[name])):
        parts[inside.get(name, -1)].append(name)
    # One node less a box: its last part may be short.
    size = ceil(len(order) / max(1, most - len(parts)))
    return [
        part[at : at + size]
        for part in parts.values()
        for at in range(0, len(part), size)
    ]


def _merged(drawn: Diagram, clusters: Iterable[Sequence[str]]) -> Diagram:
    """The diagram with one node for each cluster of several."""
    nodes = {node.id: node for node in drawn.nodes}
    owner = {name: name for name in nodes}
    made: dict[str, Node] = {}
    titles = {frozenset(g.nodes): g.name for g in drawn.groups if g.kind == "flow"}
    for cluster in clusters:
        if len(cluster) > 1:
            flow = titles.get(frozenset(cluster))
            node = _together([nodes[name] for name in cluster], flow)
            made[cluster[0]] = node
            owner.update(dict.fromkeys(cluster, node.id))
    kept = tuple(
        made.get(node.id, node)
        for node in drawn.nodes
        if node.id in made or owner[node.id] == node.id
    )
    edges = _edges(drawn.edges, owner)
    order = [node.id for node in sorted(kept, key=lambda node: not node.start)]
    back = back_edges(order, [(edge.source, edge.target) for edge in edges])
    edges = [replace(e, back=(e.source, e.target) in back) for e in edges]
    groups = tuple(_groups(drawn.groups, owner))
    return replace(drawn, nodes=kept, edges=tuple(edges), groups=groups)


def _together(nodes: Sequence[Node], flow: str | None) -> Node:
    members = [name for node in nodes for name in node.members or (node.name,)]
    return Node(
        f"several:{nodes[0].id}",
        flow or f"{members[0]} .. {members[-1]}",
        "flow" if flow else "several",
        start=any(node.start for node in nodes),
        members=tuple(members),
        about=f"{len(members)} steps",
        status=_status([node.status for node in nodes if node.status]),
    )


def _status(found: list[Status]) -> Status | None:
    if not found:
        return None
    states = Counter(status.state for status in found)
    worst: State = next(state for state in _WORST if states[state])
    note = ", ".join(f"{states[state]} {state}" for state in _WORST if states[state])
    story = tuple(line for status in found for line in status.story)
    return Status(worst, note, story=story)


def _edges(edges: Iterable[Edge], owner: dict[str, str]) -> list[Edge]:
    """Edges between what is left, each once."""
    found: dict[Edge, tuple[int, ...]] = {}
    for edge in edges:
        source, target = owner[edge.source], owner[edge.target]
        if source == target and not edge.back:
            continue
        key = replace(edge, source=source, target=target, taken=())
        before = found.get(key)
        found[key] = (
            edge.taken
            if before is None
            else tuple(map(sum, zip(before, edge.taken, strict=True)))
        )
    return [replace(key, taken=taken) for key, taken in found.items()]


def _groups(groups: Iterable[Group], owner: dict[str, str]) -> Iterable[Group]:
    for group in groups:
        nodes = tuple(dict.fromkeys(owner[name] for name in group.nodes))
        if len(nodes) > 1 or nodes == group.nodes or group.kind in ("region", "each"):
            yield replace(group, nodes=nodes)
