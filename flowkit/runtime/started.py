"""Runs of ``flow.start()``: each in a thread of its own, none with a silent end.

A failure is logged when it happens, and told when the process ends if nobody has
waited for the run until then. So is a run that the end of the process interrupts.
"""

from __future__ import annotations

import atexit
import warnings
from collections import deque
from typing import TYPE_CHECKING

from flowkit.errors import FlowkitWarning
from flowkit.runtime import signals
from flowkit.runtime.blocking import drive_blocking, spawn

if TYPE_CHECKING:
    from flowkit.runtime.run import Run

__all__ = ["go"]

MOST = 100
"""Failures that are remembered until the process ends; the oldest is forgotten."""

_going: dict[Run, None] = {}
_failed: deque[list[str]] = deque(maxlen=MOST)


def go(run: Run, backend: str) -> None:
    """Move a run that has begun, in a thread; returns at once."""
    run.active = not run.over
    atexit.unregister(_tell)
    atexit.register(_tell)  # before what was registered earlier: a store's end
    _going[run] = None
    spawn(lambda: _go(run, backend))


def _go(run: Run, backend: str) -> None:
    try:
        drive_blocking(run, backend)
    finally:
        _going.pop(run, None)
    failure = run.lost or run.failure
    if failure is not None:
        said = f"{type(failure).__name__}: {failure}"
        signals.log().error("%r has stopped: %s", run, said, exc_info=failure)
        name = run.net.definition.name
        text = f"{name} was started and has stopped, and nobody waited for it: {said}"
        if not run.awaited:
            run.unheard = [text]  # until somebody waits for it after all
            _failed.append(run.unheard)


def _tell() -> None:
    """The process ends, and its threads with it."""
    for texts in list(_failed):
        for text in texts:
            warnings.warn(text, FlowkitWarning, stacklevel=1)
    for run in list(_going):
        if not run.over:
            warnings.warn(_left(run), FlowkitWarning, stacklevel=1)


def _left(run: Run) -> str:
    name = run.net.definition.name
    left = "it is lost, since it has no store"
    if run.journal is not None:
        left = f"flowkit.resume({run.id!r}) goes on with it"
    return (
        f"{name} was started and its process ends before it is over: {left}. To wait "
        f"for it, call run.wait()."
    )
