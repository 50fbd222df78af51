"""What the transition tables of a net hold: steps, edges, joins, gathers.

What the hot path needs is one attribute away: the edges of a finished step stand on
its node. Reachability is a bitset of steps for each input of a join, built when
first asked for: which steps can still lead to this input without passing the join
(R6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.definition import ENDINGS, leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.definition import Each, Join, Leaf, Region, Step
    from flowkit.core.net import Net

__all__ = [
    "APART",
    "DEAD",
    "MET",
    "OPEN",
    "OUTSIDE",
    "Edge",
    "Gather",
    "Node",
    "Slot",
    "Tree",
    "Trigger",
    "bits",
]

OPEN, MET, DEAD = 0, 1, -1


OUTSIDE = frozenset({"event", "timer"})
APART = ENDINGS | {"gather"}


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
        window: the window it is, or None for a join.
    """

    __slots__ = (
        "_exclusive",
        "_near",
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
        "window",
    )

    def __init__(
        self, net: Net, index: int, node: Node, tree: Tree, slots: list[Slot]
    ) -> None:
        self.window: Join | None = None
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
            if any(leaf.kind in OUTSIDE and not leaf.optional for leaf in slot.leaves)
        )
        self._near: tuple[frozenset[int], ...] | None = None
        self._reach: tuple[int, ...] | None = None
        self._turns: int | None = None
        self._exclusive: dict[int, int] = {}

    @property
    def near(self) -> tuple[frozenset[int], ...]:
        """For each slot, numbers of the other steps whose own end brings it."""
        if self._near is None:
            own = ~self.node.bit
            self._near = tuple(
                frozenset(
                    source
                    for leaf in slot.leaves
                    for source in bits(self.net.sources(leaf) & own)
                )
                for slot in self.slots
            )
        return self._near

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
            ancestors, here = self.net.ancestors, self.node.bit
            self._turns = sum(
                1 << slot.index
                for slot in self.slots
                if any(
                    ancestors[source] & here
                    for leaf in slot.leaves
                    for source in bits(self.net.sources(leaf))
                )
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


class Gather:
    """Closes a group: a gather as written, which several steps may listen to.

    Attributes:
        fan: the step whose groups it closes; None if it stands in no group.
        nodes: steps that listen to it.
        edges: where its token goes.
    """

    __slots__ = ("edges", "fan", "index", "leaf", "nodes")

    def __init__(self, index: int, leaf: Leaf, edges: tuple[Edge, ...]) -> None:
        self.index: int = index
        self.leaf: Leaf = leaf
        self.edges: tuple[Edge, ...] = edges
        self.nodes: tuple[Node, ...] = tuple(dict.fromkeys(edge.node for edge in edges))
        self.fan: Node | None = None


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
        cancelled: who hears that it was cancelled; ``heard`` if that matters at all.
        direct: leaves that fire it each by itself.
        triggers: joins in front of it.
        each: how it fans out, or None.
        depth: in how many groups it stands.
        feeds: edges to steps that fan out over what it gives.
        joins: numbers of the joins that stand in its groups.
        nests: some group is opened in its groups.
        gathers: gathers that close its groups.
        gated: waits at a gate before it starts.
        special: takes more to begin than a plain step.
        cancels: steps that are cancelled when it fires, as a bitset.
    """

    __slots__ = (
        "bit",
        "cancelled",
        "cancels",
        "depth",
        "direct",
        "done",
        "during",
        "each",
        "events",
        "failed",
        "feeds",
        "gated",
        "gathers",
        "heard",
        "index",
        "joins",
        "labels",
        "last",
        "limit",
        "mutex",
        "name",
        "nests",
        "net",
        "region",
        "router",
        "serial",
        "slow",
        "solo",
        "special",
        "step",
        "timeout",
        "timers",
        "triggers",
    )

    def __init__(self, net: Net, index: int, step: Step, limit: int) -> None:
        self.net: Net = net
        self.index: int = index
        self.each: Each | None = step.each
        self.mutex: str = step.mutex
        self.region: Region | None = step.region
        self.during: tuple[str, str] | None = step.during
        self.depth: int = 0
        self.cancels: int = 0
        self.cancelled: tuple[Edge, ...] = ()
        self.heard: bool = False
        self.feeds: tuple[Edge, ...] = ()
        self.gathers: tuple[Gather, ...] = ()
        self.joins: tuple[int, ...] = ()
        self.nests: bool = False
        held = bool(step.mutex or (step.region and step.region.mutex))
        self.gated: bool = held or step.during is not None
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
        self.slow: bool = self.serial or held
        self.special: bool = bool(
            self.serial or self.gated or self.each or step.cancels
        )
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


def bits(mask: int) -> Iterator[int]:
    """Positions of the set bits, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
