"""Where the time of one run went, drawn over its class."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowkit.observe.path import critical_path
from flowkit.picture.showing import written
from flowkit.picture.trace import traced
from flowkit.plot import FORMATS, format_of, render_diagram
from flowkit.plot.lengths import length
from flowkit.plot.model import Fact, Mark
from flowkit.runtime.clock import now
from flowkit.runtime.recall import recalled

if TYPE_CHECKING:
    from pathlib import Path

    from flowkit.observe.path import Leg
    from flowkit.runtime.run import Run

__all__ = ["plot"]

MOST_FACTS = 3


def plot(
    run: str | Run | None,
    filename: str | Path,
    *,
    show: bool = False,
    store: Any = None,
) -> str:
    """Draw a run over its class into exactly this file, with where its time went.

    As :func:`flowkit.runs.plot`; the steps on the critical path have a mark with the
    part of the run's time that they worked, and the lines above name the longest of
    them and what they waited for. Of a run that goes on, only what has ended counts.

    Args:
        run: its id or the beginning of it, or its handle, such as ``flow.run``.
        filename: its suffix chooses the format: ``.html .svg .png .mmd .dot .json``.
        show: open the picture in a browser, too.
        store: the default one if None.

    Returns:
        The path as given, as text.

    Raises:
        ValueError: an unknown suffix.
        FileNotFoundError: the folder of ``filename`` does not exist.
        NotFoundError: no such run.
        MissingExtraError: ``.svg`` or ``.png`` without the extra ``plot``.
    """
    form = format_of(filename, FORMATS)
    told, at = recalled(run, store), now()
    legs = critical_path(told.executions, told.began)
    lasted = (at if told.ended is None else told.ended) - told.began
    worked, waited = _sums(legs)
    drawn = traced(told, at)
    nodes = tuple(
        replace(node, marks=(*node.marks, _mark(worked[node.id], lasted)))
        if node.id in worked
        else node
        for node in drawn.nodes
    )
    facts = (*drawn.facts, *_facts(worked, waited, lasted))
    seen = replace(drawn, nodes=nodes, facts=facts)
    return written(filename, render_diagram(seen, form), show=show)


def _sums(legs: list[Leg]) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of work by step, and of waiting by step and what for."""
    worked: dict[str, float] = {}
    waited: dict[str, float] = {}
    for leg in legs:
        step = leg.execution.step
        worked[step] = worked.get(step, 0.0) + leg.worked
        waits = {**leg.waits, leg.behind: leg.waits.get(leg.behind, 0.0) + leg.gap}
        for what, lasted in waits.items():
            if lasted:
                place = f"{step} waited for {what}"
                waited[place] = waited.get(place, 0.0) + lasted
    return worked, waited


def _mark(worked: float, lasted: float) -> Mark:
    share = f"{worked / lasted:.0%}" if lasted else "0%"
    tip = f"worked {length(worked)} of the run's time, on its critical path"
    return Mark("share", tip, share)


def _facts(
    worked: dict[str, float], waited: dict[str, float], lasted: float
) -> tuple[Fact, ...]:
    told = {f"{step} worked": seconds for step, seconds in worked.items()} | waited
    ranked = sorted(told.items(), key=lambda each: -each[1])
    return tuple(
        Fact(f"{what} {length(seconds)}, {seconds / lasted:.0%} of the time")
        for what, seconds in ranked[:MOST_FACTS]
        if seconds and lasted
    )
