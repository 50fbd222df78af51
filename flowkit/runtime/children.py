"""What a stored run has called: its rows, and what becomes of them.

A called run never outlives the step that called it: cancelled, failed or ended
without it, the step takes it along, with all that lies below. A caller that comes
from a store starts its step once more if the called run can go on, and so goes down
to it: code between the step's questions runs again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowkit.errors import FlowkitError, RunError
from flowkit.journal.codec import decode_loosely
from flowkit.journal.entries import read
from flowkit.journal.queries import Query
from flowkit.journal.rows import is_over
from flowkit.runtime import signals
from flowkit.runtime.clock import now
from flowkit.runtime.notes import flush, jot
from flowkit.runtime.presence import presence_in
from flowkit.runtime.restarts import again

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from flowkit.core.marking import Firing
    from flowkit.journal.base import Store
    from flowkit.journal.rows import Entry, RunRow
    from flowkit.runtime.run import Run

__all__ = [
    "WITHDRAWN",
    "Children",
    "called_rows",
    "ended_name",
    "failed_calls",
    "is_called",
    "place_of",
    "stirring",
    "top_of",
    "withdraw_rows",
    "without_open_calls",
]

WITHDRAWN = "the step that called it is over"
"""Why a called run was cancelled that its caller has given up: no outcome of it."""
PAGE = 200


def ended_name(run_id: str) -> str:
    """The event that the end of a called run is for its caller: of run and place.

    A place whose call is made anew has runs one after another, ``1:0``, ``1:0.1``.
    """
    head, colon, tail = run_id.rpartition(":")
    return f"run:{head}{colon}{tail.partition('.')[0]}"


def is_called(row: RunRow) -> bool:
    """Whether a stored run was called by another one (and not forked from it)."""
    return row.parent is not None and row.created_by == f"call {row.parent}"


class Children:
    """The runs that the steps of a run have called.

    Attributes:
        runs: those of steps at work, by firing and position.
    """

    __slots__ = ("_cancel_row", "_run", "runs")

    def __init__(self, run: Run, cancel_row: Callable[..., None]) -> None:
        self.runs: dict[int, dict[int, Run]] = {}
        self._run = run
        self._cancel_row = cancel_row

    def put(self, firing: int, position: int, child: Run) -> None:
        """A step has called a run."""
        self.runs.setdefault(firing, {})[position] = child

    def answered(self, firing: int, position: int) -> None:
        """The step has what its run gave."""
        self.runs.get(firing, {}).pop(position, None)

    def end(self, firing: Firing) -> None:
        """A step is over: what it has called and not awaited goes with it."""
        if firing.id in self.runs:
            self.withdraw((firing,))

    def drop(self, firing: Firing) -> None:
        """An attempt is over, and another one follows: it keeps what was answered."""
        if firing.id in self.runs:
            self._withdraw({firing.id})

    def withdraw(self, firings: Iterable[Firing]) -> None:
        """Cancel the runs that these firings have called, and all below."""
        run = self._run
        numbers = {firing.id for firing in firings}
        self._withdraw(numbers)
        if run.journal is None:
            for place in [place for place in run.answers if place[0] in numbers]:
                del run.answers[place]

    def _withdraw(self, numbers: set[int]) -> None:
        run = self._run
        for number in numbers:
            for child in self.runs.pop(number, {}).values():
                if not child.over or child.lost_or_kept:
                    child.withdrawn, child.caller = True, None
                    if run.journal is None or child.active:
                        with suppress(RunError):  # else another process has it
                            child.cancel(WITHDRAWN)
        if run.journal is not None:
            withdraw_rows(run.journal.store, run.id, self._cancel_row, numbers)

    def stir(self) -> None:
        """Start the steps again whose called run can go on: they go on with it."""
        run = self._run
        store = run.journal.store
        mail = {letter.name for letter in store.letters(run.id)}
        stirred: list[int] = []
        for number, questions in run.marking.asked.items():
            calls = [each for each in questions.values() if each.verb == "call"]
            names = {name for each in calls for name in each.detail["names"]}
            if not calls or names & mail:
                continue
            rows = called_rows(store, run.id)
            rows = [row for row in rows if ended_name(row.id) in names]
            if not rows or any(_stirs(store, row) for row in rows):
                stirred.append(number)
        for number in stirred:
            firing = run.marking.live[number]
            firing.attempt += 1
            run.ready.append(again(run, firing))
        if stirred:
            jot(run.journal, "again", stirred)
            flush(run.journal, run)


def withdraw_rows(
    store: Store,
    run_id: str,
    cancel_row: Callable[..., None],
    firings: Collection[int] | None = None,
) -> None:
    """Cancel stored runs that a run has called: those of some firings, or all."""
    for row in called_rows(store, run_id, ("running", "waiting")):
        if firings is not None and place_of(row)[0] not in firings:
            continue
        try:
            cancel_row(store, row, WITHDRAWN, called_off=True)
        except FlowkitError as error:
            signals.log().error("run %s was not cancelled: %s", row.id, error)


def called_rows(store: Store, run_id: str, status: Sequence[str] = ()) -> list[RunRow]:
    """The runs that a run has called, oldest first."""
    query = Query(parent=run_id, status=status, limit=PAGE)
    found: list[RunRow] = []
    while True:
        rows = store.runs(query)
        found += filter(is_called, rows)
        if len(rows) < PAGE:
            return found[::-1]
        query = query._replace(before=rows[-1].id)


def place_of(row: RunRow) -> tuple[int, int]:
    """Firing and position of the call that a called run is of."""
    _, firing, position = row.id.rsplit(":", 2)
    return int(firing), int(position.partition(".")[0])


def _stirs(store: Store, row: RunRow) -> bool:
    """Whether a called run can go on now, or one that it has called."""
    if is_over(row.status):
        return True
    presence = presence_in(store)
    if row.id in presence.moving:
        return False
    if row.owner is not None and row.owner != presence.id:
        presence.gone()
        alive = {each.id for each in store.owners() if each.until > now()}
        if row.owner in alive:
            return False
    if row.status == "running" or (row.due is not None and row.due <= now()):
        return True
    if store.letters(row.id):
        return True
    below = called_rows(store, row.id, ("running", "waiting"))
    return any(_stirs(store, each) for each in below)


def stirring(store: Store, names: Collection[str], dead: Sequence[str]) -> list[str]:
    """Ids of runs of these flows below which a called run can go on."""
    from flowkit.runtime.durable import flow_name
    from flowkit.runtime.kinds import known

    flows = [flow_name(cls) for cls in [*known]]
    found = store.claimable(now(), flows, dead=dead, limit=1_000)
    tops = ((run_id, top_of(store, run_id, names)) for run_id in found)
    return list(dict.fromkeys(top for run_id, top in tops if top != run_id))


def top_of(store: Store, run_id: str, names: Collection[str]) -> str:
    """The outermost caller of a run, of these flows and not over; else the run."""
    top, row = run_id, store.run(run_id)
    while row is not None and is_called(row):
        row = store.run(row.parent or "")
        if row is not None and row.flow in names and not is_over(row.status):
            top = row.id
    return top


def failed_calls(facts: Sequence[Entry]) -> list[int]:
    """Numbers of the answers that a failed step is not to be given again.

    Those of the failed calls that it ended with.
    """
    last = facts[-1]
    if last.kind != "fail":
        return []
    redo: list[int] = []
    for entry in reversed(facts):
        if entry.kind != "answer" or entry.firing != last.firing:
            continue
        answer: Any = read(entry).record
        said = answer.answer
        if not (isinstance(said, list) and said[:1] == ["call"] and "error" in said[2]):
            break
        redo.append(entry.seq)
    return redo


def without_open_calls(entries: Sequence[Entry]) -> list[Entry]:
    """The records without those of calls that have no answer: they are made anew."""
    answered = {_place(each) for each in entries if each.kind == "answer"}
    return [
        each
        for each in entries
        if each.kind != "ask" or _place(each) in answered or _verb(each) != "call"
    ]


def _place(entry: Entry) -> tuple[int | None, int]:
    record: Any = read(entry, decode_loosely).record
    return entry.firing, record.position


def _verb(entry: Entry) -> str:
    record: Any = read(entry, decode_loosely).record
    return str(record.verb)
