"""When nothing is live: waiting or over, and what is stuck and why (R14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.definition import ENDINGS, leaves
from flowkit.core.net import MET, bits
from flowkit.core.tables import APART, OUTSIDE

if TYPE_CHECKING:
    from flowkit.core.definition import Leaf
    from flowkit.core.marking import Marking, Round
    from flowkit.core.net import Net, Node, Slot, Tree, Trigger

__all__ = ["awaited", "moved_by_events", "stuck_text"]


def awaited(net: Net, marking: Marking) -> tuple[str, ...]:
    """Names of the outside events and timers that could still move this run.

    An optional event does not count. An event into a join counts only if the
    other inputs are there, or can come by events too.
    """
    if not (net.events or marking.timers):
        return ()
    windows = [timer.name for timer in marking.timers.values() if timer.window]
    moved = moved_by_events(net, marking)
    armed = {timer.name for timer in marking.timers.values()}
    names = [
        leaf.name for node, leaf in net.events if not leaf.optional and moved & node.bit
    ]
    names += [
        leaf.name
        for node, leaf in net.timers
        if leaf.name in armed and moved & node.bit
    ]
    return tuple(dict.fromkeys(names + windows))


def moved_by_events(net: Net, marking: Marking) -> int:
    """Steps that what is outside alone could make fire, as a bitset."""
    events = {leaf.name for _, leaf in net.events if not leaf.optional}
    events.update(timer.name for timer in marking.timers.values())
    moved = 0
    changed = True
    while changed:
        changed = False
        for node in net.nodes:
            if not moved & node.bit and _can_fire(net, marking, node, moved, events):
                moved |= node.bit
                changed = True
    return moved


def _can_fire(
    net: Net, marking: Marking, node: Node, moved: int, events: set[str]
) -> bool:
    if node.step.begins_on_event:
        events = set()  # such events begin runs of their own
    if node.during is not None and not _may_open(net, marking, node, moved, events):
        return False
    gates = marking.gates
    if gates is not None and node.index in gates.lines:
        return True
    if any(_comes(net, leaf, moved, events) for leaf in node.direct):
        return True
    return any(_meets(net, marking, each, moved, events) for each in node.triggers)


def _may_open(
    net: Net, marking: Marking, node: Node, moved: int, events: set[str]
) -> bool:
    """Whether a step's milestone is open, or may still open."""
    assert node.during is not None  # noqa: S101 - who calls has looked
    opened = node.during[0]
    phases = {} if marking.gates is None else marking.gates.phases
    if phases.get(node.index) == "open":
        return True
    by_step = any(
        each.bit & moved and (opened == each.name or opened in (each.labels or ()))
        for each in net.nodes
    )
    return by_step or opened in events or bool(net.open_routers & moved)


def _comes(net: Net, leaf: Leaf, moved: int, events: set[str]) -> bool:
    if leaf.kind == "event":
        return leaf.name in events
    if leaf.kind == "timer":
        after = next((n.bit for n in net.nodes if n.name == leaf.after), 0)
        return leaf.name in events or bool(after & moved)
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
    held = {0}
    for (index, _), rounds in marking.rounds.items():
        if index == trigger.index:
            held.update(each.arrived for each in rounds if not each.fired)
    return any(
        trigger.tree.status(arrived | coming, trigger.full & ~(arrived | coming)) == MET
        for arrived in held
    )


_DID_NOT = {
    "failed": "did not fail",
    "timeout": "did not run out of its time",
    "cancelled": "was not cancelled",
}


def stuck_text(net: Net, marking: Marking, each: Round) -> str:
    """One sentence on a round that will never fire: what came, what cannot.

    ``Flow.step is stuck on and_(a, b): a came; b cannot come any more (..). (..)``
    """
    trigger = each.trigger
    step = trigger.node.step
    came = [
        f"{slot.text} came" for slot in trigger.slots if each.arrived >> slot.index & 1
    ]
    missing = [
        f"{_lacking(slot, len(each.held.get(slot.index, ())))} "
        f"({_why(net, marking, slot)})"
        for slot in (trigger.slots[at] for at in _missing(trigger.tree, each.arrived))
    ]
    said = "; ".join([*came, *missing])
    return (
        f"{net.definition.name}.{step.name} is stuck on {step.trigger}: {said}. "
        f"({step.place})"
    )


