"""Moves as statements, inside a transaction that the store begins and ends.

A handler checks, then writes; what it returns is the outcome. Only an Accept can be
refused after it has written (one of its runs exists): it raises :class:`Refused`,
and the store begins the transaction again without it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from flowkit.errors import StoreError
from flowkit.journal.refusals import fenced, gap, occupied, taken, token_taken
from flowkit.journal.rows import (
    KEEP,
    TRANSIENT,
    Accept,
    Accepted,
    Advance,
    Advanced,
    Begin,
    Begun,
    Bury,
    Fate,
    Hold,
    Letter,
    RunRow,
    is_over,
)
from flowkit.journal.sqlite.queries import SQL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw

    from flowkit.journal.rows import Delivery, Entry, Move, Outcome, Wait

__all__ = ["MOVES", "Refused", "refusal", "run_row"]


class Refused(Exception):  # noqa: N818 - not an error of the store, but of one move
    """A move that had written something is refused: undo it."""

    def __init__(self, outcome: StoreError) -> None:
        self.outcome = outcome
        super().__init__()


def run_row(row: Any) -> RunRow:
    """A row of the view ``run_row``."""
    found = RunRow(*row)
    return found._replace(tags=tuple(json.loads(row[10])) if row[10] else ())


def refusal(connection: apsw.Connection, hold: Hold, seq: int) -> StoreError:
    """Why an append wrote nothing."""
    found: list[Any] = connection.execute(SQL["latest"], (hold.n,)).fetchall()
    if not found:
        return fenced(None, hold, None)
    fence, id, latest = found[0]
    if fence != hold.fence:
        return fenced(id, hold, fence)
    if seq == latest + 1:
        return StoreError(
            f"Record {seq} of run {id!r} has a time, a kind or data that is None. "
            f"Nothing was written; give it all three."
        )
    return gap(id, seq, latest)


_APPEND: Final = SQL["append"]
_CHANGE: Final = SQL["change"]
_COLUMNS: Final = ("key", "state_id", "error", "result", "state")
_ONLY_RECORDS: Final = Advance(Hold(0, 0))[3:]
"""What an Advance says that has nothing but records and a time."""


def _begin(connection: apsw.Connection, move: Begin) -> Begun | StoreError:
    execute, row = connection.execute, move.run
    known = execute(SQL["run"], (row.id,)).fetchall()
    if known:
        return taken(run_row(known[0]))
    if move.alone:
        live = execute(SQL["live"], (row.state_id, row.flow)).fetchall()
        if live:
            return occupied(run_row(live[0]))
    fault = _gap(row.id, 0, move.entries) or _token(connection, move.waits, 0)
    if fault:
        return fault
    over = is_over(row.status)
    if over:
        row = row._replace(owner=None, due=None)
    flow = _flow(connection, row.flow)
    values = (row.id, flow, *row[2:10], _tags(row.tags), *row[11:19])
    execute(SQL["new_run"], values)
    n = connection.last_insert_rowid()
    if move.graph:
        execute(SQL["new_graph"], (row.graph, move.graph))
    for entry in move.entries:
        execute(SQL["record"], (n, *entry))
    letters: tuple[Letter, ...] = ()
    if move.waits and not over:
        letters = _wait(connection, (n, row.id, flow), move.waits, row.created, {})
    return Begun(Hold(n, row.fence), letters)


def _advance(connection: apsw.Connection, move: Advance) -> Advanced | StoreError:
    hold = move.hold
    if len(move.entries) == 1 and move[3:] == _ONLY_RECORDS:
        connection.execute(_APPEND, (*hold, *move.entries[0]))
        if connection.changes():
            return Advanced()
        return refusal(connection, hold, move.entries[0].seq)
    first = move.entries[0].seq if move.entries else 1
    found: list[Any] = connection.execute(SQL["held"], (hold.n, first)).fetchall()
    if not found:
        return fenced(None, hold, None)
    now, id, flow, follows = found[0]
    if now != hold.fence or (move.entries and not follows):
        return refusal(connection, hold, first)
    fault = _gap(id, first - 1, move.entries)
    if not fault and move.waits is not KEEP:
        fault = _token(connection, move.waits, hold.n)
    return fault or _move_on(connection, move, (hold.n, id, flow))


def _move_on(
    connection: apsw.Connection, move: Advance, run: tuple[int, str, int]
) -> Advanced:
    """Write an Advance that has been checked."""
    execute, n = connection.execute, run[0]
    for entry in move.entries:
        execute(SQL["record"], (n, *entry))
    for number in move.consumed:
        execute(SQL["consume"], (number, n))
    changes = _changes(move)
    if changes:
        columns = ", ".join(f"{column} = ?" for column in changes)
        execute(_CHANGE.format(columns=columns), (*changes.values(), n))
    if move.graph is not KEEP:
        execute(SQL["new_graph"], move.graph)
    if move.status is not KEEP and is_over(move.status):
        execute(SQL["drop_waits"], (n,))
        return Advanced(passed=_pass_on(connection, n))
    if move.waits is not KEEP:
        rows: list[Any] = execute(SQL["waits_of"], (n,)).fetchall()
        old = {row[:6]: row[6] for row in rows}
        return Advanced(_wait(connection, run, move.waits, move.at, old))
    return Advanced()


def _changes(move: Advance) -> dict[str, Any]:
    """The columns a move changes, with what follows from its status."""
    changes: dict[str, Any] = {
        column: value
        for column in _COLUMNS
        if (value := getattr(move, column)) is not KEEP
    }
    if move.tags is not KEEP:
        changes["tags"] = _tags(move.tags)
    if move.graph is not KEEP:
        changes["graph"] = move.graph[0]
    if move.due is not KEEP:
        changes["due"] = move.due
    if move.owner is not KEEP:
        changes["owner"] = None
    if move.status is not KEEP:
        changes["status"], changes["updated"] = move.status, move.at
        if is_over(move.status):
            changes["owner"] = changes["due"] = None
    return changes


def _wait(
    connection: apsw.Connection,
    run: tuple[int, str, int],
    waits: Sequence[Wait],
    since: float,
    old: dict[Any, int],
) -> tuple[Letter, ...]:
    """Set all that a run waits for; gives the kept letters that new ones take."""
    execute, (n, id, flow) = connection.execute, run
    wanted = dict.fromkeys(waits)
    for gone in old.keys() - wanted.keys():
        execute(SQL["drop_wait"], (old[gone],))
    letters: list[Letter] = []
    for wait in wanted:
        if wait in old:
            continue
        execute(SQL["new_wait"], (n, flow, *wait, since))
        if wait.kind == "event" and wait.data != TRANSIENT:
            place = (n, flow, wait.name, wait.key)
            rows: list[Any] = execute(SQL["take"], place).fetchall()
            letters += [Letter(*row)._replace(run=id) for row in rows]
    letters.sort()
    return tuple(letters)


def _token(
    connection: apsw.Connection, waits: Sequence[Wait], n: int
) -> StoreError | None:
    """Why one of these waits of a run cannot have its token."""
    used: set[str] = set()
    for wait in dict.fromkeys(waits):
        if wait.token:
            rows: list[Any] = connection.execute(SQL["token"], (wait.token,)).fetchall()
            if wait.token in used or any(run != n for (run,) in rows):
                return token_taken(wait.name)
            used.add(wait.token)
    return None


def _pass_on(connection: apsw.Connection, n: int) -> tuple[Letter, ...]:
    """Letters an ended run left: to the next one that waits, else kept."""
    passed: list[Letter] = []
    left: list[Any] = connection.execute(SQL["left"], (n,)).fetchall()
    for row in left:
        letter = Letter(*row)
        taker = _taker(connection, letter.subscriber, letter.name, letter.key)
        connection.execute(SQL["pass_on"], (letter.number, taker and taker[0]))
        if taker:
            passed.append(letter._replace(run=taker[1]))
    return tuple(passed)


def _accept(connection: apsw.Connection, move: Accept) -> Accepted:
    execute, id = connection.execute, move.id
    if id is not None and execute(SQL["seen"], (id,)).fetchall():
        return Accepted(duplicate=True)
    fates = tuple(_deliver(connection, move, one) for one in move.deliveries)
    if id is not None:
        execute(SQL["new_event"], (id, move.at))
    return Accepted(fates=fates)


def _deliver(connection: apsw.Connection, move: Accept, delivery: Delivery) -> Fate:
    if delivery.handler:
        return Fate("handler", None, _letter(connection, move, delivery))
    taker = _taker(connection, delivery.subscriber, move.name, delivery.key_in(move))
    if taker:
        return Fate("run", taker[1], _letter(connection, move, delivery, taker))
    if delivery.begin is not None:
        begun = _begin(connection, delivery.begin)
        if not isinstance(begun, Begun):
            raise Refused(begun)
        return Fate("begun", delivery.begin.run.id, None, begun.hold)
    place = (delivery.subscriber, move.name, delivery.key_in(move))
    if not delivery.keep or connection.execute(SQL["awaited"], place).fetchall():
        return Fate("dropped")  # kept for a later wait, not for one that has no room
    return Fate("kept", None, _letter(connection, move, delivery))


def _letter(
    connection: apsw.Connection,
    move: Accept,
    delivery: Delivery,
    taker: tuple[int | None, str | None] = (None, None),
) -> Letter:
    n, run = taker
    name, _, id, at, _, trace = move
    subscriber, payload, _, _, handler, _ = delivery
    key = delivery.key_in(move)
    values = (subscriber, name, key, id, payload, at, n, int(handler), trace)
    connection.execute(SQL["new_letter"], values)
    number = connection.last_insert_rowid()
    return Letter(number, subscriber, name, key, id, payload, at, run, trace)


def _taker(
    connection: apsw.Connection, flow: str, name: str, key: str | None
) -> tuple[int, str] | None:
    """Number and id of the oldest run that waits for such an event, with room."""
    found: list[Any] = connection.execute(SQL["taker"], (flow, name, key)).fetchall()
    return found[0] if found else None


def _bury(connection: apsw.Connection, move: Bury) -> int:
    connection.execute(SQL["bury"], move)
    return connection.last_insert_rowid()


def _flow(connection: apsw.Connection, name: str) -> int:
    found: list[Any] = connection.execute(SQL["flow"], (name,)).fetchall()
    if found:
        return int(found[0][0])
    connection.execute(SQL["new_flow"], (name,))
    return connection.last_insert_rowid()


def _gap(run: str, latest: int, entries: Sequence[Entry]) -> StoreError | None:
    for seq, entry in enumerate(entries, latest + 1):
        if entry.seq != seq:
            return gap(run, entry.seq, seq - 1)
    return None


def _tags(tags: Sequence[str]) -> str:
    return json.dumps(tags, ensure_ascii=False) if tags else ""


MOVES: Final[dict[type[Move], Callable[[apsw.Connection, Any], Outcome]]] = {
    Begin: _begin,
    Advance: _advance,
    Accept: _accept,
    Bury: _bury,
}
"""The handler of each kind of move."""
