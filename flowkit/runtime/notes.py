"""Notes in a run's journal: facts that decide nothing, between its records.

They are jotted down as they come up, and written together with what they mean for
the run's row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.journal.entries import Note, note_entry
from flowkit.journal.rows import Advance
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from flowkit.journal.rows import Entry
    from flowkit.runtime.durable import Journal
    from flowkit.runtime.run import Run

__all__ = ["flush", "jot", "jotted", "note"]


def jot(journal: Journal, kind: str, data: Any = None, **changes: Any) -> Entry:
    """A fact to be written by the next :func:`flush`, with changes of the row."""
    journal.seq += 1
    entry = note_entry(Note(now(), kind, data), journal.seq)
    journal.notes.append(entry)
    journal.noted.update(changes)
    return entry


def jotted(journal: Journal) -> tuple[tuple[Entry, ...], dict[str, Any]]:
    """What was jotted down and what changes with it; it is written elsewhere."""
    found = tuple(journal.notes), journal.noted
    journal.notes, journal.noted = [], {}
    return found


def flush(journal: Journal, run: Run) -> None:
    """Write what was jotted down and where the run stands, in one commit."""
    entries, changes = jotted(journal)
    if entries and journal.hold is not None:
        changes = {**journal.standing.anew(run), **changes}
        journal.writer.now(Advance(journal.hold, entries, entries[-1].at, **changes))


def note(journal: Journal, kind: str, data: Any) -> None:
    """Write a fact at once."""
    jot(journal, kind, data)
    entries, also = jotted(journal)
    assert journal.hold is not None  # noqa: S101 - only an owner notes
    journal.writer.now(Advance(journal.hold, entries, entries[-1].at, **also))
