"""What a class knows of its steps beside the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from flowkit.core.validate import Fault
    from flowkit.plot.diagram import Inferred
    from flowkit.plot.model import Mark

__all__ = ["faults_marked", "inferred_of", "sources_of"]

_LONGEST = 110


def sources_of(cls: type) -> dict[str, str]:
    """Source text of a class's steps, where it can be had."""
    import inspect

    found = {}
    for name, function in known[cls].compiled.functions.items():
        try:
            found[name] = inspect.cleandoc("\n" + inspect.getsource(function))
        except (OSError, TypeError):
            continue
    return found


def inferred_of(cls: type) -> dict[str, Inferred]:
    """Labels read from the source of routers that declare none."""
    from flowkit.define.labels import read_labels

    compiled = known[cls].compiled
    return {
        step.name: read_labels(compiled.functions[step.name])
        for step in compiled.definition.steps
        if step.router and step.labels is None
    }


def faults_marked(cls: type) -> dict[str, list[Mark]]:
    """A mark on each step for each fault that a check of the class finds."""
    from flowkit.checking import faults_of_flow
    from flowkit.plot.model import Mark

    marks: dict[str, list[Mark]] = {}
    for fault in faults_of_flow(cls):
        if fault.step:
            mark = Mark(fault.level, f"{fault.level}: {_in_short(fault)}")
            marks.setdefault(fault.step, []).append(mark)
    return marks


def _in_short(fault: Fault) -> str:
    """What a fault says of its step, without step, cure and place."""
    said = fault.text.removeprefix(f"{fault.flow}.{fault.step}").lstrip(": ")
    first = said.partition(". ")[0]
    return first if len(first) <= _LONGEST else f"{first[: _LONGEST - 2]}.."
