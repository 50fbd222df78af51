"""Cancelling a stored run, wherever it is moved, with all that it has called."""

from __future__ import annotations

from typing import Any

from flowkit.journal.rows import is_over
from flowkit.runtime.lookup import row_of, store_of
from flowkit.runtime.opening import cancel_row

__all__ = ["cancel"]


def cancel(
    run_id: str, reason: str = "cancelled from outside", *, store: Any = None
) -> bool:
    """Cancel a stored run and every run that it has called, from any process.

    Running steps of this process are cancelled and joined, which may end after this
    returns. A run that another process moves is taken from it: whatever it still
    does there is not recorded, and it stops at its next record.

    Args:
        run_id: of the run, or the beginning of it.
        reason: kept with the run.
        store: the default one if None.

    Returns:
        Whether it was cancelled: a run that is over stays as it is.

    Raises:
        NotFoundError: no such run.
        RunError: its class is not there.
    """
    place = store_of(store)
    row = row_of(place, run_id)
    if is_over(row.status):
        return False
    cancel_row(place, row, reason)
    return True
