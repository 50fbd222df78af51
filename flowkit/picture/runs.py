"""Drawings of runs into files: the run over its class, over time, beside another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.picture.showing import written
from flowkit.plot import (
    FORMATS,
    TIMELINES,
    format_of,
    render_diagram,
    render_timeline,
    svg_of,
)
from flowkit.runtime.clock import now
from flowkit.runtime.recall import recalled

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flowkit.runtime.run import Run

__all__ = ["compare", "plot", "svg", "timeline"]


def plot(
    run: str | Run | None,
    filename: str | Path,
    *,
    show: bool = False,
    expand: bool | Iterable[str] = False,
    store: Any = None,
) -> str:
    """Draw a run over its class into exactly this file.

    Every step shows how it fared: its state, how often it fired, how long that took,
    what it failed with or waits for. Ways that were taken are thick and counted.

    Args:
        run: its id or the beginning of it, or its handle, such as ``flow.run``.
        filename: its suffix chooses the format: ``.html .svg .png .mmd .dot .json``.
        show: open the picture in a browser, too.
        expand: show steps that run flows from inside: True for all, or their names;
            with the latest run that each has called, if it is stored.
        store: the default one if None.

    Returns:
        The path as given, as text.

    Raises:
        ValueError: an unknown suffix, or a step that runs no flow.
        FileNotFoundError: the folder of ``filename`` does not exist.
        NotFoundError: no such run.
        MissingExtraError: ``.svg`` or ``.png`` without the extra ``plot``.
    """
    from flowkit.picture.trace import traced

    form = format_of(filename, FORMATS)
    known_run = recalled(run, store)
    shown = traced(known_run, now())
    if expand and known_run.cls is not None:
        from flowkit.picture.nested import run_expanded

        shown = run_expanded(shown, known_run, expand, _store_of(run, store))
    drawn = render_diagram(shown, form)
    return written(filename, drawn, show=show)


def _store_of(run: str | Run | None, store: Any) -> Any:
    """Where the runs that a run has called are kept; None for nowhere."""
    if store is not None or run is None:
        return store
    if isinstance(run, str):
        from flowkit.runtime.lookup import store_of

        return store_of(None)
    return None if run.journal is None else run.journal.store


def svg(run: Run) -> str:
    """A run over its class as SVG text.

    Raises:
        MissingExtraError: the extra ``plot`` is not installed.
    """
    from flowkit.picture.trace import traced

    return svg_of(traced(recalled(run), now()))


def timeline(
    run: str | Run | None,
    filename: str | Path,
    *,
    show: bool = False,
    store: Any = None,
) -> str:
    """Draw a run over time into exactly this file: a bar for each execution.

    Where nothing worked for long, the time is folded and the fold says how long it
    was. An execution begins when its step became ready.

    Args:
        run: its id or the beginning of it, or its handle, such as ``flow.run``.
        filename: its suffix chooses the format: ``.html .svg .png .mmd .json``.
        show: open the picture in a browser, too.
        store: the default one if None.

    Returns:
        The path as given, as text.

    Raises:
        ValueError: an unknown suffix.
        FileNotFoundError: the folder of ``filename`` does not exist.
        NotFoundError: no such run.
        MissingExtraError: ``.png`` without the extra ``plot``.
    """
    from flowkit.picture.lines import timeline_of

    form = format_of(filename, TIMELINES)
    drawn = render_timeline(timeline_of(recalled(run, store), now()), form)
    return written(filename, drawn, show=show)


def compare(
    first: str | Run | None,
    second: str | Run | None,
    filename: str | Path,
    *,
    show: bool = False,
    store: Any = None,
) -> str:
    """Draw two runs of a flow over its class into exactly this file.

    They are called A and B. Steps and ways show whether both went there, and a line
    above says where they part.

    Args:
        first: A: its id or the beginning of it, or its handle.
        second: B.
        filename: its suffix chooses the format: ``.html .svg .png .mmd .dot .json``.
        show: open the picture in a browser, too.
        store: the default one if None.

    Returns:
        The path as given, as text.

    Raises:
        ValueError: an unknown suffix.
        FileNotFoundError: the folder of ``filename`` does not exist.
        NotFoundError: no such run.
        RunError: runs of different flows.
        MissingExtraError: ``.svg`` or ``.png`` without the extra ``plot``.
    """
    from flowkit.errors import RunError
    from flowkit.picture.compare import compared

    form = format_of(filename, FORMATS)
    a, b = recalled(first, store), recalled(second, store)
    if a.name != b.name:
        msg = (
            f"Run {a.id!r} is one of {a.name}, run {b.id!r} one of {b.name}: they have "
            f"no way in common. Compare two runs of one flow."
        )
        raise RunError(msg)
    return written(filename, render_diagram(compared(a, b, now()), form), show=show)
