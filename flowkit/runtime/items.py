"""What steps tell those who read their run, beside its records.

An item counts at once, whatever becomes of its step. With a store it is written
into the run's journal, as a note that decides nothing, and is told once it is
durable; in memory it is kept with the run's records. A step that starts again tells
its items again: their frames have another ``attempt``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flowkit.errors import StoreError, UnstorableError
from flowkit.journal.codec import to_plain
from flowkit.journal.entries import Note, note_entry
from flowkit.runtime.clock import now
from flowkit.runtime.verbs import step_of

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["emit_item", "note", "tell"]

OWN = frozenset({"flow"})


def emit_item(flow: Any, item: Any, channel: str) -> None:
    """Tell the readers of a step's run something."""
    run, firing = step_of(flow, "emit_item")
    given: Any = channel
    if type(given) is not str or not given or given in OWN:
        msg = (
            f"{type(flow).__name__}.emit_item takes the name of a channel, not "
            f"{channel!r}; 'flow' is that of the run itself. Name another one, such "
            f"as 'custom' or 'llm'."
        )
        raise ValueError(msg)
    tell(run, firing, "item", {"item": item}, channel)


def tell(
    run: Run, firing: Firing, kind: str, data: dict[str, Any], channel: str = "flow"
) -> None:
    """Put something that is no record into a run's stream."""
    step = firing.node.name
    told = {
        "firing": firing.id,
        "step": step,
        "attempt": firing.attempt,
        "channel": channel,
        "type": kind,
        "data": data,
    }
    if run.journal is not None:
        try:
            to_plain(data, f"an item of {run.net.definition.name}.{step}")
        except UnstorableError as error:
            if kind == "item" and not run.journal.lenient:
                raise
            if kind != "item":
                told["data"] = {name: _shown(value) for name, value in data.items()}
            else:
                run.journal.abandon(run, error)
    _put(run, firing, Note(now(), "item", told))


def note(run: Run, firing: Firing | None, kind: str, data: dict[str, Any]) -> None:
    """Note in a run's journal what decides nothing; nothing of a run in memory.

    Args:
        run: in which it happened, moved in this process.
        firing: which it is about, None for the run.
        kind: of the note.
        data: plain.
    """
    if run.journal is not None:
        _put(run, firing, Note(now(), kind, data))


def _put(run: Run, firing: Firing | None, made: Note) -> None:
    if run.home is None or run.home == threading.get_ident():
        _keep(run, firing, made)
    else:
        run.post(lambda: _keep(run, firing, made))


def _shown(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else repr(value)


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
        journal._write(run, made, entry, (), None)
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
