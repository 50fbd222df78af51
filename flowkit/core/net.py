"""A definition turned into transition tables.

:func:`net_of` builds the tables once for a definition. What the hot path needs
is one attribute away: the edges of a finished step stand on its node, those of a
label or event in a dictionary. Routers come before plain listeners in every
table, because routers of a trigger start first.

Reachability is a bitset of steps for each input of a join, built when first
asked for: which steps can still lead to this input without passing the join (R6).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from flowkit.core.definition import ENDINGS, Join, Leaf, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowkit.core.definition import Condition, Definition, Step

__all__ = ["Edge", "Net", "Node", "Slot", "Tree", "Trigger", "net_of"]

OPEN, MET, DEAD = 0, 1, -1


_OUTSIDE = frozenset({"event", "timer"})


class Slot:
    """An input place of a join: ``need`` tokens from any of ``leaves``.

    Attributes:
        inside: the inner conditions around it; what comes after one of them is met
            is absorbed.
        merges: each inner ``merge`` around it, with the slots of its other inputs:
            one round takes one input of a merge.
    """

    __slots__ = ("index", "inside", "leaves", "merges", "need")

    def __init__(self, index: int, leaves: tuple[Leaf, ...], need: int) -> None:
        self.index: int = index
        self.leaves: tuple[Leaf, ...] = leaves
        self.need: int = need
        self.inside: tuple[Tree, ...] = ()
        self.merges: tuple[tuple[Tree, int], ...] = ()

    @property
    def text(self) -> str:
        """The input as the author wrote it."""
        return " or ".join(str(leaf) for leaf in self.leaves)


class Tree:
    """A condition over slots, evaluated against what arrived and what is dead."""

    __slots__ = (
        "active",
        "flat",
        "index",
        "inner",
        "mask",
        "merges",
        "need",
        "rest",
        "slot",
    )

    def __init__(self, index: int, slot: int = -1) -> None:
        self.index: int = index
        self.slot: int = slot
        self.inner: tuple[Tree, ...] = ()
        self.need: int = 1
        self.rest: str = "ignore"
        self.active: bool = False
        self.merges: bool = False
        self.flat: bool = False
        self.mask: int = 1 << slot if slot >= 0 else 0

    def status(self, arrived: int, dead: int) -> int:
        """MET, DEAD (can't be met any more) or OPEN."""
        if self.slot >= 0:
            return MET if arrived & self.mask else DEAD if dead & self.mask else OPEN
        if self.flat:
            return self._count(arrived, dead)
        met = still = 0
        for inner in self.inner:
            status = inner.status(arrived, dead)
            met += status == MET
            still += status == OPEN
        if self.active:
            return OPEN if still else MET if met else DEAD
        if met >= self.need:
            return MET
        return OPEN if met + still >= self.need else DEAD

    def _count(self, arrived: int, dead: int) -> int:
        """The same for a plain list of inputs, without a look at each."""
        met = (arrived & self.mask).bit_count()
        if met >= self.need:
            return MET
        lost = (dead & ~arrived & self.mask).bit_count()
        return OPEN if len(self.inner) - lost >= self.need else DEAD

    def walk(self) -> Iterator[Tree]:
        """This condition and all inside it."""
        yield self
        for inner in self.inner:
            yield from inner.walk()


class Trigger:
    """A join in front of a step.

    Attributes:
        full: all slots, as a bitset.
        external: slots that an outside event fills, optional events aside.
        flat: no condition inside the condition.
        sensitive: whether it fires depends on dead inputs.
        shortcut: one token is one firing as long as nothing else is live.
        simple: a plain count of inputs, one token each.
        blocks: its conditions with ``rest="block"``.
        races: its conditions with ``rest="cancel"``.
    """

    __slots__ = (
        "_exclusive",
        "_reach",
        "_turns",
        "blocks",
        "external",
        "flat",
        "full",
        "index",
        "net",
        "node",
        "races",
        "sensitive",
        "shortcut",
        "simple",
        "slots",
        "tree",
    )

    def __init__(
        self, net: Net, index: int, node: Node, tree: Tree, slots: list[Slot]
    ) -> None:
        self.net: Net = net
        self.index: int = index
        self.node: Node = node
        self.tree: Tree = tree
        self.slots: tuple[Slot, ...] = tuple(slots)
        self.full: int = (1 << len(slots)) - 1
        trees = tuple(tree.walk())
        self.blocks: tuple[Tree, ...] = tuple(
            each for each in trees if each.rest == "block"
        )
        self.races: tuple[Tree, ...] = tuple(
            each for each in trees if each.rest == "cancel"
        )
        active = any(each.active for each in trees)
        once = all(slot.need == 1 for slot in slots)
        self.sensitive: bool = active or bool(self.blocks)
        self.flat: bool = all(inner.slot >= 0 for inner in tree.inner)
        self.shortcut: bool = (
            self.flat and once and tree.need == 1 and not active and not self.races
        )
        self.simple: bool = (
            self.flat and once and not (self.sensitive or self.races)
        ) and not any(slot.merges for slot in slots)
        self.external: int = sum(
            1 << slot.index
            for slot in slots
            if any(leaf.kind in _OUTSIDE and not leaf.optional for leaf in slot.leaves)
        )
        self._reach: tuple[int, ...] | None = None
        self._turns: int | None = None
        self._exclusive: dict[int, int] = {}

    @property
    def reach(self) -> tuple[int, ...]:
        """For each slot, the steps that can still lead to it without this join."""
        if self._reach is None:
            self._reach = tuple(
                self.net.upstream(slot.leaves, self.node) for slot in self.slots
            )
        return self._reach

    @property
    def turns(self) -> int:
        """Slots that the step itself can lead to: a loop comes round there."""
        if self._turns is None:
            behind = self.net.downstream(self.node)
            self._turns = sum(
                1 << slot.index
                for slot in self.slots
                if any(self.net.sources(leaf) & behind for leaf in slot.leaves)
            )
        return self._turns

    def exclusive(self, tree: Tree) -> int:
        """Steps that feed this condition and nothing else (R8), as a bitset.

        Who listens to a step's failure alone has no use for its result, and does
        not count.
        """
        found = self._exclusive.get(tree.index)
        if found is None:
            found = self._exclusive[tree.index] = self._exclusive_of(tree)
        return found

    def _exclusive_of(self, tree: Tree) -> int:
        inside = 0
        for slot in self.slots:
            if tree.mask >> slot.index & 1:
                inside |= self.reach[slot.index]
        inside &= ~self._beside(tree)
        here = self.node.bit
        changed = True
        while changed:
            changed = False
            for index in bits(inside):
                if self.net.listeners(self.net.nodes[index]) & ~(inside | here):
                    inside &= ~(1 << index)
                    changed = True
        return inside

    def _beside(self, tree: Tree) -> int:
        """Steps that this step hears by another way than the condition."""
        beside = 0
        for leaf in self.node.direct:
            beside |= self.net.sources(leaf)
        for trigger in self.node.triggers:
            for slot in trigger.slots:
                if trigger is not self or not tree.mask >> slot.index & 1:
                    for leaf in slot.leaves:
                        beside |= self.net.sources(leaf)
        return beside


class Edge:
    """From a source to a step: directly, or into a slot of its join."""

    __slots__ = ("node", "slot", "trigger")

    def __init__(self, node: Node, trigger: Trigger | None, slot: int) -> None:
        self.node: Node = node
        self.trigger: Trigger | None = trigger
        self.slot: int = slot


class Node:
    """A step in the tables.

    Attributes:
        bit: its place in a bitset of steps.
        events: the outside events it listens to.
        serial: listens to an outside event, and handles one at a time.
        timers: timers that its end starts.
        slow: its end does more than signal its listeners.
        last: nobody hears that it ended well.
        done: who hears that it ended well; ``solo`` if it is one.
        failed: who hears that it failed.
        timeout: who hears that it ran out of its time, rather than ``failed``.
        direct: leaves that fire it each by itself.
        triggers: joins in front of it.
    """

    __slots__ = (
        "bit",
        "direct",
        "done",
        "events",
        "failed",
        "index",
        "labels",
        "last",
        "limit",
        "name",
        "router",
        "serial",
        "slow",
        "solo",
        "step",
        "timeout",
        "timers",
        "triggers",
    )

    def __init__(self, index: int, step: Step, limit: int) -> None:
        self.index: int = index
        self.bit: int = 1 << index
        self.step: Step = step
        self.name: str = step.name
        self.router: bool = step.router
        self.limit: int = limit
        self.labels: frozenset[str] | None = (
            None if step.labels is None else frozenset(step.labels)
        )
        self.events: frozenset[str] = frozenset(
            leaf.name for leaf in leaves(step.trigger) if leaf.kind == "event"
        )
        self.serial: bool = bool(self.events) and not step.conditional
        self.slow: bool = self.serial
        self.timers: tuple[Leaf, ...] = ()
        self.last: bool = False
        self.done: tuple[Edge, ...] = ()
        self.failed: tuple[Edge, ...] = ()
        self.timeout: tuple[Edge, ...] = ()
        self.solo: Edge | None = None
        self.direct: tuple[Leaf, ...] = ()
        self.triggers: tuple[Trigger, ...] = ()

    def hears(self, *, late: bool) -> tuple[Edge, ...]:
        """Who hears that it failed, or ran out of its time."""
        return (late and self.timeout) or self.failed


def _routers_first(nodes: Iterable[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: not node.router)


class Net:
    """The transition tables of one definition."""

    __slots__ = (
        "_followers",
        "_listeners",
        "_sources",
        "_starts",
        "by_event",
        "by_name",
        "by_timer",
        "definition",
        "events",
        "known",
        "nodes",
        "open_routers",
        "outside",
        "start_timers",
        "timers",
        "triggers",
    )

    def __init__(self, definition: Definition) -> None:
        self.definition: Definition = definition
        unlimited = 1 << 62
        self.nodes: tuple[Node, ...] = tuple(
            Node(
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
        self.known: frozenset[str] = definition.names | {
            label for step in definition.steps for label in step.labels or ()
        }
        self.open_routers: int = sum(
            node.bit for node in self.nodes if node.router and node.labels is None
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
        self._listeners: list[int] | None = None
        _Wiring(self).build()

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
        if leaf.kind in _OUTSIDE:
            return 0
        if self._sources is None:
            self._sources = self._build_sources()
        kind = leaf.kind if leaf.kind in ENDINGS else "name"
        found = self._sources.get((kind, leaf.name), 0)
        return found | self.open_routers if leaf.kind == "name" else found

    def _build_sources(self) -> dict[tuple[str, str], int]:
        sources: dict[tuple[str, str], int] = {}
        for node in self.nodes:
            for ending in ENDINGS:
                sources[ending, node.name] = node.bit
            for name in (node.name, *(node.labels or ())):
                sources["name", name] = sources.get(("name", name), 0) | node.bit
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
            if failed or leaf.kind not in ENDINGS:
                found |= self.sources(leaf)
        return found

    def downstream(self, node: Node) -> int:
        """Steps that a step can lead to, itself only by a loop."""
        found, fresh = 0, self.followers(node)
        while fresh:
            found |= fresh
            wider = 0
            for index in bits(fresh):
                wider |= self.followers(self.nodes[index])
            fresh = wider & ~found
        return found

    def upstream(self, inputs: Iterable[Leaf], without: Node) -> int:
        """Steps from which one of the inputs can be reached, not through a step."""
        barrier = ~without.bit
        found = fresh = 0
        for leaf in inputs:
            fresh |= self.sources(leaf) & barrier
        while fresh:
            found |= fresh
            wider = 0
            for index in bits(fresh):
                wider |= self._before(self.nodes[index])
            fresh = wider & barrier & ~found
        return found


class _Wiring:
    """Builds the tables of a net, one step after another."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.edges: dict[tuple[str, str], list[Edge]] = {}
        self.known: set[tuple[str, str, Node, Trigger | None, int]] = set()
        self.trees = 0

    def build(self) -> None:
        for node in self.net.nodes:
            if node.step.trigger is not None:
                self._wire(node, node.step.trigger)
        for (kind, name), edges in self.edges.items():
            edges.sort(key=lambda edge: not edge.node.router)
            if kind == "event":
                self.net.by_event[name] = tuple(edges)
            elif kind == "timer":
                self.net.by_timer[name] = tuple(edges)
            elif kind == "name":
                self.net.by_name[name] = tuple(edges)
        for node in self.net.nodes:
            node.done = self.net.by_name.get(node.name, ())
            node.failed = tuple(self.edges.get(("failed", node.name), ()))
            node.timeout = tuple(self.edges.get(("timeout", node.name), ()))
            if len(node.done) == 1:
                node.solo = node.done[0]
        self._timers()
        self._errors()
        for node in self.net.nodes:
            node.last = not (node.done or node.slow)

    def _errors(self) -> None:
        """Steps whose end is looked at: what is undone, or may come after a failure."""
        definition = self.net.definition
        undoing = definition.undoing
        for node in self.net.nodes:
            if (
                node.step.undo
                or node.name in undoing
                or definition.on_error == "collect"
            ):
                node.slow = True

    def _timers(self) -> None:
        set_by: dict[str, dict[str, Leaf]] = {}
        for _, leaf in self.net.timers:
            set_by.setdefault(leaf.after, {})[leaf.name] = leaf
        self.net.start_timers = tuple(set_by.get("", {}).values())
        for node in self.net.nodes:
            if node.name in set_by:
                node.timers = tuple(set_by[node.name].values())
                node.slow = True

    def _wire(self, node: Node, condition: Condition) -> None:
        for part in _branches(condition):
            if isinstance(part, Leaf):
                node.direct = (*node.direct, part)
                self._edge(part, Edge(node, None, 0))
            else:
                self._join(node, part)

    def _edge(self, leaf: Leaf, edge: Edge) -> None:
        kind = "name" if leaf.kind == "step" else leaf.kind
        same = (kind, leaf.name, edge.node, edge.trigger, edge.slot)
        if same not in self.known:
            self.known.add(same)
            self.edges.setdefault((kind, leaf.name), []).append(edge)

    def _join(self, node: Node, join: Join) -> None:
        slots: list[Slot] = []
        tree = self._tree(join, slots)
        _surround(tree, slots)
        trigger = Trigger(self.net, len(self.net.triggers), node, tree, slots)
        self.net.triggers.append(trigger)
        node.triggers = (*node.triggers, trigger)
        for slot in slots:
            for leaf in slot.leaves:
                self._edge(leaf, Edge(node, trigger, slot.index))

    def _tree(self, condition: Condition, slots: list[Slot]) -> Tree:
        self.trees += 1
        place = _as_slot(condition)
        if place is not None:
            slots.append(Slot(len(slots), *place))
            return Tree(self.trees, len(slots) - 1)
        assert isinstance(condition, Join)  # noqa: S101 - a leaf is a place
        tree = Tree(self.trees)
        tree.need = condition.need
        tree.rest = condition.rest
        tree.active = condition.kind == "all_active"
        tree.merges = condition.kind == "merge"
        tree.inner = tuple(self._tree(inner, slots) for inner in condition.inputs)
        for inner in tree.inner:
            tree.mask |= inner.mask
        tree.flat = not tree.active and all(inner.slot >= 0 for inner in tree.inner)
        return tree


def _surround(tree: Tree, slots: list[Slot]) -> None:
    """Tell each slot which inner conditions are around it."""
    for outer in tree.walk():
        for inner in outer.inner:
            for slot in (slots[index] for index in bits(inner.mask)):
                if inner.slot < 0:
                    slot.inside = (*slot.inside, inner)
                if outer.merges:
                    slot.merges = (*slot.merges, (outer, outer.mask & ~inner.mask))


def _branches(condition: Condition) -> Iterator[Condition]:
    """The parts of a condition that fire the step each by itself."""
    if isinstance(condition, Join):
        alone = len(condition.inputs) == 1 and condition.kind != "times"
        if condition.kind == "merge" or alone:
            for inner in condition.inputs:
                yield from _branches(inner)
            return
    yield condition


def _as_slot(condition: Condition) -> tuple[tuple[Leaf, ...], int] | None:
    """Leaves and count of a condition that is a single place, else None."""
    if isinstance(condition, Leaf):
        return (condition,), 1
    if condition.kind == "merge":
        inner = [each for each in condition.inputs if isinstance(each, Leaf)]
        if len(inner) == len(condition.inputs):
            return tuple(inner), 1
    if condition.kind == "times":
        place = _as_slot(condition.inputs[0])
        if place is not None and place[1] == 1:
            return place[0], condition.need
    return None


def bits(mask: int) -> Iterator[int]:
    """Positions of the set bits, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@lru_cache(maxsize=512)
def net_of(definition: Definition) -> Net:
    """The tables of a definition, built once and shared."""
    return Net(definition)
