"""Every fault of a definition at once (R15), each with place, cause and cure.

An *error* makes the class unusable; a *warning* is probably not meant and is an
error in a strict flow; a *hint* is shown by checks and pictures only.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flowkit.core.definition import ENDINGS, Join, Leaf, leaves
from flowkit.core.faults import Fault, closest
from flowkit.core.net import bits, net_of
from flowkit.core.scopes import grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowkit.core.definition import Condition, Definition, Step
    from flowkit.core.net import Net, Node

    _Read = Callable[[str], tuple[tuple[str, ...], bool]]

__all__ = ["RESERVED", "Fault", "closest", "hints", "is_typo", "unmet", "validate"]

RESERVED = frozenset({"kickoff", "kickoff_async", "akickoff", "state"})


def validate(definition: Definition, read: _Read) -> list[Fault]:
    """All errors and warnings of a definition, in the order of its steps.

    Args:
        definition: the graph.
        read: labels that the source of a router shows, and whether it may return
            others; asked only when it matters.
    """
    faults: list[Fault] = []
    checks = [_reserved, _itself, _joins, _begins, _names, _labels_unheard]
    if any(
        step.each or step.during or step.cancels or step.test
        for step in definition.steps
    ) or grouped(definition):
        from flowkit.core.checks import groups, options  # only who has them

        checks += [groups, options]
    for check in checks:
        faults += check(definition, read)
    return _ordered(definition, faults)


def hints(definition: Definition) -> list[Fault]:
    """What only checks and pictures tell, in the order of the steps.

    Joins that can never be met are errors; the rest may be meant but looks odd.
    """
    net = net_of(definition)
    unmet = list(_unmet(net))
    told = {fault.step for fault in unmet}
    several = [each for each in _one_label_joins(definition) if each.step not in told]
    return _ordered(definition, [*unmet, *several, *_unreachable(net), *_endless(net)])


def unmet(definition: Definition) -> list[Fault]:
    """Joins that can never be met, which a strict class may not have."""
    return list(_unmet(net_of(definition)))


def _unmet(net: Net) -> Iterator[Fault]:
    from flowkit.core.closing import unmet_joins  # for checks and pictures only

    for unmet in unmet_joins(net):
        step = unmet.trigger.node.step
        text = (
            f"{_at(net.definition, step)} waits for {step.trigger}, which can never be "
            f"met: {unmet.why}. {unmet.cure} ({step.place})"
        )
        yield Fault("error", step.name, text)


def _ordered(definition: Definition, faults: list[Fault]) -> list[Fault]:
    order = {step.name: index for index, step in enumerate(definition.steps)}
    return sorted(faults, key=lambda fault: order.get(fault.step, 0))


def _at(definition: Definition, step: Step) -> str:
    return f"{definition.name}.{step.name}"


def _reserved(definition: Definition, _: _Read) -> Iterator[Fault]:
    for step in definition.steps:
        if step.name in RESERVED:
            text = (
                f"{_at(definition, step)} takes the name of a Flow verb. Rename the "
                f"step. ({step.place})"
            )
            yield Fault("error", step.name, text)


def _itself(definition: Definition, _: _Read) -> Iterator[Fault]:
    for step in definition.steps:
        for leaf in leaves(step.trigger):
            if leaf.kind in {"step", "name"} and leaf.name == step.name:
                text = (
                    f"{_at(definition, step)} listens to itself and would never end. "
                    f"For a loop, listen to a label that a router chooses. "
                    f"({step.place})"
                )
                yield Fault("error", step.name, text)
                break


def _joins(definition: Definition, _: _Read) -> Iterator[Fault]:
    for step in definition.steps:
        for join in _inner_joins(step.trigger):
            if join.rest != "ignore" and join.need == len(join.inputs):
                text = (
                    f"{_at(definition, step)}: {join} needs all of its inputs, so "
                    f"rest={join.rest!r} has nothing left to apply to. Lower the "
                    f"count or write and_(..). ({step.place})"
                )
                yield Fault("error", step.name, text)
            inner = join.inputs[0]
            if join.kind == "times" and not _is_place(inner):
                text = (
                    f"{_at(definition, step)}: {join} counts arrivals of one input; "
                    f"{inner} is a join. Put a step behind the join and count that. "
                    f"({step.place})"
                )
                yield Fault("error", step.name, text)


def _begins(definition: Definition, _: _Read) -> Iterator[Fault]:
    for step in definition.steps:
        if not step.begins_on_event:
            continue
        for join in _inner_joins(step.trigger):
            alone = join.kind in {"or", "merge"} or len(join.inputs) == 1
            if alone and join.kind != "times":
                continue
            text = (
                f"{_at(definition, step)} begins a run on {join}, but a run begins "
                f"with one event. Begin it with the first and listen to the others, "
                f"or write or_(..). ({step.place})"
            )
            yield Fault("error", step.name, text)
            break


def _inner_joins(condition: Condition | None) -> Iterator[Join]:
    if isinstance(condition, Join):
        yield condition
        for inner in condition.inputs:
            yield from _inner_joins(inner)


def _is_place(condition: Condition) -> bool:
    if isinstance(condition, Leaf):
        return True
    return condition.kind == "merge" and all(
        isinstance(inner, Leaf) for inner in condition.inputs
    )


def _names(definition: Definition, read: _Read) -> Iterator[Fault]:
    known = definition.names | {
        label
        for step in definition.steps
        for label in (*(step.labels or ()), *(step.emits or ()))
    }
    if any(step.emits == () for step in definition.steps):
        return
    for step in definition.steps:
        for leaf in dict.fromkeys(leaves(step.trigger)):
            if leaf.kind not in {"name", "gather"} or leaf.name in known:
                continue
            shown = [
                read(each.name)
                for each in definition.steps
                if each.router and each.labels is None
            ]
            if any(is_open or leaf.name in labels for labels, is_open in shown):
                continue
            inferred = {label for labels, _ in shown for label in labels}
            yield _unknown(definition, step, leaf.name, known | inferred)


def _unknown(
    definition: Definition,
    step: Step,
    name: str,
    known: frozenset[str],
) -> Fault:
    typos = [each for each in sorted(definition.names) if is_typo(name, each)]
    guess = typos[0] if typos else closest(name, known)
    hint = f" Did you mean {guess!r}?" if guess else ""
    said = (
        f"{_at(definition, step)} listens to {name!r}, but no step, route or event "
        f"has that name."
    )
    if len(typos) == 1:
        return Fault("error", step.name, f"{said}{hint} ({step.place})")
    cure = hint or " It can come only from outside, by send(); then use event(..)."
    return Fault("warning", step.name, f"{said}{cure} ({step.place})")


def is_typo(name: str, meant: str) -> bool:
    """Whether ``name`` is ``meant`` but for case or one slip of the fingers.

    A slip is two letters transposed, one missing, or one doubled. A different
    letter is no slip: ``size_s`` and ``size_m`` are two names.
    """
    if name == meant:
        return False
    if name.lower() == meant.lower():
        return True
    if len(name) == len(meant):
        return any(
            meant[:at] + meant[at + 1] + meant[at] + meant[at + 2 :] == name
            for at in range(len(meant) - 1)
        )
    if len(name) == len(meant) - 1:
        return any(meant[:at] + meant[at + 1 :] == name for at in range(len(meant)))
    return any(meant[:at] + meant[at - 1 :] == name for at in range(1, len(meant) + 1))


def _labels_unheard(definition: Definition, _: _Read) -> Iterator[Fault]:
    heard = {leaf.name for step in definition.steps for leaf in leaves(step.trigger)}
    for step in definition.steps:
        lost = [label for label in step.labels or () if label not in heard]
        if step.router and lost:
            labels = ", ".join(map(repr, lost))
            text = (
                f"{_at(definition, step)} declares {labels}, but no step listens to "
                f"{'it' if len(lost) == 1 else 'them'}; the branch ends there. "
                f"({step.place})"
            )
            yield Fault("warning", step.name, text)


def _one_label_joins(definition: Definition) -> Iterator[Fault]:
    singles: dict[str, list[str]] = {}
    for step in definition.steps:
        if step.router and step.single:
            for label in step.labels or ():
                singles.setdefault(label, []).append(step.name)
    for step in definition.steps:
        for join in _inner_joins(step.trigger):
            if join.kind != "and":
                continue
            names = {leaf.name for leaf in join.inputs if isinstance(leaf, Leaf)}
            found = Counter(each for name in names for each in singles.get(name, ()))
            for router in sorted(each for each, count in found.items() if count > 1):
                text = (
                    f"{_at(definition, step)} waits for several labels of {router}, "
                    f"which chooses one at a time: it fires only after as many turns. "
                    f"({step.place})"
                )
                yield Fault("hint", step.name, text)


def _unreachable(net: Net) -> Iterator[Fault]:
    ahead = [net.followers(node) for node in net.nodes]
    reached = sum(node.bit for node in net.nodes if node.step.start)
    by_name = {node.name: node.index for node in net.nodes}
    for node, leaf in _leaves_of(net):
        if leaf.kind == "timer" and leaf.after:
            if leaf.after in by_name:
                ahead[by_name[leaf.after]] |= node.bit
        elif leaf.kind != "step" and leaf.kind not in ENDINGS and not net.sources(leaf):
            reached |= node.bit  # from outside, or at its time
    fresh = reached
    while fresh:
        wider = 0
        for index in bits(fresh):
            wider |= ahead[index]
        fresh = wider & ~reached
        reached |= fresh
    undoing = net.definition.undoing
    for node in net.nodes:
        if not reached & node.bit and node.name not in undoing:
            text = (
                f"{_at(net.definition, node.step)} can never run: nothing that starts "
                f"leads to it. Begin it with @start, or have it listen to what a step "
                f"that runs leads to. ({node.step.place})"
            )
            yield Fault("hint", node.name, text)


def _leaves_of(net: Net) -> Iterator[tuple[Node, Leaf]]:
    for node in net.nodes:
        for leaf in leaves(node.step.trigger):
            yield node, leaf


def _endless(net: Net) -> Iterator[Fault]:
    """Circles that each turn enters again: no router, no event, no join to stop it."""
    going = _peeled(
        {node.index: net.listeners(node) for node in net.nodes if _goes_on(node.step)}
    )
    seen = 0
    for index in going:
        if seen >> index & 1:
            continue
        circle = _circle_of(going, index)
        seen |= 1 << index
        for inside in bits(circle):
            seen |= 1 << inside
        if circle:
            step = net.nodes[index].step
            names = ", ".join(net.nodes[inside].name for inside in bits(circle))
            text = (
                f"{_at(net.definition, step)} is in a circle without an exit "
                f"({names}): nothing in it chooses to leave. Put a router into it. "
                f"({step.place})"
            )
            yield Fault("hint", step.name, text)


def _goes_on(step: Step) -> bool:
    """Whether each arrival fires the step, and each firing goes on."""
    joins = _inner_joins(step.trigger)
    return not step.router and all(each.kind in {"or", "merge"} for each in joins)


def _peeled(going: dict[int, int]) -> dict[int, int]:
    """The steps that lead to a circle or are in one."""
    inside = sum(1 << index for index in going)
    left = {index: (ahead & inside).bit_count() for index, ahead in going.items()}
    before: dict[int, list[int]] = {}
    for index, ahead in going.items():
        for target in bits(ahead & inside):
            before.setdefault(target, []).append(index)
    ends = [index for index, count in left.items() if not count]
    while ends:
        index = ends.pop()
        del left[index]
        for source in before.get(index, ()):
            left[source] -= 1
            if not left[source]:
                ends.append(source)
    return {index: going[index] for index in left}


def _circle_of(going: dict[int, int], start: int) -> int:
    """The steps that a step leads to and that lead back to it, as a bitset."""
    ahead = _closure(going, going[start])
    if not ahead >> start & 1:
        return 0
    return sum(
        1 << index
        for index in bits(ahead)
        if index in going and _closure(going, going[index]) >> start & 1
    )


def _closure(going: dict[int, int], found: int) -> int:
    fresh = found
    while fresh:
        wider = 0
        for index in bits(fresh):
            wider |= going.get(index, 0)
        fresh = wider & ~found
        found |= fresh
    return found
