"""The story of a run together with those of the runs that its steps called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.journal.rows import is_over
from flowkit.runtime.children import called_rows, place_of
from flowkit.runtime.execution_info import CalledRun
from flowkit.runtime.executions import executions
from flowkit.runtime.story import Story

if TYPE_CHECKING:
    from flowkit.journal.base import Store
    from flowkit.journal.rows import RunRow
    from flowkit.runtime.execution_info import Execution

__all__ = ["told"]


def told(store: Store, row: RunRow, *, nested: bool = False) -> list[Execution]:
    """A stored run's executions, each with the runs that it called.

    Args:
        store: where they are kept.
        row: of the run.
        nested: tell those runs' stories, too, on all levels.
    """
    entries = store.entries(row.id)
    found = executions(Story(store, row, entries), entries)
    for called in called_rows(store, row.id):
        firing, position = place_of(called)
        of_it = [
            each
            for each in found
            if each.firing == firing and each.started <= called.created
        ]
        if not of_it:
            continue
        ended = called.updated if is_over(called.status) else None
        run = CalledRun(
            called.id, called.flow, position, called.status, called.created, ended
        )
        if nested:
            run.executions = told(store, called, nested=True)
        max(of_it, key=lambda each: each.started).called.append(run)
    return found
