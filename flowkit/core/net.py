"""A definition turned into transition tables.

:func:`net_of` builds the tables once for a definition. Edges of a label or event
stand in a dictionary. Routers come before plain listeners in every table, because
routers of a trigger start first.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from flowkit.core.definition import ENDINGS, leaves
from flowkit.core.scopes import scopes_of
from flowkit.core.tables import (
    APART,
    MET,
    OPEN,
    OUTSIDE,
    Edge,
    Gather,
    Node,
    Slot,
    Tree,
    Trigger,
    bits,
)
from flowkit.core.wiring import Wiring, targets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowkit.core.definition import Definition, Leaf

__all__ = [
    "MET",
    "OPEN",
    "Edge",
    "Gather",
    "Net",
    "Node",
    "Slot",
    "Tree",
    "Trigger",
    "bits",
    "net_of",
    "targets",
]


def _routers_first(nodes: Iterable[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: not node.router)


class Net:
    """The transition tables of one definition."""

    __slots__ = (
        "_ancestors",
        "_followers",
        "_listeners",
        "_sources",
        "_starts",
        "busy",
        "by_event",
        "by_name",
        "by_timer",
        "definition",
        "events",
        "gathered",
        "gathers",
        "known",
        "nodes",
        "open_routers",
        "outside",
        "phases",
        "start_timers",
        "timed",
        "timers",
        "triggers",
        "undoes",
    )

    def __init__(self, definition: Definition) -> None:
        self.definition: Definition = definition
        unlimited = 1 << 62
        self.nodes: tuple[Node, ...] = tuple(
            Node(
                self,
                index,
                step,
                step.max_firings
                or (unlimited if step.start else definition.max_firings),
            )
            for index, step in enumerate(definition.steps)
        )
        self.by_name: dict[str, tuple[Edge, ...]] = {}
        self.by_event: dict[str, tuple[Edge, ...]] = {}
        self.by_timer: dict[str, tuple[Edge, ...]] = {}
        self.triggers: list[Trigger] = []
        self.gathers: list[Gather] = []
        self.busy: bool = any(step.each for step in definition.steps)
        self.undoes: bool = any(step.undo for step in definition.steps)
        self.gathered: dict[str, tuple[Gather, ...]] = {}
        self.phases: dict[str, list[tuple[Node, str]]] = {}
        self.known: frozenset[str] = definition.names | {
            label
            for step in definition.steps
            for label in (*(step.labels or ()), *(step.emits or ()))
        }
        self.open_routers: int = sum(
            node.bit
            for node in self.nodes
            if (node.router and node.labels is None) or node.step.emits == ()
        )
        self.events: tuple[tuple[Node, Leaf], ...] = tuple(
            (node, leaf)
            for node in self.nodes
            if not node.step.conditional
            for leaf in leaves(node.step.trigger)
            if leaf.kind == "event"
        )
        self.timers: tuple[tuple[Node, Leaf], ...] = tuple(
            (node, leaf)
            for node in self.nodes
            for leaf in leaves(node.step.trigger)
            if leaf.kind == "timer"
        )
        self.start_timers: tuple[Leaf, ...] = ()
        self.outside: bool = bool(self.events or self.timers)
        self._sources: dict[tuple[str, str], int] | None = None
        self._starts: list[Node] | None = None
        self._followers: list[int] | None = None
        self._ancestors: list[int] | None = None
        self._listeners: list[int] | None = None
        Wiring(self).build()
        windows = (each.window for each in self.triggers if each.window)
        self.timed: bool = bool(self.timers) or any(
            window.span or window.gap for window in windows
        )

    def kickoff_starts(self) -> list[Node]:
        """The starts a kickoff runs: plain, else by event or schedule, else all."""
        if self._starts is None:
            self._starts = self._kickoff_starts()
        return self._starts

    def _kickoff_starts(self) -> list[Node]:
        starts = [node for node in self.nodes if node.step.start]
        plain = [node for node in starts if not node.step.conditional]
        outside = [node for node in starts if node.step.begins_runs]
        return _routers_first(plain or outside or starts)

    def event_starts(self, name: str) -> list[Node]:
        """The starts that an outside event of this name begins a run with."""
        return _routers_first(
            node
            for node in self.nodes
            if node.step.conditional
            and any(
                leaf.kind == "event" and leaf.name == name
                for leaf in leaves(node.step.trigger)
            )
        )

    def sources(self, leaf: Leaf) -> int:
        """Steps that can produce this leaf, as a bitset."""
        if leaf.kind in OUTSIDE:
            return 0
        if self._sources is None:
            self._sources = self._build_sources()
        kind = leaf.kind if leaf.kind in APART else "name"
        found = self._sources.get((kind, leaf.name), 0)
        return found | self.open_routers if leaf.kind == "name" else found

    def _build_sources(self) -> dict[tuple[str, str], int]:
        sources: dict[tuple[str, str], int] = {}
        for node in self.nodes:
            for ending in ENDINGS:
                sources[ending, node.name] = node.bit
            for name in (node.name, *(node.labels or ()), *(node.step.emits or ())):
                sources["name", name] = sources.get(("name", name), 0) | node.bit
        if self.gathers:
            scopes = scopes_of(self.definition)
            for gather in self.gathers:
                sources["gather", gather.leaf.name] = sum(
                    node.bit
                    for node in self.nodes
                    if gather.fan and gather.fan.name in scopes[node.name]
                )
        return sources

    def followers(self, node: Node) -> int:
        """Steps that may fire because of this one, as a bitset."""
        if self._followers is None:
            self._followers = self._behind(failed=True)
        return self._followers[node.index]

    def listeners(self, node: Node) -> int:
        """Steps that may fire because this one ends well, as a bitset."""
        if self._listeners is None:
            self._listeners = self._behind(failed=False)
        return self._listeners[node.index]

    def _behind(self, *, failed: bool) -> list[int]:
        found = [0] * len(self.nodes)
        for target in self.nodes:
            for source in bits(self._before(target, failed=failed)):
                found[source] |= target.bit
        return found

    def _before(self, node: Node, *, failed: bool = True) -> int:
        found = 0
        for leaf in leaves(node.step.trigger):
            if leaf.kind == "gather" and not failed:
                found |= self.sources(leaf._replace(kind="name"))
            elif failed or leaf.kind not in ENDINGS:
                found |= self.sources(leaf)
        return found

    @property
    def ancestors(self) -> list[int]:
        """For each step those that can lead to it, itself only by a loop; as bitsets.

        Passes in both directions until nothing changes: two or three for a graph
        whose steps are written more or less in order.
        """
        if self._ancestors is None:
            before = [tuple(bits(self._before(node))) for node in self.nodes]
            found = [0] * len(self.nodes)
            order = range(len(self.nodes))
            changed = True
            while changed:
                changed = False
                for index in order:
                    wider = found[index]
                    for source in before[index]:
                        wider |= found[source] | 1 << source
                    if wider != found[index]:
                        found[index] = wider
                        changed = True
                order = order[::-1]
            self._ancestors = found
        return self._ancestors

    def upstream(self, inputs: Iterable[Leaf], without: Node) -> int:
        """Steps from which one of the inputs can be reached, not through a step."""
        barrier = ~without.bit
        found = fresh = 0
        for leaf in inputs:
            fresh |= self.sources(leaf) & barrier
        ancestors = self.ancestors
        whole = fresh
        for index in bits(fresh):
            whole |= ancestors[index]
        if not whole & without.bit:
            return whole  # no loop comes round here: nothing lies behind the barrier
        while fresh:
            found |= fresh
            wider = 0
            for index in bits(fresh):
                wider |= self._before(self.nodes[index])
            fresh = wider & barrier & ~found
        return found


def net_of(definition: Definition) -> Net:
    """The tables of a definition, built once and shared."""
    places = tuple((step.file, step.line) for step in definition.steps)
    return _net_at(definition, places)


@lru_cache(maxsize=512)
def _net_at(definition: Definition, places: tuple[tuple[str, int], ...]) -> Net:
    # Equal definitions may stand in different files, and messages name the place.
    return Net(definition)
