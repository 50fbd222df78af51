"""In which groups each step stands (R10), read off the graph.

``each`` opens a group, and everything after it stands in it until ``gather``. So the
scope of a step is a path of steps that fan out, outermost first; its length is the
depth. Inputs of one step must agree.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from flowkit.core.definition import ENDINGS, leaves

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


_OF_A_STEP = ENDINGS | {"step", "timer"}


class _Names:
    """Which steps leave a name: for sure, or perhaps, as they do not say what."""

    def __init__(self, definition: Definition) -> None:
        self.made: dict[str, list[str]] = {}
        self.open: list[str] = []
        for step in definition.steps:
            for name in (step.name, *(step.labels or ()), *(step.emits or ())):
                self.made.setdefault(name, []).append(step.name)
            if (step.router and step.labels is None) or step.emits == ():
                self.open.append(step.name)

    def of(self, leaf: Leaf, known: dict[str, Scope], *, sure: bool) -> list[Scope]:
        """The scopes in which a leaf may arrive, as far as they are known."""
        if leaf.kind == "event" or (leaf.kind == "timer" and not leaf.after):
            return [()]
        name = leaf.after if leaf.kind == "timer" else leaf.name
        makers = self.made.get(name)
        if makers is None:
            return [] if sure else [self._perhaps(leaf, known)]
        if leaf.kind in _OF_A_STEP:
            makers = [name]
        found = [known[each] for each in makers if each in known]
        return [scope[:-1] for scope in found] if leaf.kind == "gather" else found

    def _perhaps(self, leaf: Leaf, known: dict[str, Scope]) -> Scope:
        """Of a name that only the run can tell: where all stand that may leave it."""
        scopes = {known.get(each, ()) for each in self.open}
        scope = scopes.pop() if len(scopes) == 1 else ()
        return scope[:-1] if leaf.kind == "gather" else scope


def scopes_of(definition: Definition) -> dict[str, Scope]:
    """The scope of each step; a step whose inputs clash has that of the first.

    Of steps that only lead to each other, the first one stands in no group.
    """
    known: dict[str, Scope] = {}
    names = _Names(definition)
    behind = _listeners(definition, names)
    for sure in (True, False):
        _find(deque(definition.steps), known, names, behind, sure=sure)
    for step in definition.steps:
        if step.name not in known:
            known[step.name] = () if step.each is None else (step.name,)
            _find(deque(behind.get(step.name, ())), known, names, behind, sure=False)
    return known


def _find(
    left: deque[Step],
    known: dict[str, Scope],
    names: _Names,
    behind: dict[str, list[Step]],
    *,
    sure: bool,
) -> None:
    """The scopes of these steps, and of what listens to those that are found."""
    while left:
        step = left.popleft()
        if step.name in known:
            continue
        found = _scope_of(step, known, names, sure=sure)
        if found is not None:
            known[step.name] = found
            left.extendleft(behind.get(step.name, ()))


def _listeners(definition: Definition, names: _Names) -> dict[str, list[Step]]:
    """The steps that hear of a step, by its name, its labels or what it emits."""
    found: dict[str, list[Step]] = {}
    for step in definition.steps:
        for leaf in leaves(step.trigger):
            name = leaf.after if leaf.kind == "timer" else leaf.name
            for maker in names.made.get(name, ()):
                found.setdefault(maker, []).append(step)
    return found


def _scope_of(
    step: Step, known: dict[str, Scope], names: _Names, *, sure: bool
) -> Scope | None:
    own = () if step.each is None else (step.name,)
    if step.trigger is None or step.start:
        return own
    for leaf in leaves(step.trigger):
        for scope in names.of(leaf, known, sure=sure):
            return scope + own
    return None


def clashes(definition: Definition) -> Iterator[Clash]:
    """Every step whose inputs stand in different groups, and every lost gather."""
    known = scopes_of(definition)
    names = _Names(definition)
    for step in definition.steps:
        first: tuple[Leaf, Scope] | None = None
        for leaf in leaves(step.trigger):
            if leaf.kind == "gather":
                makers = names.made.get(leaf.name, names.open)
                if not any(known.get(name) for name in makers):
                    yield Clash(step, leaf, ())
                    break
            for scope in names.of(leaf, known, sure=False):
                if first is None:
                    first = leaf, scope
                elif scope != first[1]:
                    yield Clash(step, first[0], first[1], leaf, scope)
                    break
