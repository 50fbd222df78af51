"""When nothing is live: waiting or over, and what is stuck and why (R14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.definition import Leaf, leaves
from flowkit.core.net import MET, bits

if TYPE_CHECKING:
    from flowkit.core.marking import Marking, Round
    from flowkit.core.net import Net, Node, Tree, Trigger

__all__ = ["awaited", "stuck_text"]


def awaited(net: Net, marking: Marking) -> tuple[str, ...]:
    """Names of the outside events that could still move this run.

    An optional event does not count. An event into a join counts only if the
    other inputs are there, or can come by events too.
    """
    if not net.events:
        return ()
    events = {leaf.name for _, leaf in net.events if not leaf.optional}
    moved = 0
    changed = True
    while changed:
        changed = False
        for node in net.nodes:
            bit = 1 << node.index
            if not moved & bit and _can_fire(net, marking, node, moved, events):
                moved |= bit
                changed = True
    return tuple(
        dict.fromkeys(
            leaf.name
            for node, leaf in net.events
            if leaf.name in events and moved >> node.index & 1
        )
    )


def _can_fire(
    net: Net, marking: Marking, node: Node, moved: int, events: set[str]
) -> bool:
    direct = not node.triggers and not node.step.begins_on_event
    if direct and any(
        _comes(net, leaf, moved, events) for leaf in leaves(node.step.trigger)
    ):
        return True
    return any(_meets(net, marking, each, moved, events) for each in node.triggers)


def _comes(net: Net, leaf: Leaf, moved: int, events: set[str]) -> bool:
    if leaf.kind == "event":
        return leaf.name in events
    return bool(net.sources(leaf) & moved)


def _meets(
    net: Net, marking: Marking, trigger: Trigger, moved: int, events: set[str]
) -> bool:
    coming = 0
    for slot in trigger.slots:
        if any(_comes(net, leaf, moved, events) for leaf in slot.leaves):
            coming |= 1 << slot.index
    if not coming:
        return False
    held = [0]
    for (index, _), rounds in marking.rounds.items():
        if index == trigger.index:
            held += [each.arrived for each in rounds if not each.fired]
    dead = trigger.full
    return any(
        trigger.tree.status(arrived | coming, dead & ~(arrived | coming)) == MET
        for arrived in held
    )


def stuck_text(net: Net, marking: Marking, each: Round) -> str:
    """One sentence on a round that will never fire: what came, what cannot.

    ``Flow.step waits for and_(a, b): a came, b is missing because ..``
    """
    trigger = each.trigger
    step = trigger.node.step
    came = [
        f"{trigger.slots[slot].text} came"
        if trigger.slots[slot].need == 1
        else f"{len(tokens)} of {trigger.slots[slot].need} {trigger.slots[slot].text}"
        for slot, tokens in each.held.items()
    ]
    missing = [
        f"{trigger.slots[slot].text} cannot come any more "
        f"({_why(net, marking, trigger.slots[slot].leaves[0])})"
        for slot in _missing(trigger.tree, each.arrived)
        if slot not in each.held
    ]
    said = "; ".join([*came, *missing])
    return (
        f"{net.definition.name}.{step.name} is stuck on {step.trigger}: {said}. "
        f"({step.place})"
    )


def _missing(tree: Tree, arrived: int) -> list[int]:
    if tree.status(arrived, 0) == MET:
        return []
    if tree.slot >= 0:
        return [tree.slot]
    return [slot for inner in tree.inner for slot in _missing(inner, arrived)]


def _why(net: Net, marking: Marking, leaf: Leaf) -> str:
    sources = [net.nodes[index] for index in bits(net.sources(leaf))]
    if leaf.kind == "event":
        return "the event is not awaited any more"
    if not sources:
        return "nothing in the flow produces it"
    return ", ".join(_excuse(marking, node, leaf) for node in sources)


def _excuse(marking: Marking, node: Node, leaf: Leaf) -> str:
    times = marking.seen[node.index]
    if leaf.kind == "failed":
        return f"{node.name} did not fail"
    if not times:
        return f"{node.name} never ended"
    if node.router and leaf.name != node.name:
        chose = marking.routes.get(node.index, ())
        if not chose:
            return f"router {node.name} chose no label"
        if leaf.name not in chose:
            return f"router {node.name} chose {', '.join(map(repr, chose))}"
    often = "once" if times == 1 else f"{times} times"
    return f"{node.name} ended {often}, all of it used"
