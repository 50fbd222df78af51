"""A run's records told one after another, and as they come; needs no flow class."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowkit.journal.rows import is_over
from flowkit.runtime.clock import block_until, now
from flowkit.runtime.lookup import check_seq, row_of, store_of
from flowkit.runtime.story import Story, flat, read_loosely

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Entry, RunRow

__all__ = ["Replayed", "follow", "replay"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """One record of a run, and where the run stood after it.

    Attributes:
        seq: number of the record, from 1.
        at: when, in seconds since the epoch.
        kind: of record: ``start done fail event ask answer timer stop abort cancel
            expire`` and ``note:..``.
        step: the step it is about, or None.
        firing: number of that execution of the step, or None.
        status: of the run after it.
        changed: fields of the state that differ from before.
        state: the state's fields after it.
    """

    seq: int
    at: float
    kind: str
    step: str | None
    firing: int | None
    status: str
    changed: tuple[str, ...]
    state: dict[str, Any]


def replay(run_id: str, seq: int | None = None, *, store: Any = None) -> list[Replayed]:
    """The records of a run in order, with the state after each; nothing is run.

    Args:
        run_id: of the run, or the beginning of it.
        seq: number of the last record to replay; all of them if None.
        store: the default one if None.

    Raises:
        NotFoundError: no such run.
        InputError: it has no record of that number.
    """
    place = store_of(store)
    row = row_of(place, run_id)
    entries = place.entries(row.id)
    if seq is not None:
        check_seq(row, entries, seq)
    return list(_Teller(place, row, entries).told(entries[:seq]))


def follow(run_id: str, *, every: float = 0.5, store: Any = None) -> Iterator[Replayed]:
    """As :func:`replay`, and each further record as it comes, until the run is over.

    Blocks while it waits; whoever moves the run is not disturbed.

    Args:
        run_id: of the run, or the beginning of it.
        every: seconds between two looks into the store.
        store: the default one if None.
    """
    place = store_of(store)
    row = row_of(place, run_id)
    entries = place.entries(row.id)
    teller = _Teller(place, row, entries)
    never = threading.Event()
    while True:
        yield from teller.told(entries)
        found = place.run(row.id)
        if found is None or (is_over(found.status) and found.seq <= teller.latest):
            return
        if found.seq <= teller.latest:
            block_until(now() + every, never)
        entries = place.entries(row.id, teller.latest)


class _Teller:
    """Folds entries and says what each has led to.

    Attributes:
        latest: number of the last entry that was folded.
    """

    def __init__(self, store: Store, row: RunRow, entries: list[Entry]) -> None:
        self.latest = 0
        self._story = Story(store, row, entries)
        self._folded: list[Entry] = []

    def told(self, entries: list[Entry]) -> Iterator[Replayed]:
        story = self._story
        for entry in entries:
            before = flat(story.fields)
            self._folded.append(entry)
            if entry.kind == "note:rewind":
                story.fold(self._folded)
            else:
                story.take(read_loosely(entry))
            self.latest = entry.seq
            after = flat(story.fields)
            changed = [
                name
                for name in {**before, **after}
                if name not in before
                or name not in after
                or before[name] != after[name]
            ]
            yield Replayed(
                entry.seq,
                entry.at,
                entry.kind,
                entry.step,
                entry.firing,
                story.marking.status,
                tuple(changed),
                after,
            )
