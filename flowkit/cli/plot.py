"""``flowkit plot``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE, USAGE, Refused
from flowkit.cli.project import existing, on_path
from flowkit.cli.target import load
from flowkit.errors import FlowkitError

__all__ = ["plot"]


def plot(
    target: str | None = None,
    /,
    *,
    run: str | None = None,
    against: str | None = None,
    timeline: Annotated[bool, Parameter(name="--timeline")] = False,
    file: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    show: Annotated[bool, Parameter(name="--show")] = False,
    store: options.Store = None,
) -> int:
    """Draw a flow, or a run, into a file.

    Prints the path. The suffix chooses the format: .html .mmd .dot .json need
    nothing, .svg and .png need the extra plot.

    Args:
        target: A flow: module:Class, a file, or a name under [tool.flowkit.flows].
        run: Instead, a stored run over its flow: how each step fared.
        against: Another run of that flow, to see where the two part.
        timeline: Draw the run over time.
        file: Where to write; the name of flow or run with .html if not given.
        show: Open it in a browser, too.
    """
    if (target is None) == (run is None):
        raise Refused(USAGE, "Say which flow is drawn, or --run and a run, not both.")
    try:
        if run is None:
            cls: Any = load(target or "")
            made = cls.plot(file or f"{cls.__name__}.html", show=show)
        else:
            made = _drawn(run, against, file, store, timeline=timeline, show=show)
    except FlowkitError:
        raise
    except ValueError as error:
        raise Refused(USAGE, str(error)) from error
    output.data(made)
    return DONE


def _drawn(
    run: str,
    against: str | None,
    file: str | None,
    store: str | None,
    *,
    timeline: bool,
    show: bool,
) -> str:
    on_path()
    place = existing(store)
    path = file or f"{runs.get(run, place).id}.html"
    if against is not None:
        return runs.compare(run, against, path, show=show, store=place)
    draw = runs.timeline if timeline else runs.plot
    return draw(run, path, show=show, store=place)
