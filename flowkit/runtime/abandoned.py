"""Stored runs that could go on, and nobody moves them."""

from __future__ import annotations

from typing import Any

from flowkit.runtime.clock import now
from flowkit.runtime.history import RunInfo, get_run
from flowkit.runtime.lookup import paged, query_of, store_of
from flowkit.runtime.presence import presence_in

__all__ = ["abandoned"]


def abandoned(*, limit: int = 100, store: Any = None) -> list[RunInfo]:
    """Runs that could go on and that no living process moves, oldest first.

    Those that were interrupted, whose time has come, or that have an event in their
    inbox. ``flowkit.resume`` or a bus on the store goes on with them.

    Args:
        limit: most of them.
        store: the default one if None.
    """
    place = store_of(store)
    still = query_of(status=("running", "waiting"))._replace(limit=-1)
    flows = list(dict.fromkeys(row.flow for row in paged(place, still)))
    if not flows:
        return []
    gone = presence_in(place).gone()
    found = place.claimable(now(), flows, dead=gone, limit=limit)
    return [get_run(run, place) for run in found]
