"""Back to where a run stood: as a new run (fork), or the same one (rewind)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.validate import closest
from flowkit.errors import InputError, RunError, RunExistsError
from flowkit.journal.codec import to_plain
from flowkit.journal.graphs import graph_text
from flowkit.journal.rows import Advance, Begin
from flowkit.runtime.changes import raw_fields
from flowkit.runtime.children import withdraw_rows, without_open_calls
from flowkit.runtime.claims import claim
from flowkit.runtime.clock import now
from flowkit.runtime.durable import Journal, flow_name
from flowkit.runtime.executions import executions
from flowkit.runtime.folding import asks, effective, refold
from flowkit.runtime.giving_up import give_up
from flowkit.runtime.ids import run_id as new_id
from flowkit.runtime.initial import merge_inputs
from flowkit.runtime.lookup import check_seq, row_of, store_of
from flowkit.runtime.notes import jot, jotted
from flowkit.runtime.opening import cancel_row, class_for, empty_run, made, widen
from flowkit.runtime.restore import EXTRA
from flowkit.runtime.story import Story

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Entry, RunRow
    from flowkit.runtime.run import Run

__all__ = ["fork", "rewind"]

_BEGUN: dict[str, Any] = {
    "status": "running",
    "owner": None,
    "due": None,
    "fence": 1,
    "error": "",
    "result": "",
    "state": "",
}
"""What of another run's row is not its fork's."""


class Place(NamedTuple):
    """Where to go back to: after which record, and which firings ask anew."""

    to: int
    anew: list[int]


def fork(
    run_id: str,
    from_step: Any = None,
    *,
    seq: int | None = None,
    state: Mapping[str, Any] | None = None,
    id: str | None = None,
    tags: Iterable[str] = (),
    created_by: str = "",
    store: Any = None,
) -> str:
    """A new run that stands where another one stood; ``flowkit.resume`` runs it on.

    Copies the records up to just before the latest execution of a step ended, so
    that the step starts anew, or up to a record. The other run is left as it is.
    The new one has it as ``parent``, and a state id of its own. What called runs have
    given is copied with the records, and they stay the other run's; a call that was
    open is made anew, with a run of its own.

    Args:
        run_id: of the run, or the beginning of it.
        from_step: name of the step, or the step itself.
        seq: instead, number of the last record to copy; all of them if neither is
            given.
        state: fields to change in the state first, validated as inputs are.
        id: of the new run; made up if None.
        tags: short words to find it by.
        created_by: whoever makes it.
        store: the default one if None.

    Returns:
        The id of the new run.

    Raises:
        NotFoundError: no such run.
        RunError: no such step, or the run was over at that place.
        InputError: a state that does not fit, or an id that is taken.
    """
    place = store_of(store)
    row = row_of(place, run_id)
    entries = place.entries(row.id)
    kept = _kept(place, row, entries, from_step, seq)
    copied = [each._replace(seq=new) for new, each in enumerate(kept, 1)]
    at, number = now(), id or new_id(now())
    forked = row._replace(
        id=number,
        parent=row.id,
        graph=Story(place, row, entries).fold(kept).graph,
        created=at,
        updated=at,
        created_by=created_by,
        tags=tuple(tags),
        **_BEGUN,
    )
    journal = Journal(place, forked)
    run = _stood(journal, copied)
    if isinstance(dict.get(raw_fields(run.box.live), "id"), str):
        state = {"id": number, **(state or {})}
    _edit(run, journal, state)
    _store(journal, run, copied)
    return number


def _kept(
    store: Store, row: RunRow, entries: Sequence[Entry], step: Any, seq: int | None
) -> list[Entry]:
    """The records that a fork begins with."""
    if seq is not None and step is None:
        check_seq(row, entries, seq)
        kept = effective(entries[:seq])
    else:
        to, anew = _place(store, row, entries, step, seq)
        kept = effective(entries)
        kept = [each for each in kept if each.seq <= to and not asks(each, anew)]
    return without_open_calls(kept)


def _store(journal: Journal, run: Run, copied: Sequence[Entry]) -> None:
    """Write a new run down as it stands.

    Raises:
        InputError: its id is taken.
    """
    notes, changes = jotted(journal)
    changes.update(journal.standing.anew(run))
    waits = changes.pop("waits")
    changes.pop("graph", None)
    begin = Begin(
        journal.row._replace(**changes),
        (*copied, *notes),
        waits,
        graph_text(run.net.definition),
    )
    try:
        journal.writer.now(begin)
    except RunExistsError as error:
        msg = f"There is a run {journal.row.id!r} already; give the fork another id."
        raise InputError(msg) from error


def rewind(
    run_id: str,
    to_step: Any = None,
    *,
    seq: int | None = None,
    state: Mapping[str, Any] | None = None,
    store: Any = None,
) -> None:
    """Take a run back to where it stood; ``flowkit.resume`` runs it on.

    To just before the latest execution of a step ended, so that the step starts
    anew, or to after a record. Nothing is deleted: what came since stays in the
    journal, marked as undone. Events it had taken since are not handed to it again,
    and a time that has passed comes at once. Runs that it has called and that are not
    over are cancelled; steps that call once more call new ones.

    Args:
        run_id: of the run, or the beginning of it.
        to_step: name of the step, or the step itself.
        seq: instead, number of the last record that counts.
        state: fields to change in the state, validated as inputs are.
        store: the default one if None.

    Raises:
        NotFoundError: no such run.
        RunError: no such step, or the run was over at that place.
        BusyError: a living process moves it.
        InputError: a state that does not fit.
    """
    place = store_of(store)
    row = row_of(place, run_id)
    if to_step is None and seq is None:
        msg = f"Say where run {row.id!r} goes back to: to_step=, or seq=."
        raise InputError(msg)
    row, hold = claim(place, row.id)
    journal = Journal(place, row)
    journal.hold = hold
    try:
        entries = place.entries(row.id)
        where = _place(place, row, entries, to_step, seq)
        journal.seq = row.seq
        note = jot(journal, "rewind", {"to": where.to, "anew": where.anew})
        run = _stood(journal, [*entries, note])
        _edit(run, journal, state)
        notes, changes = jotted(journal)
        changes.update(journal.standing.anew(run))
        move = Advance(hold, notes, notes[-1].at, owner=None, **changes)
        journal.writer.now(move)
    except BaseException:
        give_up(journal)
        raise
    withdraw_rows(place, row.id, cancel_row)


def _place(
    store: Store,
    row: RunRow,
    entries: Sequence[Entry],
    step: Any,
    seq: int | None,
) -> Place:
    """After which record a run is to go on.

    Raises:
        InputError: neither, both, or no such record.
        RunError: the step has not run.
    """
    if step is not None and seq is not None:
        msg = "Say from which step or after which record, not both."
        raise InputError(msg)
    if step is None:
        if seq is None:
            return Place(entries[-1].seq, [])
        check_seq(row, entries, seq)
        if all(each.seq != seq for each in effective(entries)):
            msg = (
                f"Record {seq} of run {row.id!r} was taken back by a rewind. Fork the "
                f"run there instead: fork({row.id!r}, seq={seq})."
            )
            raise InputError(msg)
        return Place(seq, [])
    name = step if isinstance(step, str) else step.__name__
    told = executions(Story(store, row, entries), [*entries])
    done = [each for each in told if each.step == name and not each.undone]
    if not done:
        names = sorted({each.step for each in told if not each.undone})
        guess = closest(name, frozenset(names))
        hint = f" Did you mean {guess!r}?" if guess else ""
        msg = (
            f"Step {name!r} has not run in run {row.id!r}.{hint} These have: "
            f"{', '.join(names) or 'none'}."
        )
        raise RunError(msg)
    last = max(done, key=lambda each: (each.firing, each.seq or entries[-1].seq))
    to = entries[-1].seq if last.seq is None else last.seq - 1
    return Place(to, [] if last.position is not None else [last.firing])


def _stood(journal: Journal, entries: Sequence[Entry]) -> Run:
    """A run as it stood after these records, nobody moving it.

    Raises:
        RunError: it was over then.
    """
    widen()
    row = journal.row
    flow = made(class_for(row))
    run = empty_run(flow)
    run.key, run.journal = row.key, journal
    refold(run, journal, entries)
    if run.over:
        msg = (
            f"Run {row.parent or row.id!r} was over by then ({run.status}), so nothing "
            f"can go on from there. Name an earlier record, or a step to start anew."
        )
        raise RunError(msg)
    return run


def _edit(run: Run, journal: Journal, state: Mapping[str, Any] | None) -> None:
    """Change fields of the state; the records say so."""
    if not state:
        return
    merge_inputs(run.box, state, flow_name(type(run.flow)).rpartition(":")[2])
    fields = dict(run.box.committed())
    if run.box.extra:
        fields[EXTRA] = run.box.extra
    for name, value in fields.items():
        to_plain(value, f"state.{name}")
    jot(journal, "state", fields)
