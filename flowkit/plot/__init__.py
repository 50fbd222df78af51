"""Pictures of flows: one model, a writer for each format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from flowkit.core.definition import Definition
    from flowkit.plot.diagram import Diagram, Inferred, Status
    from flowkit.plot.theme import Theme

__all__ = ["FORMATS", "Format", "plot", "render", "to_svg"]

Format = Literal["html", "svg", "mmd", "dot", "json"]
FORMATS: tuple[Format, ...] = ("html", "svg", "mmd", "dot", "json")
_BY_SUFFIX: dict[str, Format] = {f".{form}": form for form in FORMATS}


def plot(
    definition: Definition,
    path: str | os.PathLike[str],
    *,
    sources: Mapping[str, str] | None = None,
    inferred: Mapping[str, Inferred] | None = None,
    statuses: Mapping[str, Status] | None = None,
) -> str:
    """Draw a flow into a file, and return the path as it was given.

    Args:
        definition: the flow.
        path: the file to write; its suffix chooses the format: ``.html``, ``.svg``
            (needs the extra ``plot``), ``.mmd``, ``.dot`` or ``.json``.
        sources: source text by step name, shown by the HTML page.
        inferred: labels read from source by step name, for routers that declare none.
        statuses: how each step fared in a run, by step name.

    Raises:
        ValueError: no format has that suffix.
        FileNotFoundError: the folder of ``path`` does not exist.
        MissingExtraError: the format needs an extra that is not installed.
    """
    target = Path(path)
    form = _BY_SUFFIX.get(target.suffix.lower())
    if form is None:
        possible = ", ".join(_BY_SUFFIX)
        raise ValueError(
            f"cannot draw {target.name!r}: its suffix must be one of {possible}"
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {target}: the folder {target.parent} does not exist"
        )
    drawn = render(
        definition, form, sources=sources, inferred=inferred, statuses=statuses
    )
    target.write_text(drawn, encoding="utf-8", newline="\n")
    return str(path)


def to_svg(
    definition: Definition,
    *,
    theme: Theme = "auto",
    inferred: Mapping[str, Inferred] | None = None,
    statuses: Mapping[str, Status] | None = None,
) -> str:
    """A flow as SVG text, for notebooks and pages.

    Args:
        definition: the flow.
        theme: ``light``, ``dark``, or ``auto`` for what the reader's system says.
        inferred: labels read from source by step name, for routers that declare none.
        statuses: how each step fared in a run, by step name.

    Raises:
        MissingExtraError: the extra ``plot`` is not installed.
    """
    from flowkit.plot.layout import layout
    from flowkit.plot.svg import svg

    drawn = _diagram(definition, None, inferred, statuses)
    return svg(layout(drawn), theme=theme)


def render(
    definition: Definition,
    form: Format,
    *,
    sources: Mapping[str, str] | None = None,
    inferred: Mapping[str, Inferred] | None = None,
    statuses: Mapping[str, Status] | None = None,
) -> str:
    """A flow as text of one of ``FORMATS``; arguments as for :func:`plot`."""
    # Each format brings its own imports; only the one asked for is loaded.
    if form == "svg":
        return to_svg(definition, inferred=inferred, statuses=statuses)
    drawn = _diagram(definition, sources, inferred, statuses)
    if form == "html":
        from flowkit.plot.html import html

        return html(drawn)
    if form == "mmd":
        from flowkit.plot.mermaid import mermaid

        return mermaid(drawn)
    if form == "dot":
        from flowkit.plot.dot import dot

        return dot(drawn)
    from flowkit.plot.plain import as_json

    return as_json(drawn)


def _diagram(
    definition: Definition,
    sources: Mapping[str, str] | None,
    inferred: Mapping[str, Inferred] | None,
    statuses: Mapping[str, Status] | None,
) -> Diagram:
    from flowkit.plot.diagram import diagram, with_status

    drawn = diagram(definition, sources=sources, inferred=inferred)
    return with_status(drawn, statuses) if statuses else drawn
