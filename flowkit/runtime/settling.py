"""A run at rest, or over: the state is the user's own again, and it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.errors import RunExistsError
from flowkit.runtime import signals

if TYPE_CHECKING:
    from flowkit.runtime.run import Run

__all__ = ["finished", "rested"]


def rested(run: Run) -> None:
    """All that goes on is waiting: tell those who want to know."""
    if run.journal is not None:
        run.journal.leave(run)
    _release(run)
    if run.pauses:
        from flowkit.runtime import feedback  # loaded with the pause

        feedback.settle(run)
    for watcher in run.watchers:
        watcher(run)
    if signals.run_waiting.receivers:
        run.tell(signals.run_waiting, events=run.awaits)


def finished(run: Run) -> None:
    """It is over: tell how, once."""
    if run.told:
        return
    run.told = True
    _release(run)
    if run.journal is not None:
        run.journal.leave(run)
    if len(run.failures) > 1 and run.failure is run.failures[0]:
        _gather_failures(run)
    for watcher in run.__dict__.pop("watchers", ()):  # most runs have none
        watcher(run)
    _tell_end(run)


def _release(run: Run) -> None:
    """Between steps the state is the user's own object."""
    if run.root.run is run:
        run.box.release()
        run.root.state = run.box.live
        run.root.firing = None


def _tell_end(run: Run) -> None:
    if isinstance(run.lost, RunExistsError):
        return  # it met another at its begin, and never was a run
    if run.lost is not None:
        if signals.run_failed.receivers:
            run.tell(signals.run_failed, error=run.lost)
    elif (failure := run.failure) is not None:
        if signals.run_failed.receivers:
            run.tell(signals.run_failed, error=failure)
    elif signals.run_finished.receivers:
        run.tell(signals.run_finished, status=run.status, result=run.last)


def _gather_failures(run: Run) -> None:
    first, *others = run.failures
    for other in others:
        first.add_note(
            f"flowkit: meanwhile another branch failed: {type(other).__name__}: {other}"
        )
