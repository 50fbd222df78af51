"""A run that was let go is moved here once more: claimed, and caught up with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.runtime.claims import claim
from flowkit.runtime.folding import go_on, refold
from flowkit.runtime.giving_up import give_up
from flowkit.runtime.notes import note
from flowkit.runtime.values import same

if TYPE_CHECKING:
    from flowkit.runtime.durable import Journal
    from flowkit.runtime.run import Run

__all__ = ["regain"]


def regain(journal: Journal, run: Run, *, force: bool = False) -> None:
    """Take a released run again; read what others did with it meanwhile.

    A run that others have ended is given as it ended, and nobody's.

    Raises:
        RunError: somebody else moves it now, and it is not taken by ``force``.
    """
    if run.held:  # it is being let go just now
        journal.wait(run)
    journal.taken = {each.number for each in journal.letters.values()}
    id = journal.row.id
    row, hold = claim(journal.store, id, again=journal.counted, force=force)
    journal.released = False
    journal.row, journal.hold = row, hold
    journal.attach(run)
    journal.standing.status = row.status
    left, journal.left = journal.left, None
    if row.seq == journal.seq:
        _changed_outside(journal, run, left)
    else:
        try:
            refold(run, journal)
        except BaseException:
            give_up(journal)
            raise
        go_on(run, journal)
    if run.over:
        give_up(journal)
        return
    journal.post(run, journal.store.letters(row.id))


def _changed_outside(journal: Journal, run: Run, left: dict[str, Any] | None) -> None:
    """Note what the flow's owner did to the state while the run waited."""
    fields = run.box.committed()
    if left is None or same(left, fields):
        return
    note(journal, "state", dict(fields))