def _lacking(slot: Slot, held: int) -> str:
    if slot.need == 1:
        return f"{slot.text} cannot come any more"
    return f"{slot.text} came {held} of {slot.need} times and cannot come any more"


def _missing(tree: Tree, arrived: int) -> list[int]:
    if tree.status(arrived, 0) == MET:
        return []
    if tree.slot >= 0:
        return [tree.slot]
    return [slot for inner in tree.inner for slot in _missing(inner, arrived)]


def _why(net: Net, marking: Marking, slot: Slot) -> str:
    return ", ".join(
        dict.fromkeys(
            why for leaf in slot.leaves for why in _reasons(net, marking, leaf)
        )
    )


def _reasons(net: Net, marking: Marking, leaf: Leaf) -> list[str]:
    if leaf.kind == "event":
        return ["the event is optional"]
    if leaf.kind == "timer":
        return ["it has gone off" if not leaf.after else f"after {leaf.after}"]
    sources = [net.nodes[index] for index in bits(net.sources(leaf))]
    if not sources:
        return ["nothing in the flow produces it"]
    return [_excuse(net, marking, node, leaf) for node in sources]


def _excuse(net: Net, marking: Marking, node: Node, leaf: Leaf) -> str:
    if _never_ran(marking, node) and leaf.kind not in APART:
        why = ", ".join(_causes(net, marking, node))
        return f"{node.name} never ran{why and ': '}{why}"
    cause = _cause(marking, node, leaf)
    if cause:
        return cause
    times = marking.seen[node.index]
    often = "once" if times == 1 else f"{times} times"
    return f"{node.name} ended {often}, all of it used"


def _never_ran(marking: Marking, node: Node) -> bool:
    return not (marking.seen[node.index] or marking.fired[node.index])


def _cause(marking: Marking, node: Node, leaf: Leaf) -> str:
    """Why a step that has run has not left this; nothing if it has."""
    if leaf.kind in ENDINGS:
        return f"{node.name} {_DID_NOT[leaf.kind]}"
    if leaf.kind == "gather":
        return f"the group of {leaf.name} never ended"
    if not marking.seen[node.index]:
        return f"{node.name} never ended well"
    if node.router and leaf.name != node.name:
        chose = marking.routes.get(node.index, ())
        if not chose:
            return f"router {node.name} chose no label"
        if leaf.name not in chose:
            return f"router {node.name} chose {', '.join(map(repr, chose))}"
    return ""


def _causes(net: Net, marking: Marking, node: Node) -> list[str]:
    """Why a step never ran: what is the matter before it, and before that.

    Not within groups, where what other instances did says nothing.
    """
    if node.depth:
        return []
    causes: dict[str, None] = {}
    steps = [node]
    for step in steps:
        for leaf in leaves(step.step.trigger):
            if leaf.kind == "event" and leaf in step.direct:
                causes[f"event {leaf.name!r} never came"] = None
            sources = [net.nodes[index] for index in bits(_before(net, leaf))]
            if not sources and leaf.kind not in OUTSIDE:
                causes[f"nothing in the flow produces {leaf.name!r}"] = None
            for source in sources:
                if not _never_ran(marking, source):
                    causes[_cause(marking, source, leaf)] = None
                elif source not in steps:
                    steps.append(source)
    causes.pop("", None)
    return list(causes)


def _before(net: Net, leaf: Leaf) -> int:
    """Steps that a leaf waits for, as a bitset."""
    if leaf.kind == "timer":
        return sum(node.bit for node in net.nodes if node.name == leaf.after)
    return net.sources(leaf)
