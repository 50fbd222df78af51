"""Faults of groups, gates and loops (R15); see :mod:`flowkit.core.validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.definition import ENDINGS, leaves
from flowkit.core.faults import Fault, closest
from flowkit.core.scopes import clashes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.definition import Definition, Step
    from flowkit.core.scopes import Clash

__all__ = ["groups", "options"]


def groups(definition: Definition, _: object) -> Iterator[Fault]:
    """Inputs that stand in different groups, and gathers without one."""
    for clash in clashes(definition):
        text = f"{definition.name}.{clash.step.name} {_said(clash)}"
        yield Fault("error", clash.step.name, f"{text} ({clash.step.place})")
    for step in definition.steps:
        if step.each is not None and step.start:
            text = (
                f"{definition.name}.{step.name} begins runs and fans out. Begin the "
                f"run with a step of its own, and listen to that with each(..). "
                f"({step.place})"
            )
            yield Fault("error", step.name, text)


def _said(clash: Clash) -> str:
    if clash.other is None:
        return (
            f"listens to {clash.leaf}, but {clash.leaf.name} stands in no group. Open "
            f"one with each(..) before it."
        )
    if clash.other == clash.leaf:
        return (
            f"listens to {clash.leaf}, which comes {_where(clash.scope)} and "
            f"{_where(clash.its)}. Give one of the two another name, or declare with "
            f"emit=[..] on a router or emits=[..] on a step who leaves it."
        )
    return (
        f"listens to {clash.leaf} {_where(clash.scope)} and to {clash.other} "
        f"{_where(clash.its)}: they can never meet. Close a group with gather(..) "
        f"first."
    )


def _where(scope: tuple[str, ...]) -> str:
    if not scope:
        return "outside of any group"
    return f"in the group of {' > '.join(scope)}"


def options(definition: Definition, _: object) -> Iterator[Fault]:
    """Names in ``during=`` and ``cancels=`` that are nothing, and odd loops."""
    regions = {
        f"region({step.region.name})" for step in definition.steps if step.region
    }
    known = definition.names | {
        name
        for step in definition.steps
        for name in (
            *(step.labels or ()),
            *(step.emits or ()),
            *(leaf.name for leaf in leaves(step.trigger)),
        )
    }
    opened = any(
        step.emits == () or (step.router and step.labels is None)
        for step in definition.steps
    )
    for step in definition.steps:
        for name in step.cancels:
            if name not in definition.names | regions:
                yield _unknown(definition, step, "cancels", name, definition.names)
            elif name == step.name:
                text = (
                    f"{definition.name}.{step.name} would cancel itself. Take it out "
                    f"of cancels=. ({step.place})"
                )
                yield Fault("error", step.name, text)
        for name in step.during or ():
            stem, dot, ending = name.rpartition(".")
            plain = stem if dot and ending in ENDINGS else name
            if not opened and plain not in known:
                yield _unknown(definition, step, "during", name, known)
        if step.test and step.router:
            text = (
                f"{definition.name}.{step.name} is a router and repeats itself: which "
                f"turn would choose? Put the router behind the loop. ({step.place})"
            )
            yield Fault("error", step.name, text)


def _unknown(
    definition: Definition, step: Step, option: str, name: str, known: frozenset[str]
) -> Fault:
    guess = closest(name, known)
    hint = f" Did you mean {guess!r}?" if guess else ""
    what = "no step or region" if option == "cancels" else "no step, label or event"
    return Fault(
        "error",
        step.name,
        f"{definition.name}.{step.name} names {name!r} in {option}=, which is {what} "
        f"of this flow.{hint} ({step.place})",
    )
