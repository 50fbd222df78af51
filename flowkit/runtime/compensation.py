"""Compensating a stored run from outside: what its steps have done is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.records import RunCompensated
from flowkit.errors import BusyError, RunError
from flowkit.journal.rows import is_over
from flowkit.runtime.blocking import drive_blocking, in_thread
from flowkit.runtime.clock import now
from flowkit.runtime.history import get_run
from flowkit.runtime.kinds import known
from flowkit.runtime.lookup import row_of, store_of
from flowkit.runtime.loops import in_running_loop
from flowkit.runtime.opening import class_for, load, made
from flowkit.runtime.presence import presence_in
from flowkit.runtime.resumption import backend_of

if TYPE_CHECKING:
    from flowkit.journal.base import Store
    from flowkit.journal.rows import RunRow
    from flowkit.runtime.history import RunInfo

__all__ = ["compensate"]


def compensate(
    run_id: str, reason: str = "compensated from outside", *, store: Any = None
) -> RunInfo:
    """Undo what the steps of a stored run have done, and end it; blocks.

    As :meth:`~flowkit.Flow.compensate` within a step: what is live is cancelled, then
    the steps named by ``undo=`` run here, the newest first, once each, with their
    policies. A run that waits, that its process left behind or that failed can be
    compensated; of one that was at it already the rest is undone. Cut off, it is gone
    on with by whoever resumes it. A failure of an undo step does not come out here:
    the run's status and error tell it.

    Args:
        run_id: of the run, or the beginning of it.
        reason: kept with the run.
        store: the default one if None.

    Returns:
        How the run stands then: ``compensated``; ``failed`` if something could not be
        undone; ``waiting`` if an undo step is to be tried again later.

    Raises:
        NotFoundError: no such run.
        RunError: it is over, is of a flow without ``undo=``, or its class is not there.
        BusyError: it is being moved, here or by a living process.
    """
    place = store_of(store)
    row = row_of(place, run_id)
    _check(place, row)
    if in_running_loop():
        in_thread(lambda: _compensate(place, row, reason))
    else:
        _compensate(place, row, reason)
    return get_run(row.id, place)


def _check(store: Store, row: RunRow) -> None:
    if is_over(row.status) and row.status != "failed":
        msg = (
            f"Run {row.id!r} of {row.flow} is {row.status}, and only one that is under "
            f"way or failed is compensated. Take back what it did by another run."
        )
        raise RunError(msg)
    moved = presence_in(store).moving.get(row.id)
    if moved is not None and moved.active:
        msg = (
            f"Run {row.id!r} is being moved by this process just now. Call "
            f"self.compensate() in one of its steps, or wait until it waits or is over."
        )
        raise BusyError(msg)
    steps = known[class_for(row)].compiled.definition.steps
    if not any(step.undo for step in steps):
        msg = (
            f"Run {row.id!r} is of {row.flow}, no step of which says how its work is "
            f"undone. Name a method as undo= of its steps, or end the run with "
            f"flowkit.runs.cancel()."
        )
        raise RunError(msg)


def _compensate(store: Store, row: RunRow, reason: str) -> None:
    run = load(made(class_for(row)), store, row)
    if run.marking.undoing is None and not run.over:
        run.journal.blocking = True
        run.reason = reason
        run.apply(RunCompensated(now(), None, reason))
        run.journal.blocking = False
    drive_blocking(run, backend_of(type(run.flow)))
