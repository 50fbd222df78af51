"""What stored runs are and what happened in them; needs no flow class."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flowkit.journal.codec import decode_loosely
from flowkit.runtime.folding import effective
from flowkit.runtime.lookup import check_seq, paged, query_of, row_of, store_of
from flowkit.runtime.story import Story, flat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowkit.journal.base import Store
    from flowkit.journal.rows import RunRow

__all__ = ["RunInfo", "WaitInfo", "find_runs", "get_run", "shown_time", "state_at"]


def shown_time(at: float | None) -> str:
    """A time in ISO 8601, in UTC; "" for none."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat()


@dataclass(frozen=True, slots=True)
class WaitInfo:
    """One thing a stored run waits for.

    Attributes:
        name: of the event, or what a person is asked by.
        key: correlation key, or None.
        place: the step that listens, or ``firing:position`` of a step that asked.
        kind: ``event`` or ``person``.
        since: seconds since the epoch.
        token: for a person's answer; it lets its holder answer.
    """

    name: str
    key: str | None
    place: str
    kind: str
    since: float
    token: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True, repr=False)
class RunInfo:
    """What is known of a stored run. Times are seconds since the epoch.

    Attributes:
        id: unique.
        flow: the class, ``package.module:Class``.
        status: ``running waiting completed failed cancelled compensated expired``.
        key: correlation key, or None.
        state_id: the state's own id.
        created: when it began.
        updated: when its status last changed.
        due: when it goes on by itself, or None.
        version: of the flow that began it.
        tags: short words it was begun with.
        created_by: whoever began it, or "".
        error: one line, if it failed.
        result: its outcome, once it is over.
        parent: id of the run it was forked from or called by, or None.
        records: how many records it has; the latest one's number.
        waits: what it waits for.
    """

    id: str
    flow: str
    status: str
    key: str | None
    state_id: str
    created: float
    updated: float
    due: float | None
    version: str
    tags: tuple[str, ...]
    created_by: str
    error: str
    result: Any
    parent: str | None
    records: int
    waits: tuple[WaitInfo, ...]

    def __repr__(self) -> str:
        told = [f"{self.id} of {self.flow}", self.status]
        if self.error:
            told.append(self.error)
        if self.result is not None:
            told.append(f"result {self.result!r:.60}")
        told += [f"waits for {wait.name}" for wait in self.waits]
        told.append(f"since {shown_time(self.created)}")
        return f"<RunInfo {', '.join(told)}>"


def _info(store: Store, row: RunRow) -> RunInfo:
    waits: tuple[WaitInfo, ...] = ()
    if row.status in {"running", "waiting"}:
        waits = tuple(
            WaitInfo(
                each.wait.name,
                each.wait.key,
                each.wait.place,
                each.wait.kind,
                each.since,
                each.wait.token,
            )
            for each in store.waits(run=row.id)
        )
    result = decode_loosely(row.result) if row.result else None
    return RunInfo(
        row.id,
        row.flow,
        row.status,
        row.key,
        row.state_id,
        row.created,
        row.updated,
        row.due,
        row.version,
        row.tags,
        row.created_by,
        row.error,
        result,
        row.parent,
        row.seq,
        waits,
    )


def get_run(run_id: str, store: Any = None) -> RunInfo:
    """A run by its id, or by the beginning of it that no other has.

    Raises:
        NotFoundError: no run.
        InputError: several.
    """
    place = store_of(store)
    return _info(place, row_of(place, run_id))


def find_runs(asked: Mapping[str, Any], limit: int, store: Any) -> list[RunInfo]:
    """Runs that fit, newest first."""
    place = store_of(store, asked.get("flow"))
    query = query_of(**asked)._replace(limit=limit)
    return [_info(place, row) for row in paged(place, query)]


def state_at(run_id: str, seq: int, store: Any = None) -> dict[str, Any]:
    """The fields of a run's state after one of its records.

    A record that a rewind took back later counts as it did then.

    Args:
        run_id: of the run, or the beginning of it.
        seq: number of the record, from 1; :func:`history` tells them.
        store: the default one if None.

    Raises:
        NotFoundError: no such run.
        InputError: it has no record of that number.
    """
    place = store_of(store)
    row = row_of(place, run_id)
    entries = place.entries(row.id)
    check_seq(row, entries, seq)
    story = Story(place, row, entries)
    return flat(story.fold(effective(entries[:seq])).fields)
