"""Pictures of flows: one model, a writer for each format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import os

    from flowkit.plot.model import Diagram
    from flowkit.plot.theme import Theme
    from flowkit.plot.timeline import Timeline

__all__ = [
    "FORMATS",
    "TIMELINES",
    "Format",
    "format_of",
    "render_diagram",
    "render_timeline",
    "svg_of",
    "write",
]

Format = Literal["html", "svg", "png", "mmd", "dot", "json"]
FORMATS: tuple[Format, ...] = ("html", "svg", "png", "mmd", "dot", "json")


def format_of(path: str | os.PathLike[str], possible: tuple[Format, ...]) -> Format:
    """The format a path's suffix means, of those that are possible.

    Raises:
        ValueError: none of them has that suffix.
        FileNotFoundError: the folder of ``path`` does not exist.
    """
    target = Path(path)
    for form in possible:
        if target.suffix.lower() == f".{form}":
            break
    else:
        suffixes = ", ".join(f".{form}" for form in possible)
        msg = f"Cannot draw {target.name!r}: its suffix must be one of {suffixes}."
        raise ValueError(msg)
    if not target.parent.is_dir():
        msg = (
            f"Cannot write {target}: the folder {target.parent} does not exist. Make "
            f"it first."
        )
        raise FileNotFoundError(msg)
    return form


def write(path: str | os.PathLike[str], drawn: str | bytes) -> str:
    """Write a drawing into exactly this file; gives the path as it was given."""
    if isinstance(drawn, bytes):
        Path(path).write_bytes(drawn)
    else:
        Path(path).write_text(drawn, encoding="utf-8", newline="\n")
    return str(path)


def svg_of(drawn: Diagram, *, theme: Theme = "auto") -> str:
    """A diagram as SVG text, for notebooks and pages.

    Args:
        drawn: the diagram.
        theme: ``light``, ``dark``, or ``auto`` for what the reader's system says.

    Raises:
        MissingExtraError: the extra ``plot`` is not installed.
    """
    from flowkit.plot.collapse import collapsed
    from flowkit.plot.layout import layout
    from flowkit.plot.svg import svg

    return svg(layout(collapsed(drawn)), theme=theme)


def render_diagram(drawn: Diagram, form: Format) -> str | bytes:
    """A diagram as text of one of ``FORMATS``, or as the bytes of a picture.

    Above 300 nodes, all but ``dot`` and ``json`` put steps together.
    """
    # Each format brings its own imports; only the one asked for is loaded.
    if form == "svg":
        return svg_of(drawn)
    if form == "png":
        from flowkit.plot.png import png

        return png(svg_of(drawn, theme="light"))
    if form == "dot":
        from flowkit.plot.dot import dot

        return dot(drawn)
    if form == "json":
        from flowkit.plot.plain import as_json

        return as_json(drawn)
    from flowkit.plot.collapse import collapsed

    if form == "mmd":
        from flowkit.plot.mermaid import mermaid

        return mermaid(collapsed(drawn))
    from flowkit.plot.html import html

    return html(collapsed(drawn))


TIMELINES: tuple[Format, ...] = ("html", "svg", "png", "mmd", "json")
"""What a timeline can be drawn as."""


def render_timeline(line: Timeline, form: Format) -> str | bytes:
    """A timeline as text of one of ``TIMELINES``, or as the bytes of a picture."""
    from flowkit.plot import gantt

    if form == "mmd":
        return gantt.mermaid(line)
    if form == "json":
        return gantt.as_json(line)
    if form == "svg":
        return gantt.svg(line)
    if form == "png":
        from flowkit.plot.png import png

        return png(gantt.svg(line, theme="light"))
    from flowkit.plot.html import sheet

    return sheet(line.name, gantt.draw(line), line.facts)
