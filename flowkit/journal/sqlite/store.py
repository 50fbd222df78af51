"""``SqliteStore``: the journal in one file, for one machine."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import apsw

from flowkit.journal.queries import Failing, Figures, figured
from flowkit.journal.rows import (
    Bury,
    Dead,
    Entry,
    Hold,
    Letter,
    Owner,
    Wait,
    Waiting,
    buried,
)
from flowkit.journal.sqlite.checkpoint import Checkpoints
from flowkit.journal.sqlite.faults import BAD_VALUES, bad_value, fault, gone, identity
from flowkit.journal.sqlite.moves import MOVES, Refused, refusal, run_row
from flowkit.journal.sqlite.opening import connect, opened
from flowkit.journal.sqlite.queries import MIGRATIONS, SQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flowkit.errors import StoreError
    from flowkit.journal.queries import Query
    from flowkit.journal.rows import Move, Outcome, RunRow

__all__ = ["SqliteStore"]

_OF_RUN: Final = (
    "number IN (SELECT number FROM wait "
    "WHERE run = (SELECT n FROM run WHERE id = :run))"
)
"""Else the planner goes through every wait in order."""
_APPEND: Final = SQL["append"]

_QUERY: Final = {
    "flow": "flow = :flow",
    "key": "key = :key",
    "state_id": "state_id = :state_id",
    "parent": "parent = :parent",
    "since": "created >= :since",
    "until": "created < :until",
    "tag": "EXISTS (SELECT 1 FROM json_each(iif(tags = '', '[]', tags)) "
    "WHERE value = :tag)",
    "before": "n < (SELECT n FROM run WHERE id = :before)",
}
"""What a field of a Query asks of a row."""

_WAITS: Final = ("name", "key", "kind", "token", "run")

_living: WeakSet[SqliteStore] = WeakSet()
_lost: list[apsw.Connection | apsw.Cursor | None] = []
"""Connections of the parent, in a fork: to close them would harm the parent."""


class SqliteStore:
    """A store in a SQLite file, for any number of threads and processes.

    One connection writes, another one reads, each under its lock. They are opened
    at once, and again at the next use after :meth:`close` or in a forked child.

    Args:
        path: of the file; created if there is none, but not its folder.
        synchronous: ``full``: a commit survives a power failure. ``normal``: it
            survives a killed process, and a power failure may take the latest ones.

    Raises:
        StoreError: the file cannot be used; the text says why and what to do.
    """

    def __init__(self, path: str | Path, *, synchronous: str = "full") -> None:
        self.path: Path = Path(path).absolute()
        self.synchronous = synchronous
        option = "" if synchronous == "full" else f"?synchronous={synchronous}"
        self.url: str = f"sqlite:///{self.path}{option}"
        self.durable = True
        self.remote = False
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._writer: apsw.Connection | None = None
        self._appender: apsw.Cursor  # the writer's: one for each execution costs more
        self._reader: apsw.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._checkpoints = Checkpoints(self.path)
        self._open_writer()
        _living.add(self)

    def close(self) -> None:
        """Give up all connections; the next use would open them again."""
        with self._reading, self._writing:
            self._checkpoints.finish()
            for connection in (self._reader, self._writer):
                if connection is not None:
                    with self._faults():
                        connection.close()
            self._reader = self._writer = None

    def append(self, hold: Hold, entry: Entry) -> None:
        """One record, as a commit of its own: one prepared statement."""
        with self._writing:
            connection = self._writer or self._open_writer()
            try:
                self._appender.execute(_APPEND, hold + entry)
            except (apsw.Error, *BAD_VALUES) as error:
                raise fault(error, self.path) from error
            if not connection.changes():
                raise refusal(connection, hold, entry.seq)

    def commit(self, moves: Sequence[Move]) -> list[Outcome]:
        """Many moves in one transaction; an outcome for each, in order."""
        if not moves:
            return []
        refused: dict[int, StoreError] = {}
        with self._writing:
            while True:
                try:
                    with self._transaction() as connection:
                        return self._written(connection, moves, refused)
                except _Again:
                    continue

    def _written(
        self,
        connection: apsw.Connection,
        moves: Sequence[Move],
        refused: dict[int, StoreError],
    ) -> list[Outcome]:
        """Outcomes of moves; one that must be undone is noted, for another try."""
        outcomes: list[Outcome] = []
        for index, move in enumerate(moves):
            if index in refused:
                outcomes.append(refused[index])
                continue
            try:
                outcomes.append(MOVES[type(move)](connection, move))
            except Refused as error:
                refused[index] = error.outcome
                raise _Again from None
            except BAD_VALUES as error:
                refused[index] = bad_value(error, self.path)
                raise _Again from None
        return outcomes

    def beat(self, owner: Owner) -> None:
        """Say that a process is alive until ``owner.until``."""
        self._write("beat", owner)

    def retire(self, owner: str) -> None:
        """A process ends in good order: its runs may be claimed at once."""
        self._write("retire", (owner,))

    def owners(self) -> list[Owner]:
        """Every process that said it is alive."""
        return [Owner(*row) for row in self._read("owners")]

    def claim(
        self, run: str, owner: str, at: float, dead: Sequence[str] = ()
    ) -> tuple[RunRow, Hold] | None:
        """Take a run over, raising its fence; None if a living owner has it."""
        asked = {"run": run, "owner": owner, "at": at, "dead": json.dumps([*dead])}
        with self._writing, self._transaction() as connection:
            connection.execute(SQL["claim"], asked)
            claimed = connection.changes()
            found = connection.execute(SQL["run"], (run,)).fetchall()
        if not found:
            raise KeyError(run)
        row = run_row(found[0])
        return (row, Hold(row.n, row.fence)) if claimed else None

    def claimable(
        self,
        at: float,
        flows: Sequence[str],
        *,
        dead: Sequence[str] = (),
        limit: int = 100,
    ) -> list[str]:
        """Ids of runs to go on with, oldest first."""
        asked = {
            "at": at,
            "flows": json.dumps([*flows]),
            "dead": json.dumps([*dead]),
            "limit": limit,
        }
        return [id for (id,) in self._read("claimable", asked)]

    def next_due(self, flows: Sequence[str]) -> float | None:
        """The earliest ``due`` of a waiting run of these flows."""
        due: float | None = self._value("next_due", (json.dumps([*flows]),))
        return due

    def run(self, run: str) -> RunRow | None:
        """One run by its id."""
        found = self._read("run", (run,))
        return run_row(found[0]) if found else None

    def by_state(self, flow: str | None, state_id: str) -> RunRow | None:
        """The newest run with that state id."""
        found = self._read("by_state", (state_id, flow))
        return run_row(found[0]) if found else None

    def entries(self, run: str, since: int = 0, limit: int = -1) -> list[Entry]:
        """A run's records after number ``since``, in order."""
        return [Entry(*row) for row in self._read("entries", (run, since, limit))]

    def letters(self, run: str) -> list[Letter]:
        """What is in a run's inbox and not consumed, oldest first."""
        return [Letter(*row) for row in self._read("letters", (run,))]

    def runs(self, query: Query) -> list[RunRow]:
        """Runs, newest first."""
        asked, conditions = _conditions(query)
        asked["limit"] = query.limit
        return [run_row(row) for row in self._read("runs", asked, conditions)]

    def figures(self, query: Query, target: float | None = None) -> list[Figures]:
        """Counts and durations of the runs that fit, by flow and status."""
        asked, conditions = _conditions(query)
        asked["target"] = target
        return [figured(*row) for row in self._read("figures", asked, conditions)]

    def failing(self, query: Query) -> list[Failing]:
        """Errors of the runs that fit, the most frequent first."""
        asked, conditions = _conditions(query)
        asked["limit"] = query.limit
        found = self._read("failing", asked, conditions)
        return [Failing(*row[:4]) for row in found]

    def ids(self, prefix: str, limit: int = 2) -> list[str]:
        """Ids that begin with a prefix."""
        return [id for (id,) in self._read("ids", (prefix, limit))]

    def waits(
        self,
        *,
        name: str | None = None,
        key: str | None = None,
        kind: str | None = None,
        token: str | None = None,
        run: str | None = None,
        limit: int = 1000,
    ) -> list[Waiting]:
        """What runs wait for, oldest first."""
        values = (name, key, kind, token, run)
        asked: dict[str, Any] = {
            field: value
            for field, value in zip(_WAITS, values, strict=True)
            if value is not None
        }
        conditions = [f"{field} = :{field}" for field in asked]
        if token:
            conditions.append("token <> ''")  # so that its index can serve
        if run is not None:
            conditions.append(_OF_RUN)
        asked["limit"] = limit
        return [
            Waiting(row[0], row[1], Wait(*row[2:8]), row[8])
            for row in self._read("waits", asked, conditions)
        ]

    def graph(self, digest: str) -> str | None:
        """The definition of that hash, as JSON text."""
        definition: str | None = self._value("graph", (digest,))
        return definition

    def subscribers(self, name: str) -> list[str]:
        """Flows with a run that waits for events of this name."""
        return [flow for (flow,) in self._read("subscribers", (name,))]

    def seen(self, event: str) -> bool:
        """Whether this event id was accepted before."""
        return bool(self._read("seen", (event,)))

    def kept(self, subscriber: str | None = None) -> list[Letter]:
        """Letters that no run has taken and no handler has done, oldest first."""
        return [Letter(*row) for row in self._read("kept", (subscriber,))]

    def done(self, letter: int) -> None:
        """A handler has done its letter."""
        self._write("done", (letter,))

    def dead(self, *, limit: int = 100, name: str | None = None) -> list[Dead]:
        """Dead letters, oldest first."""
        return [_dead(row) for row in self._read("dead", (name, limit))]

    def undead(self, number: int) -> Dead | None:
        """Take one out of the dead letters; None if it is not there."""
        with self._writing, self._transaction() as connection:
            found = connection.execute(SQL["undead"], (number,)).fetchall()
        return _dead(found[0]) if found else None

    def forget(
        self,
        *,
        events_before: float,
        kept_before: float,
        most_kept: int,
        at: float = 0.0,
        reason: str | None = None,
    ) -> list[Letter]:
        """Forget old event ids and old kept letters; gives the dropped letters."""
        with self._writing, self._transaction() as connection:
            connection.execute(SQL["forget_events"], (events_before,))
            asked = (kept_before, most_kept)
            found: list[Any] = connection.execute(SQL["forget_kept"], asked).fetchall()
            dropped = sorted(Letter(*row) for row in found)
            if reason is not None:
                moves = (buried(letter, at, reason) for letter in dropped)
                connection.executemany(SQL["bury"], moves)
        return dropped

    def purge(self, runs: Sequence[str]) -> int:
        """Delete runs that are over with all that belongs to them; how many."""
        with self._writing, self._transaction() as connection:
            over = connection.execute(SQL["over"], (json.dumps([*runs]),)).fetchall()
            for number in over:
                connection.execute(SQL["purge_records"], number)
                connection.execute(SQL["purge_run"], number)
        return len(over)

    def save_state(self, id: str, method: str, state: str, at: float) -> None:
        """The latest state a persisted method left under an id."""
        self._write("save_state", (id, method, state, at))

    def load_state(self, id: str) -> str | None:
        """What was saved last under that id."""
        state: str | None = self._value("load_state", (id,))
        return state

    def save_pending(self, id: str, context: str, state: str, at: float) -> None:
        """A pause for feedback: one an id, the last saved."""
        self._write("save_pending", (id, context, state, at))

    def load_pending(self, id: str) -> tuple[str, str] | None:
        """State and context of a pause, or None."""
        found = self._read("load_pending", (id,))
        return found[0] if found else None

    def clear_pending(self, id: str) -> None:
        """The pause is over."""
        self._write("clear_pending", (id,))

    def cell(self, name: str) -> str | None:
        """A named value, such as when a schedule last fired."""
        value: str | None = self._value("cell", (name,))
        return value

    def swap(self, name: str, old: str | None, new: str) -> bool:
        """Set a named value if it still is ``old``; whether it was."""
        if old is None:
            return self._write("new_cell", (name, new)) == 1
        return self._write("swap", (name, old, new)) == 1

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None] | None:  # noqa: ARG002 - never called
        """None: SQLite tells nothing of other processes."""
        return None

    def info(self) -> Mapping[str, Any]:
        """Kind, version and schema of what is behind it, for people."""
        return {
            "kind": "sqlite",
            "path": str(self.path),
            "schema": len(MIGRATIONS),
            "sqlite": apsw.sqlite_lib_version(),
            "synchronous": self.synchronous,
        }

    def _open_writer(self) -> apsw.Connection:
        connection = opened(self.path, self.synchronous)
        connection.set_wal_hook(self._checkpoints.committed)
        self._writer, self._appender = connection, connection.cursor()
        self._file = identity(self.path)
        return connection

    def _check_file(self) -> None:
        """Whether what is written still goes into the file of that name.

        A commit looks, and the end of a run is one; a single record does not.
        """
        if self._writer is None or identity(self.path) == self._file:
            return
        self._writer = self._reader = None
        raise gone(self.path)

    def _open_reader(self) -> apsw.Connection:
        with self._writing:
            if self._writer is None:
                self._open_writer()
        connection = connect(self.path)
        connection.execute("PRAGMA query_only = 1")
        connection.create_scalar_function("flowkit_found", _found)
        self._reader = connection
        return connection

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (apsw.Error, *BAD_VALUES) as error:
            raise fault(error, self.path) from error

    @contextmanager
    def _transaction(self) -> Iterator[apsw.Connection]:
        """The writer's connection, inside a transaction that ends with the block."""
        self._check_file()
        connection = self._writer or self._open_writer()
        with self._faults():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk has undone it already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _write(self, name: str, values: Any) -> int:
        """One statement as a commit of its own; how many rows it changed."""
        with self._writing, self._faults():
            connection = self._writer or self._open_writer()
            connection.execute(SQL[name], values)
            return connection.changes()

    def _read(
        self, name: str, values: Any = (), conditions: Sequence[str] | None = None
    ) -> list[Any]:
        sql = SQL[name]
        if conditions is not None:
            text = f"WHERE {' AND '.join(conditions)}" if conditions else ""
            sql = sql.replace("{conditions}", text)
        with self._reading, self._faults():
            connection = self._reader or self._open_reader()
            return connection.execute(sql, values).fetchall()

    def _value(self, name: str, values: Any) -> Any:
        found = self._read(name, values)
        return found[0][0] if found else None


