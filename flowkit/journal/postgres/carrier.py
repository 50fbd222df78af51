"""A caller's transaction that ends with a move: both are committed, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus

from flowkit.errors import UnknownOutcomeError
from flowkit.journal.postgres.link import connect, explained, reason, unconnected

if TYPE_CHECKING:
    from flowkit.journal.postgres.address import Address
    from flowkit.journal.postgres.store import PostgresStore
    from flowkit.journal.rows import Move, Outcome

__all__ = ["AsyncCarrier", "Carrier"]


def _unanswered(address: Address, error: psycopg.Error) -> Exception:
    """What a failed COMMIT means: refused by the server, or without an answer."""
    if error.sqlstate is not None:
        return explained(address, error)
    return UnknownOutcomeError(
        f"The connection to PostgreSQL at {address.host} was lost while a step's "
        f"transaction was committed: {reason(error)}. Its writes and its record are "
        f"both there, or both not: resume the run."
    )


class Carrier:
    """A connection with an open transaction.

    It commits statements by itself outside the transaction, so that psycopg refuses
    a ``commit`` or ``rollback`` within. ``search_path`` is the user's own.
    """

    def __init__(self, store: PostgresStore, address: Address) -> None:
        self._store = store
        self._address = address
        self.connection: psycopg.Connection[Any] | None = None
        self._transaction: Any = None

    def open(self) -> psycopg.Connection[Any]:
        """Connect and begin.

        Raises:
            StoreError: there is no connection.
        """
        made = self.connection = connect(self._address)
        made.isolation_level = IsolationLevel.READ_COMMITTED
        self._transaction = made.transaction()
        self._transaction.__enter__()
        return made

    @property
    def broken(self) -> bool:
        """Whether a statement has failed, so that nothing can be committed."""
        return _broken(self.connection)

    def write(self, move: Move, *others: Move) -> Outcome:
        """Write moves and commit; the first one's refusal takes all back.

        Raises:
            StoreError: it could not be written; says whether anything was.
        """
        assert self.connection is not None  # noqa: S101 - it was opened
        try:
            outcome = self._store.commit_on(self.connection, move)
            if not isinstance(outcome, BaseException):
                for other in others:
                    self._store.commit_on(self.connection, other)
                self._transaction.__exit__(None, None, None)
        except psycopg.Error as error:
            raise _unanswered(self._address, error) from error
        finally:
            self.roll_back()
        return outcome

    def roll_back(self) -> None:
        """Take back what was not committed; a second call does nothing."""
        if self.connection is not None:
            self.connection.close()


class AsyncCarrier:
    """As :class:`Carrier`, on an async connection; asyncio only."""

    def __init__(self, store: PostgresStore, address: Address) -> None:
        self._store = store
        self._address = address
        self.connection: psycopg.AsyncConnection[Any] | None = None
        self._transaction: Any = None

    async def open(self) -> psycopg.AsyncConnection[Any]:
        """Connect and begin.

        Raises:
            StoreError: there is no connection.
        """
        params: dict[str, Any] = dict(self._address.params)
        try:
            made = await psycopg.AsyncConnection.connect(**params, autocommit=True)
        except psycopg.Error as error:
            raise unconnected(self._address, error) from error
        self.connection = made
        await made.set_isolation_level(IsolationLevel.READ_COMMITTED)
        self._transaction = made.transaction()
        await self._transaction.__aenter__()
        return made

    @property
    def broken(self) -> bool:
        """Whether a statement has failed, so that nothing can be committed."""
        return _broken(self.connection)

    async def write(self, move: Move, *others: Move) -> Outcome:
        """As :meth:`Carrier.write`."""
        assert self.connection is not None  # noqa: S101 - it was opened
        try:
            outcome = await self._store.commit_on_async(self.connection, move)
            if not isinstance(outcome, BaseException):
                for other in others:
                    await self._store.commit_on_async(self.connection, other)
                await self._transaction.__aexit__(None, None, None)
        except psycopg.Error as error:
            raise _unanswered(self._address, error) from error
        finally:
            self.roll_back()
        return outcome

    def roll_back(self) -> None:
        """Take back what was not committed; a second call does nothing."""
        if self.connection is not None and not self.connection.closed:
            self.connection.pgconn.finish()  # what close() does, without a loop


def _broken(connection: psycopg.BaseConnection[Any] | None) -> bool:
    if connection is None or connection.closed:
        return True
    return connection.info.transaction_status != TransactionStatus.INTRANS
