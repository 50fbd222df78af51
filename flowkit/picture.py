"""From a flow class to a picture: the graph, sources and labels the drawing shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.runtime.launch import known

if TYPE_CHECKING:
    from pathlib import Path

    from flowkit.plot.diagram import Inferred

__all__ = ["build_flow_structure", "plot_class", "svg_of", "visualize_flow_structure"]


def plot_class(cls: type, filename: str | Path, *, show: bool = False) -> str:
    """Draw a flow class into exactly this file; gives the path as text."""
    from flowkit.plot import plot

    definition = known[cls].compiled.definition
    sources = _sources(cls)
    written = plot(definition, filename, sources=sources, inferred=_inferred(cls))
    if show:
        import webbrowser
        from pathlib import Path

        webbrowser.open(Path(written).resolve().as_uri())
    return written


def svg_of(cls: type) -> str:
    """A flow class as SVG text.

    Raises:
        MissingExtraError: the extra ``plot`` is not installed.
    """
    from flowkit.plot import to_svg

    return to_svg(known[cls].compiled.definition, inferred=_inferred(cls))


def build_flow_structure(flow: Any) -> dict[str, Any]:
    """The graph of a flow class or instance as nodes and edges, ready for JSON.

    Labels are the declared ones only.
    """
    from flowkit.plot.structure import build_flow_structure as build

    cls = flow if isinstance(flow, type) else type(flow)
    return build(known[cls].compiled.definition, cls.__name__)


def visualize_flow_structure(
    flow: Any, filename: str | Path = "flow.html", *, show: bool = False
) -> str:
    """Draw a flow class or instance; the same as ``flow.plot(filename)``."""
    cls = flow if isinstance(flow, type) else type(flow)
    return plot_class(cls, filename, show=show)


def _sources(cls: type) -> dict[str, str]:
    import inspect

    found = {}
    for name, function in known[cls].compiled.functions.items():
        try:
            found[name] = inspect.cleandoc("\n" + inspect.getsource(function))
        except (OSError, TypeError):
            continue
    return found


def _inferred(cls: type) -> dict[str, Inferred]:
    from flowkit.define.labels import read_labels

    compiled = known[cls].compiled
    return {
        step.name: read_labels(compiled.functions[step.name])
        for step in compiled.definition.steps
        if step.router and step.labels is None
    }
