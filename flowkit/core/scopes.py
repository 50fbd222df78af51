"""In which groups each step stands (R10), read off the graph.

``each`` opens a group, and everything after it stands in it until ``gather``. So the
scope of a step is a path of steps that fan out, outermost first; its length is the
depth. Inputs of one step must agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowkit.core.definition import leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.definition import Definition, Leaf, Step

__all__ = ["Clash", "Scope", "clashes", "grouped", "scopes_of"]

Scope = tuple[str, ...]
"""Names of the steps that fan out around a step, outermost first."""


class Clash(NamedTuple):
    """Inputs of a step that stand in different groups, or a gather in none."""

    step: Step
    leaf: Leaf
    scope: Scope
    other: Leaf | None = None
    its: Scope = ()


def grouped(definition: Definition) -> bool:
    """Whether any step fans out or gathers."""
    return any(
        step.each is not None
        or any(leaf.kind == "gather" for leaf in leaves(step.trigger))
        for step in definition.steps
    )


def scopes_of(definition: Definition) -> dict[str, Scope]:
    """The scope of each step; a step whose inputs clash has that of the first.

    Of steps that only lead to each other, the first one stands in no group.
    """
    known: dict[str, Scope] = {}
    made = _producers(definition)
    order = definition.steps
    while len(known) < len(order):
        before = len(known)
        for step in order:
            if step.name not in known:
                found = _scope_of(step, known, made)
                if found is not None:
                    known[step.name] = found
        order = order[::-1]
        if len(known) == before:
            first = next(step for step in definition.steps if step.name not in known)
            known[first.name] = () if first.each is None else (first.name,)
    return known


def _scope_of(
    step: Step, known: dict[str, Scope], made: dict[str, list[str]]
) -> Scope | None:
    own = () if step.each is None else (step.name,)
    if step.trigger is None or step.start:
        return own
    for leaf in leaves(step.trigger):
        for scope in _scopes_at(leaf, known, made):
            return scope + own
    return None


def _scopes_at(
    leaf: Leaf, known: dict[str, Scope], made: dict[str, list[str]]
) -> Iterator[Scope]:
    """The scopes in which a leaf may arrive, as far as they are known."""
    if leaf.kind == "event":
        yield ()
    elif leaf.kind == "timer":
        if not leaf.after:
            yield ()
        elif leaf.after in known:
            yield known[leaf.after]
    else:
        names = [leaf.name] if leaf.kind != "name" else made.get(leaf.name)
        if leaf.kind == "gather":
            names = made.get(leaf.name, [leaf.name])
        if not names:
            yield ()  # from outside, or from a router that does not say its labels
        for name in names or ():
            if name in known:
                yield known[name][:-1] if leaf.kind == "gather" else known[name]


def _producers(definition: Definition) -> dict[str, list[str]]:
    """Which steps leave a name: its own, a label, or what they say they emit."""
    made: dict[str, list[str]] = {}
    opened = []
    for step in definition.steps:
        for name in (step.name, *(step.labels or ()), *(step.emits or ())):
            made.setdefault(name, []).append(step.name)
        if (step.router and step.labels is None) or step.emits == ():
            opened.append(step.name)
    for step in definition.steps:
        for leaf in leaves(step.trigger):
            if leaf.kind in {"name", "gather"} and leaf.name not in made and opened:
                made[leaf.name] = opened
    return made


def clashes(definition: Definition) -> Iterator[Clash]:
    """Every step whose inputs stand in different groups, and every lost gather."""
    known = scopes_of(definition)
    made = _producers(definition)
    for step in definition.steps:
        first: tuple[Leaf, Scope] | None = None
        for leaf in leaves(step.trigger):
            if leaf.kind == "gather":
                names = made.get(leaf.name, [leaf.name])
                if not any(known.get(name) for name in names):
                    yield Clash(step, leaf, ())
                    break
            for scope in _scopes_at(leaf, known, made):
                if first is None:
                    first = leaf, scope
                elif scope != first[1]:
                    yield Clash(step, first[0], first[1], leaf, scope)
                    break
