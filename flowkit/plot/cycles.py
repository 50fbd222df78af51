"""The cycles of a directed graph, found without recursion.

Flows may be chains of thousands of steps, so each walk keeps its own stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["back_edges", "loops"]

Pair = tuple[str, str]


def back_edges(nodes: Sequence[str], pairs: Iterable[Pair]) -> set[Pair]:
    """Edges that close a cycle when the graph is walked depth first.

    Walks from nodes without inputs first, then from the rest in the order given, so
    that a loop is entered where its outside comes in. Without these edges the graph
    has no cycle.
    """
    after = _successors(nodes, pairs)
    entered = {target for targets in after.values() for target in targets}
    roots = [n for n in nodes if n not in entered] + [n for n in nodes if n in entered]
    open_, done = set[str](), set[str]()
    found: set[Pair] = set()
    for root in roots:
        stack = [] if root in done else [(root, iter(after[root]))]
        open_.update(node for node, _ in stack)
        while stack:
            node, rest = stack[-1]
            target = next(rest, None)
            if target is None:
                stack.pop()
                open_.discard(node)
                done.add(node)
            elif target in open_:
                found.add((node, target))
            elif target not in done:
                open_.add(target)
                stack.append((target, iter(after[target])))
    return found


def loops(nodes: Sequence[str], pairs: Iterable[Pair]) -> list[tuple[str, ...]]:
    """Sets of nodes that all reach each other, or themselves, in the order given.

    Source: Kosaraju's algorithm, in Aho, Hopcroft and Ullman, "Data Structures and
    Algorithms", 1983.
    """
    pairs = list(pairs)
    place = {node: index for index, node in enumerate(nodes)}
    before = _successors(nodes, [(target, source) for source, target in pairs])
    owner: dict[str, str] = {}
    for root in reversed(_finished(nodes, _successors(nodes, pairs))):
        pending = [root]
        while pending:
            node = pending.pop()
            if node not in owner:
                owner[node] = root
                pending += before[node]
    members: dict[str, list[str]] = {}
    for node in nodes:
        members.setdefault(owner[node], []).append(node)
    alone = {source for source, target in pairs if source == target}
    found = [tuple(m) for m in members.values() if len(m) > 1 or m[0] in alone]
    return sorted(found, key=lambda loop: place[loop[0]])


def _successors(nodes: Sequence[str], pairs: Iterable[Pair]) -> dict[str, list[str]]:
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in pairs:
        after[source].append(target)
    return after


def _finished(nodes: Sequence[str], after: dict[str, list[str]]) -> list[str]:
    """Nodes in the order a depth-first walk leaves them."""
    left: list[str] = []
    seen: set[str] = set()
    for root in nodes:
        stack = [] if root in seen else [(root, iter(after[root]))]
        seen.add(root)
        while stack:
            node, rest = stack[-1]
            target = next(rest, None)
            if target is None:
                stack.pop()
                left.append(node)
            elif target not in seen:
                seen.add(target)
                stack.append((target, iter(after[target])))
    return left
