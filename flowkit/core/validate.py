"""Every fault of a definition at once (R15), each with place, cause and cure.

An *error* makes the class unusable; a *warning* is probably not meant and is an
error in a strict flow; a *hint* is shown by checks and pictures only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from flowkit.core.definition import Join, Leaf, leaves
from flowkit.core.net import bits, net_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowkit.core.definition import Condition, Definition, Step

    _Read = Callable[[str], tuple[tuple[str, ...], bool]]

__all__ = ["RESERVED", "Fault", "closest", "is_typo", "validate"]

RESERVED = frozenset({"kickoff", "kickoff_async", "akickoff", "state"})


class Fault(NamedTuple):
    """Something wrong with a definition, as one sentence."""

    level: Literal["error", "warning", "hint"]
    step: str
    text: str


def validate(definition: Definition, read: _Read) -> list[Fault]:
    """All faults of a definition, in the order of its steps.

    Args:
        read: labels that the source of a router shows, and whether it may return
            others; asked only when it matters.
    """
    faults: list[Fault] = []
    for check in (_reserved, _itself, _joins, _names, _labels_unheard, _hints):
        faults += check(definition, read)
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
        label for step in definition.steps for label in step.labels or ()
    }
    for step in definition.steps:
        for leaf in dict.fromkeys(leaves(step.trigger)):
            if leaf.kind != "name" or leaf.name in known:
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


def closest(name: str, known: frozenset[str]) -> str | None:
    """The known name that looks most like this one, if any does."""
    from difflib import get_close_matches  # only a fault needs it

    found = get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return found[0] if found else None


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


def _hints(definition: Definition, _: _Read) -> Iterator[Fault]:
    yield from _one_label_joins(definition)
    yield from _unreachable(definition)


def _one_label_joins(definition: Definition) -> Iterator[Fault]:
    for step in definition.steps:
        for join in _inner_joins(step.trigger):
            names = {leaf.name for leaf in join.inputs if isinstance(leaf, Leaf)}
            for router in definition.steps:
                both = names & set(router.labels or ())
                if join.kind == "and" and router.single and len(both) > 1:
                    text = (
                        f"{_at(definition, step)} waits for several labels of "
                        f"{router.name}, which chooses one at a time: it fires only "
                        f"after as many turns. ({step.place})"
                    )
                    yield Fault("hint", step.name, text)


def _unreachable(definition: Definition) -> Iterator[Fault]:
    net = net_of(definition)
    reached = sum(1 << node.index for node in net.nodes if node.step.start)
    for node, _ in net.events:
        reached |= 1 << node.index
    fresh = reached
    while fresh:
        wider = 0
        for index in bits(fresh):
            wider |= net.followers(net.nodes[index])
        fresh = wider & ~reached
        reached |= fresh
    for node in net.nodes:
        if not reached >> node.index & 1:
            text = (
                f"{_at(definition, node.step)} can never run: nothing that starts "
                f"leads to it. ({node.step.place})"
            )
            yield Fault("hint", node.name, text)
