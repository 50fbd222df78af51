"""Ending a stored run from outside, whichever process it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.records import RunCancelled
from flowkit.errors import RunEndedError
from flowkit.journal.rows import is_over
from flowkit.runtime.blocking import drive_blocking, in_thread
from flowkit.runtime.claims import claim
from flowkit.runtime.clock import now
from flowkit.runtime.durable import Journal
from flowkit.runtime.folding import refold
from flowkit.runtime.history import RunInfo, get_run
from flowkit.runtime.launch import known
from flowkit.runtime.lookup import row_of, store_of
from flowkit.runtime.loops import in_running_loop
from flowkit.runtime.opening import class_for, empty_run, made, widen
from flowkit.runtime.presence import presence_in

if TYPE_CHECKING:
    from flowkit.journal.base import Store
    from flowkit.runtime.run import Run

__all__ = ["cancel"]


def cancel(
    run_id: str,
    reason: str = "cancelled from outside",
    *,
    force: bool = False,
    store: Any = None,
) -> RunInfo:
    """End a stored run as ``cancelled``; blocks. Nothing of it runs any more.

    Args:
        run_id: of the run, or the beginning of it.
        reason: why, for those who read its story.
        force: take it from a living process, too: that one's next write is refused,
            which cancels its steps; what they do until then does not count.
        store: the default one if None.

    Returns:
        The run as it ended.

    Raises:
        NotFoundError: no such run.
        RunEndedError: it is over already.
        BusyError: a living process moves it.
        RunError: its class is not there.
    """
    place = store_of(store)
    row = row_of(place, run_id)
    if is_over(row.status):
        msg = f"Run {row.id!r} is over already ({row.status}); there is nothing to end."
        raise RunEndedError(msg)
    flow = made(class_for(row))
    if force and row.owner is not None:
        place.claim(row.id, presence_in(place).ensure(), now(), [row.owner])
    run = _claimed(flow, place, row.id)
    run.reason = reason
    run.pending.append(RunCancelled(now(), reason))
    backend = known[type(flow)].backend
    if in_running_loop():
        in_thread(lambda: drive_blocking(run, backend))
    else:
        drive_blocking(run, backend)
    if run.lost is not None:
        raise run.lost
    return get_run(row.id, place)


def _claimed(flow: Any, store: Store, id: str) -> Run:
    """A run as it stands; unlike for a resume, nothing of it starts again."""
    widen()
    run = empty_run(flow)
    row, hold = claim(store, id)
    journal = Journal(store, row)
    journal.hold = hold
    journal.attach(run)
    try:
        refold(run, journal)
        journal.flush(run)
        if run.over:  # its records say so, its row did not yet
            journal.ended(run)
    except BaseException:
        journal.give_up()
        raise
    return run
