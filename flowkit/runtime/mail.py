"""Letters of a stored inbox as events of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.records import EventReceived
from flowkit.errors import InputError
from flowkit.journal.codec import decode
from flowkit.runtime import signals
from flowkit.runtime.clock import now
from flowkit.runtime.inbox import accepted

if TYPE_CHECKING:
    from flowkit.journal.rows import Letter
    from flowkit.runtime.run import Run

__all__ = ["posted"]


def posted(run: Run, letter: Letter) -> None:
    """Queue a letter; the record it becomes consumes it, in the same commit."""
    journal = run.journal
    if journal is None or letter.number in journal.taken:
        return
    journal.taken.add(letter.number)
    payload, shares = decode(letter.payload), None
    try:
        payload, shares = accepted(run, letter.name, payload)
    except InputError as error:  # it fitted when it was accepted
        signals.log().warning("%r takes %r as it is: %s", run, letter.name, error)
    trace = letter.traceparent or ""
    record = EventReceived(
        now(), letter.name, payload, letter.key, letter.event, shares, trace
    )
    journal.letters[id(record)] = letter
    run.pending.append(record)
