"""Which runs a query asks for, and figures over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.journal.queries import figured

if TYPE_CHECKING:
    from flowkit.journal.queries import Figures, Query
    from flowkit.journal.rows import RunRow

__all__ = ["figures_of", "fits"]


def figures_of(rows: list[RunRow], target: float | None) -> Figures:
    """Counts and durations of runs of one flow and status."""
    lasted = sorted(row.updated - row.created for row in rows)
    count = len(lasted)
    return figured(
        rows[0].flow,
        rows[0].status,
        count,
        min(row.created for row in rows),
        sum(lasted) / count,
        sum(each * each for each in lasted) / count,
        lasted[(count + 1) // 2 - 1],
        lasted[(count * 95 + 99) // 100 - 1],
        lasted[-1],
        0 if target is None else sum(each > target for each in lasted),
    )


def fits(row: RunRow, query: Query) -> bool:
    """Whether a query asks for this run."""
    if query.text:
        text = query.text.casefold()
        places = (row.id, row.key or "", row.state_id, row.error, *row.tags)
        if not any(text in place.casefold() for place in places):
            return False
    return (
        query.flow in {None, row.flow}
        and query.key in {None, row.key}
        and query.state_id in {None, row.state_id}
        and query.parent in {None, row.parent}
        and (not query.status or row.status in query.status)
        and (query.tag is None or query.tag in row.tags)
        and (query.since is None or row.created >= query.since)
        and (query.until is None or row.created < query.until)
    )
