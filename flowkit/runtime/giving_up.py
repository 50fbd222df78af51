"""The rare ends of a journal: a run that cannot be moved, a state that is not kept."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from flowkit.errors import StoreError
from flowkit.journal.rows import Advance
from flowkit.runtime import signals
from flowkit.runtime.clock import now
from flowkit.runtime.notes import jotted

if TYPE_CHECKING:
    from flowkit.journal.codec import UnstorableError
    from flowkit.runtime.durable import Journal
    from flowkit.runtime.run import Run

__all__ = ["abandon", "give_up"]


def give_up(journal: Journal) -> None:
    """Let go of a run that was claimed and cannot be moved."""
    jotted(journal)
    journal.uncount()
    hold, journal.hold = journal.hold, None
    journal.released = True
    if hold is not None:
        try:
            journal.writer.now(Advance(hold, (), now(), owner=None))
        except StoreError as error:
            signals.log().info("%r was not given up: %s", journal.row.id, error)


def abandon(journal: Journal, run: Run, error: UnstorableError) -> None:
    """Go on in memory: what came up cannot be stored, and need not be."""
    signals.log().info("%r goes on without a stored position: %s", run, error)
    journal.wait(run)
    run.journal = None
    run.box.encode = run.box.delta = None
    hold, journal.hold = journal.hold, None
    if hold is not None:
        gone = f"its position was given up: {error}"
        with suppress(StoreError):
            journal.writer.now(Advance(hold, (), now(), "cancelled", error=gone))
    journal.uncount()
