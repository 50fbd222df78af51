"""From a flow class to a picture: the graph, sources and labels the drawing shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "build_flow_structure",
    "plot_class",
    "plot_flow",
    "svg_of",
    "visualize_flow_structure",
]


def plot_class(
    cls: type, filename: str | Path, *, show: bool = False, expand: Any = False
) -> str:
    """Draw a flow class into exactly this file; gives the path as text."""
    from flowkit.picture.nested import class_diagram
    from flowkit.picture.showing import written
    from flowkit.plot import FORMATS, format_of, render_diagram

    form = format_of(filename, FORMATS)
    return written(
        filename, render_diagram(class_diagram(cls, expand), form), show=show
    )


def plot_flow(
    flow: Any, filename: str | Path, *, show: bool = False, expand: Any = False
) -> str:
    """Draw a flow class, or an object: its latest run if it has one, else its class."""
    if isinstance(flow, type):
        return plot_class(flow, filename, show=show, expand=expand)
    run = flow._flowkit.run
    if run is None:
        return plot_class(type(flow), filename, show=show, expand=expand)
    from flowkit.picture.runs import plot

    return plot(run, filename, show=show, expand=expand)


def svg_of(flow: Any) -> str:
    """A flow class, or an object with its latest run if it has one, as SVG text.

    Raises:
        MissingExtraError: the extra ``plot`` is not installed.
    """
    run = None if isinstance(flow, type) else flow._flowkit.run
    if run is not None:
        from flowkit.picture.runs import svg

        return svg(run)
    from flowkit import plot
    from flowkit.picture.nested import class_diagram

    cls = flow if isinstance(flow, type) else type(flow)
    return plot.svg_of(class_diagram(cls, expand=False))


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
    return plot_flow(flow, filename, show=show)
