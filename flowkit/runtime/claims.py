"""Taking a stored run over: by whoever is alive, from whoever is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.runtime.clock import now
from flowkit.runtime.presence import presence_in

if TYPE_CHECKING:
    from flowkit.journal.base import Store
    from flowkit.journal.rows import Hold, RunRow

__all__ = ["claim"]


def claim(
    store: Store, run_id: str, *, again: bool = False, force: bool = False
) -> tuple[RunRow, Hold]:
    """Take a run over; ``again`` if it was let go and nobody else moves it here.

    ``force`` takes it from a living process, too: that one writes nothing more.

    Raises:
        NotFoundError: no such run.
        BusyError: a living process moves it.
    """
    from flowkit.errors import BusyError, NotFoundError

    presence = presence_in(store)
    owner = presence.ensure()
    at = now()
    if run_id in presence.moving and not again:
        msg = (
            f"Run {run_id!r} is being moved by this process just now. Wait until it is "
            f"done or waits."
        )
        raise BusyError(msg)
    try:
        found = store.claim(run_id, owner, at) or store.claim(
            run_id, owner, at, presence.gone()
        )
        if found is None and force:
            row = store.run(run_id)
            found = store.claim(run_id, owner, at, [row.owner or "" if row else ""])
    except KeyError:
        msg = (
            f"There is no run {run_id!r} in {store.url}. Look at the ids with "
            f"`runs.list()` or `flowkit runs`, or check which store is meant."
        )
        raise NotFoundError(msg) from None
    if found is None:
        msg = (
            f"Run {run_id!r} is being moved by another process. Wait until it is done "
            f"or waits; if that process is gone, the run is free within 30 seconds."
        )
        raise BusyError(msg)
    return found
