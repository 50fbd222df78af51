"""The store in PostgreSQL: many processes, many hosts, one journal."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg

from flowkit.errors import StoreError, UnfitError, UnknownOutcomeError
from flowkit.journal.postgres.address import parse
from flowkit.journal.postgres.asked import asked, asked_waits, fitting
from flowkit.journal.postgres.callers_transaction import commit_on, commit_on_async
from flowkit.journal.postgres.carrier import AsyncCarrier, Carrier
from flowkit.journal.postgres.ears import Ears
from flowkit.journal.postgres.group import group, letter_of, run_of
from flowkit.journal.postgres.ledger import Doubt
from flowkit.journal.postgres.link import connect, explained
from flowkit.journal.postgres.migrate import migrate
from flowkit.journal.postgres.places import number
from flowkit.journal.postgres.queries import statements
from flowkit.journal.postgres.readers import Readers
from flowkit.journal.postgres.steps import Ask, only, taking
from flowkit.journal.postgres.writer import COLLISIONS, TRIES, Writer
from flowkit.journal.queries import Failing, Figures, figured
from flowkit.journal.refusals import fenced, gap
from flowkit.journal.rows import (
    Advance,
    Begin,
    Bury,
    Dead,
    Entry,
    Hold,
    Owner,
    Wait,
    Waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowkit.journal.postgres.address import Address
    from flowkit.journal.postgres.places import Spot
    from flowkit.journal.postgres.steps import Rows, Steps
    from flowkit.journal.queries import Query
    from flowkit.journal.rows import Letter, Move, Outcome, RunRow

__all__ = ["PostgresStore"]


class PostgresStore:
    """A journal in a schema of a PostgreSQL database. See the port for its promises.

    ``commit`` and ``append`` can be repeated after an error that says "unknown
    outcome": a record or a run that this store object may have written already is
    recognized, and its move is not written twice. A repeated ``Accept`` is told
    apart by its event id: it answers ``duplicate``.

    Durable as the server is set: with ``fsync`` and ``synchronous_commit`` on, what
    was returned survives the loss of power. :meth:`info` tells both.

    Args:
        url: ``postgresql://user:password@host:port/database?schema=flowkit``. The
            schema is made if it is not there; the rest of the query is libpq's.
        readers: connections for reads at a time, beside the one that writes.

    Raises:
        StoreError: no connection, a schema that cannot be set up or is newer.
    """

    durable = True
    remote = True

    def __init__(self, url: str, *, readers: int = 4) -> None:
        self._address: Address = parse(url)
        self.url: str = self._address.url
        schema = self._address.schema
        self._sql = statements(schema)
        self._space = number(schema)
        self._doubt = Doubt(set(), set())
        self._ears: set[Ears] = set()
        self._ears_lock = threading.Lock()
        self._lower = self._set_up()
        self._writer = Writer(self._address)
        self._readers = Readers(self._address, readers)

    def __repr__(self) -> str:
        return f"<PostgresStore {self.url}>"

    def _set_up(self) -> str:
        """Migrate; gives how this server spells lower case for every letter."""
        conn = connect(self._address)
        try:
            migrate(conn, self._address)
            ((icu,),) = conn.execute(self._sql["has_icu"]).fetchall()
        except psycopg.Error as error:
            raise explained(self._address, error) from error
        finally:
            conn.close()
        return 'lower({} collate "und-x-icu")' if icu else "lower({})"

    def close(self) -> None:
        """Give up all connections; a second call does nothing."""
        with self._ears_lock:
            ears, self._ears = self._ears, set()
        for each in ears:
            each.close()
        self._writer.close()
        self._readers.close()

    def append(self, hold: Hold, entry: Entry) -> None:
        """One record, in one statement and one round trip."""
        params = {**hold._asdict(), **entry._asdict()}
        doubted = (hold.n, entry.seq) in self._doubt.records
        with self._writer.lock:
            lost = 0
            for _ in range(TRIES):
                try:
                    written = bool(self._writer.single(Ask("append", params)))
                except COLLISIONS:
                    written = False
                except (psycopg.Error, UnicodeEncodeError) as error:
                    if self._writer.connected:
                        raise explained(self._address, error) from error
                    self._doubt.records.add((hold.n, entry.seq))
                    lost += 1
                    if lost > 1:
                        raise self._writer.unknown(error) from error
                    self._reconnect(error)
                    continue
                if written or self._is_written(hold, entry):
                    if lost or doubted:
                        self._doubt.records.discard((hold.n, entry.seq))
                    return
        raise StoreError(
            f"Record {entry.seq} of run number {hold.n} met another writer's {TRIES} "
            f"times. Nothing was written; two processes use one hold: each must claim "
            f"the run."
        )

    def _reconnect(self, error: BaseException) -> None:
        try:
            self._writer.transact(lambda _: taking())
        except StoreError as cause:
            raise self._writer.unknown(error) from cause

    def _is_written(self, hold: Hold, entry: Entry) -> bool:
        """Why an append wrote nothing. True: it was written before; False: try again.

        Raises:
            FencedError: another owner has the run.
            StoreError: the record does not follow.
        """
        key = {"runs": [hold.n], "seqs": [entry.seq]}
        asks = (Ask("fence", {"n": hold.n}), Ask("written", key))
        found, written = self._writer.transact(lambda _: taking(*asks))
        if not found:
            raise fenced(None, hold, None)
        id, fence, latest = found[0]
        if fence != hold.fence:
            raise fenced(id, hold, fence)
        doubted = (hold.n, entry.seq) in self._doubt.records
        if doubted and written and Entry(*written[0][1:]) == entry:
            return True
        if entry.seq != (latest or 0) + 1:
            raise gap(id, entry.seq, latest or 0)
        return False

    def commit(self, moves: Sequence[Move]) -> list[Outcome]:
        """Many moves in one transaction and at most four round trips.

        A move that PostgreSQL cannot hold, such as text with a NUL, is refused by
        itself: then each move of the call is a transaction of its own.
        """
        moves = list(moves)
        if not moves:
            return []
        try:
            outcomes = self._writer.transact(lambda known: self._group(moves, known))
        except UnknownOutcomeError:
            self._note(moves, self._doubt.records.add, self._doubt.runs.add)
            raise
        except UnfitError as error:
            if len(moves) == 1:
                return [error]
            return [self._alone(move) for move in moves]
        if self._doubt.records or self._doubt.runs:
            self._note(moves, self._doubt.records.discard, self._doubt.runs.discard)
        return outcomes

    def _alone(self, move: Move) -> Outcome:
        try:
            return self.commit([move])[0]
        except StoreError as error:
            return error

    def _group(
        self, moves: Sequence[Move], known: frozenset[Spot]
    ) -> Steps[list[Outcome]]:
        return group(
            moves,
            space=self._space,
            channel=self._address.schema,
            doubt=self._doubt,
            known=known,
        )

    def _note(
        self,
        moves: Sequence[Move],
        record: Callable[[tuple[int, int]], None],
        run: Callable[[str], None],
    ) -> None:
        for move in moves:
            if isinstance(move, Advance):
                for entry in move.entries:
                    record((move.hold.n, entry.seq))
            elif isinstance(move, Begin):
                run(move.run.id)

    def commit_on(self, connection: psycopg.Connection[Any], move: Move) -> Outcome:
        """Write a move inside a transaction that the caller has open.

        It is durable when the caller commits, and gone if the caller rolls back. A
        refused move leaves the transaction usable. The rows and places it touches
        stay locked until then: commit soon.

        Raises:
            StoreError: it could not be written; nothing of the move was.
        """
        return commit_on(
            connection,
            lambda known: self._group([move], known),
            self._sql,
            self._address,
        )

    async def commit_on_async(
        self, connection: psycopg.AsyncConnection[Any], move: Move
    ) -> Outcome:
        """As :meth:`commit_on`, on an async connection."""
        return await commit_on_async(
            connection,
            lambda known: self._group([move], known),
            self._sql,
            self._address,
        )

    def carrier(self) -> Carrier:
        """For a transaction of a step that ends with the step's own move."""
        return Carrier(self, self._address)

    def carrier_async(self) -> AsyncCarrier:
        """As :meth:`carrier`, on an async connection."""
        return AsyncCarrier(self, self._address)

    def beat(self, owner: Owner) -> None:
        """Say that a process is alive until ``owner.until``."""
        self._write("beat", **owner._asdict())

    def retire(self, owner: str) -> None:
        """A process ends in good order: its runs may be claimed at once."""
        self._write("retire", id=owner)

    def owners(self) -> list[Owner]:
        """Every process that said it is alive, also those whose time is over."""
        return [Owner(*row) for row in self._read("owners")]

    def claim(
        self, run: str, owner: str, at: float, dead: Sequence[str] = ()
    ) -> tuple[RunRow, Hold] | None:
        """Take a run over, raising its fence; None if a living owner has it.

        Raises:
            KeyError: no such run.
        """
        params = {"id": run, "owner": owner, "at": at, "dead": list(dead)}
        asks = (Ask("claim", params), Ask("by_id", {"id": run}))
        claimed, rows = self._take(*asks)
        if not rows:
            raise KeyError(run)
        if not claimed:
            return None
        row = run_of(rows[0])
        return row, Hold(row.n, row.fence)

    def claimable(
        self,
        at: float,
        flows: Sequence[str],
        *,
        dead: Sequence[str] = (),
        limit: int = 100,
    ) -> list[str]:
        """Ids of runs to go on with, oldest first."""
        rows = self._read(
            "claimable",
            at=at,
            flows=list(flows),
            dead=list(dead),
            limit=_limit(limit),
        )
        return [id for (id,) in rows]

    def next_due(self, flows: Sequence[str]) -> float | None:
        """The earliest ``due`` of a waiting run of these flows, or None."""
        ((due,),) = self._read("next_due", flows=list(flows))
        return due  # type: ignore[no-any-return]  # a double or null

    def run(self, run: str) -> RunRow | None:
        """One run by its id."""
        return next(map(run_of, self._read("by_id", id=run)), None)

    def by_state(self, flow: str | None, state_id: str) -> RunRow | None:
        """The newest run with that state id."""
        rows = self._read("by_state", flow=flow, state_id=state_id)
        return next(map(run_of, rows), None)

    def entries(self, run: str, since: int = 0, limit: int = -1) -> list[Entry]:
        """A run's records after number ``since``, in order."""
        rows = self._read("entries", id=run, since=since, limit=_limit(limit))
        return [Entry(*row) for row in rows]

    def letters(self, run: str) -> list[Letter]:
        """What is in a run's inbox and not consumed, oldest first."""
        return [letter_of(row) for row in self._read("letters", id=run)]

    def runs(self, query: Query) -> list[RunRow]:
        """Runs, newest first."""
        where, params = asked(query, self._address.schema, self._lower)
        rows = self._readers.read(f"{self._sql['runs']}\n{where}", params)
        return [run_of(row) for row in rows]

    def figures(self, query: Query, target: float | None = None) -> list[Figures]:
        """Counts and durations of the runs that fit, by flow and status."""
        rows = self._fitting("figures", query, {"target": target})
        return [figured(*row) for row in rows]

    def failing(self, query: Query) -> list[Failing]:
        """Errors of the runs that fit, the most frequent first."""
        return [Failing(*row) for row in self._fitting("failing", query, {})]

    def _fitting(self, name: str, query: Query, more: dict[str, Any]) -> Rows:
        where, params = fitting(query, self._address.schema, self._lower)
        text = self._sql[name].replace("{conditions}", where)
        return self._readers.read(text, {**params, **more})

    def ids(self, prefix: str, limit: int = 2) -> list[str]:
        """Ids that begin with a prefix, in order."""
        past = prefix + chr(0x10FFFF)
        rows = self._read("ids", prefix=prefix, past=past, limit=_limit(limit))
        return [id for (id,) in rows]

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
        """What runs wait for, oldest first; what is not given does not restrict."""
        where, params = asked_waits(
            {"name": name, "key": key, "kind": kind, "token": token}, run
        )
        text = f"{self._sql['waits']}\n{where}"
        rows = self._readers.read(text, {**params, "limit": _limit(limit)})
        return [
            Waiting(id, flow, Wait(*wait), since) for id, flow, *wait, since in rows
        ]

    def graph(self, digest: str) -> str | None:
        """The definition of that hash, as JSON text."""
        return _first(self._read("graph", digest=digest))

    def subscribers(self, name: str) -> list[str]:
        """Flows with a run that waits for events of this name."""
        return [flow for (flow,) in self._read("subscribers", name=name)]

    def seen(self, event: str) -> bool:
        """Whether this event id was accepted before."""
        return bool(self._read("seen", id=event))

    def kept(self, subscriber: str | None = None) -> list[Letter]:
        """Letters that no run has taken and no handler has done, oldest first."""
        return [letter_of(row) for row in self._read("kept", subscriber=subscriber)]

    def done(self, letter: int) -> None:
        """A handler has done its letter."""
        self._write("done", number=letter)

    def dead(self, *, limit: int = 100, name: str | None = None) -> list[Dead]:
        """Dead letters, oldest first."""
        return [
            _dead(row) for row in self._read("dead", name=name, limit=_limit(limit))
        ]

    def undead(self, number: int) -> Dead | None:
        """Take one out of the dead letters; None if it is not there."""
        (rows,) = self._take(Ask("undead", {"number": number}))
        return next(map(_dead, rows), None)

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
        _, rows = self._take(
            Ask("forget_events", {"before": events_before}),
            Ask(
                "forget_kept",
                {"before": kept_before, "most": most_kept, "at": at, "reason": reason},
            ),
        )
        return [letter_of(row) for row in rows]

    def purge(self, runs: Sequence[str]) -> int:
        """Delete runs that are over with all that belongs to them; how many."""
        (((count,),),) = self._take(Ask("purge", {"ids": list(runs)}))
        return int(count)

    def save_state(self, id: str, method: str, state: str, at: float) -> None:
        """The latest state a persisted method left under an id."""
        self._write("save_state", id=id, method=method, state=state, at=at)

    def load_state(self, id: str) -> str | None:
        """What was saved last under that id."""
        return _first(self._read("load_state", id=id))

    def save_pending(self, id: str, context: str, state: str, at: float) -> None:
        """A pause for feedback: one an id, the last saved."""
        self._write("save_pending", id=id, context=context, state=state, at=at)

    def load_pending(self, id: str) -> tuple[str, str] | None:
        """State and context of a pause, or None."""
        rows = self._read("load_pending", id=id)
        return (rows[0][0], rows[0][1]) if rows else None

    def clear_pending(self, id: str) -> None:
        """The pause is over."""
        self._write("clear_pending", id=id)

    def cell(self, name: str) -> str | None:
        """A named value, such as when a schedule last fired."""
        return _first(self._read("cell", name=name))

    def swap(self, name: str, old: str | None, new: str) -> bool:
        """Set a named value if it still is ``old``; whether it was."""
        query = "swap_new" if old is None else "swap_old"
        (rows,) = self._take(Ask(query, {"name": name, "old": old, "new": new}))
        return bool(rows)

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """Call ``heard(run_id)`` when another store object hands a run a letter.

        In a daemon thread with a connection of its own, which is made again when it
        is lost; what is said meanwhile is not heard. Gives a function that ends it.
        """
        ears = Ears(
            self._address,
            self._address.schema,
            heard,
            lambda pid: pid == self._writer.pid,
        )
        with self._ears_lock:
            self._ears.add(ears)

        def end() -> None:
            with self._ears_lock:
                self._ears.discard(ears)
            ears.close()

        return end

    def info(self) -> Mapping[str, Any]:
        """Kind, version and schema of what is behind it, and how durable it is."""
        ((version, database, user, fsync, synchronous, migration),) = self._read(
            "server"
        )
        return {
            "kind": "postgres",
            "url": self.url,
            "version": version,
            "database": database,
            "user": user,
            "schema": self._address.schema,
            "schema_version": migration,
            "fsync": fsync,
            "synchronous_commit": synchronous,
        }

    def _read(self, query: str, **params: Any) -> Rows:
        return self._readers.read(self._sql[query], params)

    def _write(self, query: str, **params: Any) -> None:
        self._writer.transact(lambda _: only(query, **params))

    def _take(self, *asks: Ask) -> list[Rows]:
        return self._writer.transact(lambda _: taking(*asks))


def _limit(limit: int) -> int | None:
    """Below 0 stands for all, which SQL calls null."""
    return None if limit < 0 else limit


def _first(rows: Rows) -> str | None:
    return rows[0][0] if rows else None


def _dead(row: Sequence[Any]) -> Dead:
    return Dead(row[0], Bury(*row[1:]))
