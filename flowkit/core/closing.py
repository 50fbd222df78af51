"""Joins that can never be met, whatever happens in a run.

Sound by three over-approximations: a step *may* fire as soon as one way to it may; it
fires *at most* as often as its sources allow; and a router that runs once, and
declares one label at a time, chooses one of them, so that what holds for each choice
holds for the run. What this file does not know (an event, a name from outside, a loop,
a step with settings it has never heard of) may come at any time, as often as it likes.
A router is taken at its word: labels are its own to give, and those it declares.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from flowkit.core.definition import Join
from flowkit.core.net import MET, bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.definition import Condition, Leaf, Step
    from flowkit.core.net import Net, Node, Slot, Tree, Trigger

__all__ = ["Unmet", "is_emitted", "is_plain", "unmet_joins"]


class Unmet(NamedTuple):
    """A join that can never be met.

    Attributes:
        trigger: the join.
        why: one clause, such as ``b can never come``.
        cure: a sentence.
    """

    trigger: Trigger
    why: str
    cure: str


class Choice(NamedTuple):
    """What a router chooses, if that is all it ever chooses."""

    router: Node
    label: str


def unmet_joins(net: Net) -> list[Unmet]:
    """The joins that hold what arrived and never fire, in the order of the steps.

    Joins none of whose inputs can come are left out: their steps are unreachable.
    """
    if not net.triggers:
        return []
    bounds = _Bounds(net)
    may = _may_fire(net, bounds, None)
    found = []
    left = []
    for trigger in net.triggers:
        if _is_met(net, bounds, trigger, may, None):
            left.append(trigger)
        elif any(_comes(net, slot, may, None) for slot in trigger.slots):
            found.append(_lacking(net, bounds, trigger, may))
    found += _exclusive(net, bounds, left)
    return sorted(found, key=lambda unmet: unmet.trigger.node.index)


def _exclusive(net: Net, bounds: _Bounds, triggers: list[Trigger]) -> Iterator[Unmet]:
    """Joins that are met under no choice of a router that runs once."""
    joins = [trigger for trigger in triggers if not trigger.shortcut]
    for router in net.nodes:
        labels = router.step.labels or ()
        once = router.step.single and bounds.of(router) <= 1
        if not joins or not once or len(labels) < 2:  # noqa: PLR2004 - a choice
            continue
        met: set[int] = set()
        for label in labels:
            choice = Choice(router, label)
            may = _may_fire(net, bounds, choice)
            met.update(
                trigger.index
                for trigger in joins
                if _is_met(net, bounds, trigger, may, choice)
            )
        for trigger in joins:
            if trigger.index not in met:
                yield _chosen(trigger, router)
        joins = [trigger for trigger in joins if trigger.index in met]


def _chosen(trigger: Trigger, router: Node) -> Unmet:
    named = {leaf.name for slot in trigger.slots for leaf in slot.leaves}
    labels = [label for label in router.step.labels or () if label in named]
    of = f" of {' and '.join(map(repr, labels))}" if len(labels) > 1 else " label"
    why = f"{router.name} runs once and chooses one{of}"
    cure = "Write or_(..) if either is enough, or have the router return both labels."
    return Unmet(trigger, why, cure)


def _lacking(net: Net, bounds: _Bounds, trigger: Trigger, may: int) -> Unmet:
    """Why a join lacks an input: it can never come, or not so often."""
    missing = [
        slot for slot in trigger.slots if not _comes_often(net, bounds, slot, may, None)
    ]
    scarce = [slot for slot in missing if _comes(net, slot, may, None)]
    if scarce:
        slot = scarce[0]
        most = int(bounds.of_slot(slot))
        often = "once" if most == 1 else f"{most} times"
        why = f"{slot.text} comes {often} at most, and is needed {slot.need} times"
        return Unmet(trigger, why, "Lower the count, or put its step into a loop.")
    names = " and ".join(slot.text for slot in missing)
    why = f"{names} can never come"
    return Unmet(trigger, why, "Take it out of the condition, or give it a trigger.")


def _may_fire(net: Net, bounds: _Bounds, choice: Choice | None) -> int:
    """Steps that may fire, as a bitset: the least set closed under all triggers."""
    may = sum(node.bit for node in net.nodes if node.step.start)
    changed = True
    while changed:
        changed = False
        for node in net.nodes:
            if not may & node.bit and _may(net, bounds, node, may, choice):
                may |= node.bit
                changed = True
    return may


def _may(
    net: Net, bounds: _Bounds, node: Node, may: int, choice: Choice | None
) -> bool:
    if not is_plain(node.step):
        return True
    if any(_leaf_comes(net, leaf, may, choice) for leaf in node.direct):
        return True
    return any(_is_met(net, bounds, each, may, choice) for each in node.triggers)


def _is_met(
    net: Net, bounds: _Bounds, trigger: Trigger, may: int, choice: Choice | None
) -> bool:
    arrived = _arriving(net, bounds, trigger, may, choice)
    return trigger.tree.status(arrived, trigger.full & ~arrived) == MET


def _arriving(
    net: Net, bounds: _Bounds, trigger: Trigger, may: int, choice: Choice | None
) -> int:
    return sum(
        1 << slot.index
        for slot in trigger.slots
        if _comes_often(net, bounds, slot, may, choice)
    )


def _comes_often(
    net: Net, bounds: _Bounds, slot: Slot, may: int, choice: Choice | None
) -> bool:
    return bounds.of_slot(slot) >= slot.need and _comes(net, slot, may, choice)


def _comes(net: Net, slot: Slot, may: int, choice: Choice | None) -> bool:
    return any(_leaf_comes(net, leaf, may, choice) for leaf in slot.leaves)


def _leaf_comes(net: Net, leaf: Leaf, may: int, choice: Choice | None) -> bool:
    if leaf.kind == "timer":
        return not leaf.after or bool(_named(net, leaf.after) & may)
    if leaf.kind in {"failed", "timeout"}:
        return bool(_named(net, leaf.name) & may)
    if leaf.kind not in {"step", "name"}:
        return True
    sources = net.sources(leaf)
    if not sources or is_emitted(net, leaf):
        return True  # a name from outside, or one that steps emit
    if choice is not None and leaf.name not in {choice.router.name, choice.label}:
        sources &= ~choice.router.bit
    return bool(sources & may)


_JOINS = frozenset({"and", "or", "any_of", "merge", "all_active", "times"})


def is_plain(step: Step) -> bool:
    """Whether a step fires once for each time its condition is met, and no other time.

    One that repeats, or runs an instance for each item, does not.
    """
    if getattr(step, "each", None) or getattr(step, "test", None):
        return False
    return all(join.kind in _JOINS for join in _joins(step.trigger))


def _joins(condition: Condition | None) -> Iterator[Join]:
    if isinstance(condition, Join):
        yield condition
        for inner in condition.inputs:
            yield from _joins(inner)


def is_emitted(net: Net, leaf: Leaf) -> bool:
    """Whether a step may send a name in its middle, as often as it likes."""
    emits = [getattr(node.step, "emits", None) for node in net.nodes]
    return any(each is not None and (not each or leaf.name in each) for each in emits)


def _named(net: Net, name: str) -> int:
    return sum(node.bit for node in net.nodes if node.name == name)


class _Bounds:
    """How often a step fires in a run, at most; infinity where it is not known."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.known: dict[int, float] = {}

    def of(self, node: Node) -> float:
        """Firings of a step; a step in a loop has no bound."""
        bound = self.known.get(node.index)
        if bound is None:
            self.known[node.index] = inf  # asked again meanwhile: it leads to itself
            bound = self.known[node.index] = self._of(node)
        return bound

    def _of(self, node: Node) -> float:
        step = node.step
        if not is_plain(step):
            return inf
        if step.start:
            return 1 if step.trigger is None else inf
        alone = sum(self.of_leaf(leaf) for leaf in node.direct)
        return alone + sum(self._of_tree(each, each.tree) for each in node.triggers)

    def _of_tree(self, trigger: Trigger, tree: Tree) -> float:
        if tree.slot >= 0:
            slot = trigger.slots[tree.slot]
            come = self.of_slot(slot)
            return come if come == inf else come // slot.need
        parts = [self._of_tree(trigger, inner) for inner in tree.inner]
        needs_all = tree.need == len(parts) and not tree.active
        return min(parts) if needs_all else sum(parts)

    def of_slot(self, slot: Slot) -> float:
        """Arrivals at an input of a join."""
        return sum(self.of_leaf(leaf) for leaf in slot.leaves)

    def of_leaf(self, leaf: Leaf) -> float:
        """Arrivals of one source."""
        if leaf.kind == "timer":
            return self._by_name(leaf.after) if leaf.after else 1
        if leaf.kind in {"failed", "timeout"}:
            return self._by_name(leaf.name)
        if leaf.kind not in {"step", "name"}:
            return inf
        sources = self.net.sources(leaf)
        if not sources or is_emitted(self.net, leaf):
            return inf
        return sum(self.of(self.net.nodes[index]) for index in bits(sources))

    def _by_name(self, name: str) -> float:
        return sum(self.of(node) for node in self.net.nodes if node.name == name)
