"""All faults of one flow class, worst first within a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.checking.blocking import blocking_faults
from flowkit.checking.types import type_faults
from flowkit.core.definition import leaves
from flowkit.core.validate import Fault
from flowkit.define.compiler import faults_of
from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.define.compiler import Compiled

__all__ = ["faults_of_flow"]

_WORST = {"error": 0, "warning": 1, "hint": 2}


def faults_of_flow(cls: type) -> list[Fault]:
    """Errors, warnings and hints of a flow class, in the order of its steps."""
    kind = known[cls]
    compiled = kind.compiled
    found = [
        *faults_of(compiled),
        *_unheard(compiled),
        *type_faults(kind),
        *blocking_faults(kind),
    ]
    steps = compiled.definition.steps
    order = {step.name: index for index, step in enumerate(steps)}
    found.sort(key=lambda each: (order.get(each.step, -1), _WORST[each.level]))
    return [_placed(compiled, fault) for fault in found]


def _placed(compiled: Compiled, fault: Fault) -> Fault:
    step = compiled.definition.step(fault.step)
    file, line = ("", 0) if step is None else (step.file, step.line)
    name = compiled.definition.name
    return fault._replace(flow=name, file=file, line=fault.line or line)


def _unheard(compiled: Compiled) -> Iterator[Fault]:
    """Labels that a router's source shows and nobody takes."""
    steps = compiled.definition.steps
    heard = {leaf.name for step in steps for leaf in leaves(step.trigger)}
    for step in steps:
        if not step.router or step.labels is not None:
            continue
        labels, _ = compiled.read(step.name)
        lost = [label for label in labels if label not in heard]
        if lost:
            names = ", ".join(map(repr, lost))
            them = "it" if len(lost) == 1 else "them"
            text = (
                f"{compiled.definition.name}.{step.name} returns {names}, as its "
                f"source shows, but no step listens to {them}; the branch ends there. "
                f"({step.place})"
            )
            yield Fault("hint", step.name, text)
