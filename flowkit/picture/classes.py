"""What a class knows of its steps beside the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.runtime.launch import known

if TYPE_CHECKING:
    from flowkit.plot.diagram import Inferred

__all__ = ["inferred_of", "sources_of"]


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
