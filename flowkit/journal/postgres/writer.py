"""The one connection that writes, and what it does when it is lost."""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import errors

from flowkit.errors import StoreError, UnknownOutcomeError
from flowkit.journal.postgres.link import (
    connect,
    explained,
    is_lost,
    reason,
    send,
)
from flowkit.journal.postgres.queries import statements
from flowkit.journal.postgres.steps import Again, Ask, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.journal.postgres.address import Address
    from flowkit.journal.postgres.link import Connection
    from flowkit.journal.postgres.places import Spot
    from flowkit.journal.postgres.steps import Rows, Steps

__all__ = ["COLLISIONS", "Writer", "step"]

T = TypeVar("T")

TRIES = 20
"""For transactions that collide with another process's. Each time one gets through."""

PATIENCE = "10s"
"""For the end of a lost connection's transaction on the server."""

COLLISIONS = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.UniqueViolation,
)
"""Another process was at the same rows; nothing was written, a repeat sees its work."""


def step(steps: Steps[T], rows: list[Rows] | None) -> tuple[Stage | None, T | None]:
    """The next stage of a write, or None and its outcome."""
    try:
        return (next(steps) if rows is None else steps.send(rows)), None
    except StopIteration as stop:
        return None, stop.value


@dataclass
class _Try:
    """How far a transaction has come. ``sent``: the commit is under way."""

    serial: int = 0
    sent: bool = False


class Writer:
    """Runs transactions one after another on a connection of its own.

    A lost connection is made again: a transaction whose commit was not yet sent is
    repeated; of one whose commit was under way the server is asked what became of
    it. Only when it cannot be asked is the outcome unknown, and the error says so.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.lock: Any = threading.RLock()
        self.pid: int = 0
        self._sql = statements(address.schema)
        self._id = uuid.uuid4().hex
        self._serial = 0
        self._conn: Connection | None = None
        self._backend: tuple[int, str] | None = None
        self._signed = False
        self._closed = False

    def close(self) -> None:
        """Give the connection up; a second call does nothing."""
        with self.lock:
            self._closed = True
            if self._conn is not None and self._signed:
                with suppress(psycopg.Error):  # the row is deleted after a month
                    self._send([Ask("sign_out", {"id": self._id})])
            self._drop()

    def transact(self, make: Callable[[frozenset[Spot]], Steps[T]]) -> T:
        """Carry a write out in a transaction.

        Args:
            make: the write, from the places that a former try found to matter.

        Raises:
            StoreError: it failed; says whether it may have been written.
        """
        known: frozenset[Spot] = frozenset()
        with self.lock:
            lost: BaseException | None = None
            collision: BaseException = RuntimeError("waits changed each time")
            for _ in range(TRIES):
                conn = self._connection(lost)
                attempt = _Try()
                steps = make(known)
                try:
                    return self._drive(steps, attempt)
                except Again as again:
                    known |= again.spots
                    self._roll_back(conn)
                except (psycopg.Error, UnicodeEncodeError) as error:
                    if is_lost(conn, error):
                        self._drop()
                        if attempt.sent and self._was_committed(attempt, error):
                            _, outcome = step(steps, [])
                            return outcome  # type: ignore[return-value]  # the last stage was out
                        if lost is not None:
                            raise self.gone(error) from error
                        lost = error
                        continue
                    self._roll_back(conn)
                    if not isinstance(error, COLLISIONS):
                        raise explained(self.address, error) from error
                    collision = error
                except BaseException:  # KeyboardInterrupt in the middle of an answer
                    self._drop()
                    raise
            raise explained(self.address, collision) from collision

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as this process knows."""
        return self._conn is not None

    def single(self, ask: Ask) -> int:
        """One statement as a transaction of its own; how many rows it wrote.

        Raises:
            psycopg.Error: as it came; whether the connection is lost with it, says
                ``connected``. The next call makes it again.
            StoreError: there is no connection.
        """
        with self.lock:
            conn = self._connection(None)
            try:
                return conn.execute(self._sql[ask.query], ask.params).rowcount
            except psycopg.Error as error:
                if is_lost(conn, error):
                    self._drop()
                raise
            except UnicodeEncodeError:
                raise
            except BaseException:
                self._drop()
                raise

    def unknown(self, error: BaseException) -> UnknownOutcomeError:
        """A commit was under way and nobody can say what became of it."""
        return UnknownOutcomeError(
            f"The connection to PostgreSQL at {self.address.host} was lost while a "
            f"commit was under way: {reason(error)}. Unknown outcome: it may have "
            f"been written. Repeat the call: it connects again, and what was written "
            f"is not written twice."
        )

    def gone(self, error: BaseException) -> StoreError:
        """The connection was lost before the commit."""
        return StoreError(
            f"The connection to PostgreSQL at {self.address.host} was lost: "
            f"{reason(error)}. Nothing was written; the next call connects again."
        )

    def _drive(self, steps: Steps[T], attempt: _Try) -> T:
        rows: list[Rows] | None = None
        begun = False
        while True:
            stage, outcome = step(steps, rows)
            if stage is None:
                return outcome  # type: ignore[return-value]  # no stage, so an outcome
            asks = list(stage.asks)
            if not begun:
                self._serial += 1
                attempt.serial = self._serial
                mark = Ask("mark", {"id": self._id, "serial": self._serial})
                asks = [Ask("begin"), mark, *asks]
            if stage.last:
                asks.append(Ask("commit"))
                attempt.sent = True
            rows = self._send(asks)
            rows = rows[2 * (not begun) : len(rows) - stage.last]
            begun = True

    def _send(self, asks: list[Ask]) -> list[Rows]:
        assert self._conn is not None  # noqa: S101 - for the type checker
        return send(self._conn, [(self._sql[each.query], each.params) for each in asks])

    def _connection(self, lost: BaseException | None) -> Connection:
        if self._closed:
            raise StoreError(
                f"The store {self.address.url} is closed. Open it again to use it."
            )
        if self._conn is None:
            try:
                self._conn = connect(self.address)
                self.pid = self._conn.info.backend_pid
                self._sign_in()
            except psycopg.Error as error:
                self._drop()
                raise explained(self.address, error) from error
            except StoreError as error:
                if lost is not None:
                    raise self.gone(lost) from error
                raise
        return self._conn

    def _sign_in(self) -> None:
        """Make the row to mark; end what a lost connection has left at work."""
        asks = [Ask("backend"), Ask("sign_in", {"id": self._id})]
        if self._backend is not None:
            pid, started = self._backend
            asks.insert(0, Ask("end_backend", {"pid": pid, "started": started}))
        *_, ((pid, started),), _ = self._send(asks)
        self._backend = pid, started
        self._signed = True

    def _was_committed(self, attempt: _Try, error: BaseException) -> bool:
        """What became of a transaction whose commit was under way."""
        try:
            self._connection(None)
            _, marked, _ = self._send(
                [
                    Ask("patience", {"seconds": PATIENCE}),
                    Ask("marked", {"id": self._id}),
                    Ask("patience", {"seconds": "0"}),
                ]
            )
        except (psycopg.Error, StoreError) as cause:
            self._drop()
            raise self.unknown(error) from cause
        return bool(marked) and marked[0][0] == attempt.serial

    def _roll_back(self, conn: Connection) -> None:
        try:
            conn.rollback()
        except psycopg.Error:
            self._drop()

    def _drop(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None