class _Again(Exception):  # noqa: N818 - a turn of a loop, not an error
    """A move had to be undone: write the others again."""


def _conditions(query: Query) -> tuple[dict[str, Any], list[str]]:
    """What a query asks of a row: values by name, and conditions on them."""
    asked: dict[str, Any] = {
        field: value for field in _QUERY if (value := getattr(query, field)) is not None
    }
    conditions = [_QUERY[field] for field in asked]
    if query.status:
        asked["status"] = json.dumps([*query.status])
        conditions.append("status IN (SELECT value FROM json_each(:status))")
    if query.text:
        asked["text"] = query.text.casefold()
        conditions.append("flowkit_found(:text, tags, id, key, state_id, error)")
    return asked, conditions


def _dead(row: Any) -> Dead:
    return Dead(row[0], Bury(*row[1:]))


def _found(*values: Any) -> bool:
    """Whether a casefolded text is in a tag (a JSON list), or in one of the places."""
    text, tags, *places = values
    if any(text in place.casefold() for place in places if place):
        return True
    return bool(tags) and any(text in tag.casefold() for tag in json.loads(tags))


def _forked() -> None:
    """In a fork: connections and locks are the parent's; open new ones when used."""
    for store in _living:
        _lost.extend((store._writer, store._reader, store._appender))  # noqa: SLF001 - this module's own
        store._writer = store._reader = None  # noqa: SLF001 - the same
        store._writing = threading.Lock()  # noqa: SLF001 - the same
        store._reading = threading.Lock()  # noqa: SLF001 - the same
        store._checkpoints = Checkpoints(store.path)  # noqa: SLF001 - the same


os.register_at_fork(after_in_child=_forked)
