"""Pictures of flows: one model, a writer for each format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from flowkit.core.definition import Definition
    from flowkit.plot.diagram import Inferred
    from flowkit.plot.model import Diagram, Mark, Status
    from flowkit.plot.theme import Theme
    from flowkit.plot.timeline import Timeline

__all__ = [
    "FORMATS",
    "TIMELINES",
    "Format",
    "format_of",
    "plot",
    "render",
    "render_diagram",
    "render_timeline",
    "svg_of",
    "to_svg",
    "write",
]

Format = Literal["html", "svg", "png", "mmd", "dot", "json"]
FORMATS: tuple[Format, ...] = ("html", "svg", "png", "mmd", "dot", "json")


def plot(
    definition: Definition,
    path: str | os.PathLike[str],
    *,
    sources: Mapping[str, str] | None = None,
    inferred: Mapping[str, Inferred] | None = None,
    statuses: Mapping[str, Status] | None = None,
    marks: Mapping[str, Sequence[Mark]] | None = None,
) -> str:
    """Draw a flow into a file, and return the path as it was given.

    Args:
        definition: the flow.
        path: the file to write; its suffix chooses the format: ``.html``, ``.svg`` and
            ``.png`` (both need the extra ``plot``), ``.mmd``, ``.dot`` or ``.json``.
        sources: source text by step name, shown by the HTML page.
        inferred: labels read from source by step name, for routers that declare none.
        statuses: how each step fared in a run, by step name.
        marks: small icons beside those of policies, by step name.

    Raises:
        ValueError: no format has that suffix.
        FileNotFoundError: the folder of ``path`` does not exist.
        MissingExtraError: the format needs an extra that is not installed.
    """
    form = format_of(path, FORMATS)
    return write(
        path,
        render_diagram(_made(definition, sources, inferred, statuses, marks), form),
    )


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
        raise ValueError(
            f"cannot draw {target.name!r}: its suffix must be one of {suffixes}"
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {target}: the folder {target.parent} does not exist"
        )
    return form


def write(path: str | os.PathLike[str], drawn: str | bytes) -> str:
    """Write a drawing into exactly this file; gives the path as it was given."""
    if isinstance(drawn, bytes):
        Path(path).write_bytes(drawn)
    else:
        Path(path).write_text(drawn, encoding="utf-8", newline="\n")
    return str(path)


def to_svg(
    definition: Definition,
    *,
    theme: Theme = "auto",
    inferred: Mapping[str, Inferred] | None = None,
    statuses: Mapping[str, Status] | None = None,
    marks: Mapping[str, Sequence[Mark]] | None = None,
) -> str:
    """A flow as SVG text, for notebooks and pages.

    Args:
        definition: the flow.
        theme: ``light``, ``dark``, or ``auto`` for what the reader's system says.
        inferred: labels read from source by step name, for routers that declare none.
        statuses: how each step fared in a run, by step name.
        marks: small icons beside those of policies, by step name.

    Raises:
        MissingExtraError: the extra ``plot`` is not installed.
    """
    return svg_of(_made(definition, None, inferred, statuses, marks), theme=theme)


def svg_of(drawn: Diagram, *, theme: Theme = "auto") -> str:
    """A diagram as SVG text; as for :func:`to_svg`."""
    from flowkit.plot.collapse import collapsed
    from flowkit.plot.layout import layout
    from flowkit.plot.svg import svg

    return svg(layout(collapsed(drawn)), theme=theme)


def render(
    definition: Definition,
    form: Format,
    *,
    sources: Mapping[str, str] | None = None,
    inferred: Mapping[str, Inferred] | None = None,
    statuses: Mapping[str, Status] | None = None,
) -> str | bytes:
    """A flow as text of one of ``FORMATS``, or as bytes; arguments as for ``plot``."""
    return render_diagram(_made(definition, sources, inferred, statuses), form)


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


def _made(
    definition: Definition,
    sources: Mapping[str, str] | None,
    inferred: Mapping[str, Inferred] | None,
    statuses: Mapping[str, Status] | None,
    marks: Mapping[str, Sequence[Mark]] | None = None,
) -> Diagram:
    from flowkit.plot.diagram import diagram, with_marks, with_status

    drawn = diagram(definition, sources=sources, inferred=inferred)
    if marks:
        drawn = with_marks(drawn, marks)
    return with_status(drawn, statuses) if statuses else drawn
