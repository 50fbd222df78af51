"""A move on a caller's connection, inside the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from flowkit.errors import StoreError
from flowkit.journal.postgres.link import explained
from flowkit.journal.postgres.steps import Again
from flowkit.journal.postgres.writer import COLLISIONS, TRIES, step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowkit.journal.postgres.address import Address
    from flowkit.journal.postgres.places import Spot
    from flowkit.journal.postgres.steps import Rows, Steps
    from flowkit.journal.rows import Outcome

    Make = Callable[[frozenset[Spot]], Steps[list[Outcome]]]

__all__ = ["commit_on", "commit_on_async"]

T = TypeVar("T")

ISOLATION = "select current_setting('transaction_isolation')"


class _Tries:
    """Repeats a write that met another process, knowing more each time."""

    def __init__(self, make: Make, address: Address) -> None:
        self._make = make
        self._address = address
        self._known: frozenset[Spot] = frozenset()
        self._left = TRIES

    def steps(self) -> Steps[list[Outcome]]:
        """The write from its beginning."""
        self._left -= 1
        return self._make(self._known)

    def failed(self, error: BaseException) -> None:
        """Raise what this failure means, unless another try may help."""
        if isinstance(error, Again):
            self._known |= error.spots
        elif not isinstance(error, COLLISIONS):
            raise explained(self._address, error) from error
        if self._left <= 0:
            raise explained(self._address, error) from error


def _check_open(connection: psycopg.BaseConnection[Any]) -> None:
    status = connection.info.transaction_status
    if status != TransactionStatus.INTRANS:
        raise StoreError(
            f"The connection given for a move has no open transaction (its state is "
            f"{status.name}). Nothing was written; call it inside "
            f"'with connection.transaction():'."
        )


def _check_isolation(level: str) -> None:
    """A fixed snapshot would not see the events and waits of other processes."""
    if level != "read committed":
        raise StoreError(
            f"The transaction given for a move is {level}. Nothing was written; "
            f"matching events and waits needs read committed, PostgreSQL's default."
        )


FAILURES = (Again, psycopg.Error, UnicodeEncodeError)


def commit_on(
    connection: psycopg.Connection[Any],
    make: Make,
    sql: Mapping[str, str],
    address: Address,
) -> Outcome:
    """Carry a write out in the open transaction of a connection."""
    _check_open(connection)
    tries = _Tries(make, address)
    while True:
        try:
            with (
                connection.transaction(),
                connection.cursor(row_factory=tuple_row) as cursor,
            ):
                ((level,),) = cursor.execute(ISOLATION).fetchall()
                _check_isolation(level)
                return _carried(tries.steps(), cursor, sql)
        except FAILURES as error:
            tries.failed(error)


def _carried(
    steps: Steps[list[Outcome]],
    cursor: psycopg.Cursor[tuple[Any, ...]],
    sql: Mapping[str, str],
) -> Outcome:
    rows: list[Rows] | None = None
    while True:
        stage, outcome = step(steps, rows)
        if stage is None:
            return (outcome or [])[0]
        rows = []
        for ask in stage.asks:
            cursor.execute(sql[ask.query], ask.params)
            rows.append(cursor.fetchall() if cursor.description else [])


async def commit_on_async(
    connection: psycopg.AsyncConnection[Any],
    make: Make,
    sql: Mapping[str, str],
    address: Address,
) -> Outcome:
    """As :func:`commit_on`, on an async connection."""
    _check_open(connection)
    tries = _Tries(make, address)
    while True:
        try:
            async with (
                connection.transaction(),
                connection.cursor(row_factory=tuple_row) as cursor,
            ):
                ((level,),) = await (await cursor.execute(ISOLATION)).fetchall()
                _check_isolation(level)
                return await _carried_async(tries.steps(), cursor, sql)
        except FAILURES as error:
            tries.failed(error)


async def _carried_async(
    steps: Steps[list[Outcome]],
    cursor: psycopg.AsyncCursor[tuple[Any, ...]],
    sql: Mapping[str, str],
) -> Outcome:
    rows: list[Rows] | None = None
    while True:
        stage, outcome = step(steps, rows)
        if stage is None:
            return (outcome or [])[0]
        rows = []
        for ask in stage.asks:
            await cursor.execute(sql[ask.query], ask.params)
            rows.append(await cursor.fetchall() if cursor.description else [])
