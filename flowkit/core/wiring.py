"""Builds the tables of a net, one step after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.definition import Join, Leaf
from flowkit.core.scopes import grouped, scopes_of
from flowkit.core.tables import Edge, Gather, Slot, Tree, Trigger, bits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from flowkit.core.definition import Condition
    from flowkit.core.net import Net
    from flowkit.core.tables import Node

__all__ = ["Wiring", "targets"]


class Wiring:
    """Builds the tables of a net, one step after another."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.edges: dict[tuple[str, str], list[Edge]] = {}
        self.known: set[tuple[str, str, Node, Trigger | None, int]] = set()
        self.gathers: dict[str, Leaf] = {}
        self.trees: int = 0

    def build(self) -> None:
        """Wire every step, then what depends on all of them."""
        for node in self.net.nodes:
            if node.step.trigger is not None:
                self._wire(node, node.step.trigger)
        self._tables()
        for node in self.net.nodes:
            node.done = self.net.by_name.get(node.name, ())
            node.failed = tuple(self.edges.get(("failed", node.name), ()))
            node.timeout = tuple(self.edges.get(("timeout", node.name), ()))
            node.cancelled = tuple(self.edges.get(("cancelled", node.name), ()))
            if len(node.done) == 1:
                node.solo = node.done[0]
        self._timers()
        if grouped(self.net.definition):
            self._groups()
        for node in self.net.nodes:
            self._more(node)
        self._errors()
        for node in self.net.nodes:
            node.last = not (node.done or node.slow)
            node.heard = bool(
                node.cancelled or f"{node.name}.cancelled" in self.net.phases
            )

    def _tables(self) -> None:
        for (kind, name), edges in self.edges.items():
            edges.sort(key=lambda edge: not edge.node.router)
            if kind == "gather":
                leaf = self.gathers[name]
                gathers = self.net.gathers
                gathers.append(Gather(len(gathers), leaf, tuple(edges)))
            if kind == "event":
                self.net.by_event[name] = tuple(edges)
            elif kind == "timer":
                self.net.by_timer[name] = tuple(edges)
            elif kind == "name":
                self.net.by_name[name] = tuple(edges)

    def _groups(self) -> None:
        """Depths, who feeds a group, and which gathers close it."""
        net = self.net
        scopes = scopes_of(net.definition)
        nodes = {node.name: node for node in net.nodes}
        for node in net.nodes:
            node.depth = len(scopes[node.name])
            if node.depth:
                node.slow = node.special = True
            if node.bit & net.open_routers:
                node.slow = True  # its labels may stand in another group
            node.feeds = tuple(
                edge
                for edge in node.done
                if edge.trigger is None and edge.node.each is not None
            )
            if node.feeds:
                node.slow = True
            around = scopes[node.name][: node.depth - (node.each is not None)]
            if around:
                fan = nodes[around[-1]]
                fan.joins += tuple(trigger.index for trigger in node.triggers)
                fan.nests = fan.nests or node.each is not None
        for gather in net.gathers:
            name = gather.leaf.name
            made = [
                node
                for node in net.nodes
                if name == node.name
                or name in (node.labels or ())
                or name in (node.step.emits or ())
            ] or [node for node in net.nodes if node.bit & net.open_routers]
            inside = next((scopes[node.name] for node in made if node.depth), ())
            if inside:
                gather.fan = nodes[inside[-1]]
                gather.fan.gathers = (*gather.fan.gathers, gather)
                net.gathered[name] = (*net.gathered.get(name, ()), gather)

    def _more(self, node: Node) -> None:
        """What the end of this step, or a name it may leave, does beside."""
        net = self.net
        if node.step.emits is not None:
            node.slow = True
        if any(
            edge.trigger is not None and edge.trigger.window is not None
            for name in (node.name, *(node.labels or ()))
            for edge in net.by_name.get(name, ())
        ):
            node.slow = True
        if node.step.cancels:
            node.cancels = targets(net, node.step.cancels)
        if node.during is not None:
            for name, phase in zip(node.during, ("open", "closed"), strict=True):
                net.phases.setdefault(name, []).append((node, phase))
                for each in net.nodes:
                    leaves_it = name == each.name or name in (each.labels or ())
                    if leaves_it or each.bit & net.open_routers:
                        each.slow = True

    def _errors(self) -> None:
        """Steps whose end is looked at: what is undone, or may come after a failure."""
        definition = self.net.definition
        undoing = definition.undoing
        collects = definition.on_error == "collect"
        for node in self.net.nodes:
            if collects or node.step.undo or node.name in undoing:
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
        name = leaf.name
        if kind == "gather":  # gathers of one step may want different things
            name = repr(leaf)
            self.gathers[name] = leaf
        same = (kind, name, edge.node, edge.trigger, edge.slot)
        if same not in self.known:
            self.known.add(same)
            self.edges.setdefault((kind, name), []).append(edge)

    def _join(self, node: Node, join: Join) -> None:
        slots: list[Slot] = []
        tree = self._tree(join, slots)
        _surround(tree, slots)
        trigger = Trigger(self.net, len(self.net.triggers), node, tree, slots)
        if join.kind == "window":
            trigger.window = join
            trigger.simple = trigger.shortcut = False
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
        alone = len(condition.inputs) == 1 and condition.kind not in _COUNTING
        if condition.kind == "merge" or alone:
            for inner in condition.inputs:
                yield from _branches(inner)
            return
    yield condition


_COUNTING = frozenset({"times", "window"})


def _as_slot(condition: Condition) -> tuple[tuple[Leaf, ...], int] | None:
    """Leaves and count of a condition that is a single place, else None."""
    if isinstance(condition, Leaf):
        return (condition,), 1
    if condition.kind == "merge":
        inner = [each for each in condition.inputs if isinstance(each, Leaf)]
        if len(inner) == len(condition.inputs):
            return tuple(inner), 1
    if condition.kind in _COUNTING:
        place = _as_slot(condition.inputs[0])
        if place is not None and place[1] == 1:
            timed = condition.span or condition.gap
            return place[0], 1 if timed else condition.need
    return None


def targets(net: Net, names: Collection[str]) -> int:
    """Steps by name, and of regions written ``region(name)``, as a bitset."""
    found = 0
    for node in net.nodes:
        region = "" if node.region is None else f"region({node.region.name})"
        if node.name in names or region in names:
            found |= node.bit
    return found
