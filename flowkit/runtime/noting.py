"""Notes: what happens in a run and decides nothing, in its journal.

A note is written behind what is there, in the thread that moves the run; whoever has
one, in a step or a thread of it, hands it over.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flowkit.errors import StoreError
from flowkit.journal.entries import Note, note_entry
from flowkit.runtime.clock import now
from flowkit.runtime.writing import write

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["note_down", "put"]


def note_down(run: Run, firing: Firing | None, kind: str, data: dict[str, Any]) -> None:
    """Note in a run's journal what decides nothing; nothing of a run in memory.

    Args:
        run: in which it happened, moved in this process.
        firing: which it is about, None for the run.
        kind: of the note.
        data: plain.
    """
    if run.journal is not None:
        number = None if firing is None else firing.id
        put(run, firing, Note(now(), kind, {"firing": number, **data}))


def put(run: Run, firing: Firing | None, made: Note) -> None:
    """Have a note written, or kept with the records of a run in memory."""
    run = getattr(run, "whole", run)  # of a call beside others
    if run.home is None or run.home == threading.get_ident():
        _keep(run, firing, made)
    else:
        run.post(lambda: _keep(run, firing, made))


def _keep(run: Run, firing: Firing | None, made: Note) -> None:
    """Write a note behind what is there, in the thread that moves the run."""
    if run.over or (firing is not None and firing.id not in run.marking.live):
        return  # nothing of a step that was given up counts
    journal = run.journal
    if journal is None:
        if made.kind == "item":
            run.items.append((len(run.records), made))
        for bell in [*run.__dict__.get("bells", ())]:  # of those who read it now
            bell()
        return
    journal.seq += 1
    entry = note_entry(made, journal.seq)
    if firing is not None:
        entry = entry._replace(firing=firing.id, step=firing.node.name)
    # Where a commit takes long, items go out many at a time, and the step goes on: the
    # next record waits for them.
    blocking, journal.blocking = journal.blocking, False
    try:
        fact: Any = made  # no record, but written like one
        write(journal, run, fact, entry, (), None)
    except StoreError as error:
        run.halt(error)
    finally:
        journal.blocking = blocking
    if run.held:  # on its way: told as soon as it is durable, not at the step's end
        if run.hurry is not None:
            run.hurry()
        elif not run.pending:
            run.pending.append(_nothing)


def _nothing() -> None:
    """Has the loop look at what is held once it gets to it."""
