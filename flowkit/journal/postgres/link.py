"""Connections to a server, and what their errors mean for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors

from flowkit.errors import StoreError, UnfitError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowkit.journal.postgres.address import Address
    from flowkit.journal.postgres.steps import Rows

    Connection = psycopg.Connection[tuple[Any, ...]]

__all__ = [
    "OLDEST",
    "connect",
    "explained",
    "is_lost",
    "reason",
    "send",
    "unconnected",
    "unfit",
]

OLDEST = 130000
"""The oldest server known to work, as PostgreSQL writes its version."""


def connect(address: Address) -> Connection:
    """A connection that commits each statement by itself.

    Raises:
        StoreError: there is none; says why and what to do.
    """
    params: dict[str, Any] = dict(address.params)
    try:
        made: Connection = psycopg.connect(**params, autocommit=True)
    except psycopg.Error as error:
        raise unconnected(address, error) from error
    if made.info.server_version < OLDEST:
        version = made.info.server_version // 10000
        made.close()
        raise StoreError(
            f"The server at {address.host} is PostgreSQL {version}; flowkit needs "
            f"{OLDEST // 10000} or newer. Upgrade it, or use another server."
        )
    return made


def send(conn: Connection, asks: Iterable[tuple[str, Any]]) -> list[Rows]:
    """Statements in one round trip; the rows of each."""
    with conn.pipeline():
        cursors = [conn.execute(text, params) for text, params in asks]
    return [cursor.fetchall() if cursor.description else [] for cursor in cursors]


def is_lost(conn: Connection, error: BaseException) -> bool:
    """Whether the connection is gone, not just this statement.

    One that cannot leave a pipeline was lost in the middle of it.
    """
    gone = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)
    if conn.closed or conn.broken or isinstance(error, gone):
        return True
    return "pipeline mode" in str(error)


def unfit(error: BaseException) -> bool:
    """Whether what was to be written is at fault."""
    kinds = (
        psycopg.DataError,
        psycopg.IntegrityError,
        errors.ProgramLimitExceeded,
        UnicodeEncodeError,
    )
    return isinstance(error, kinds)


def reason(error: BaseException) -> str:
    """What the server or the network said, in one line."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if " failed: " in line] or lines[:1]
    text = told[-1].rpartition(" failed: ")[2] if told else type(error).__name__
    return text.removeprefix("FATAL:").strip().rstrip(".")


def unconnected(address: Address, error: psycopg.Error) -> StoreError:
    """Why there is no connection, and what to do."""
    why = reason(error)
    if "password" in why or "authentication" in why or why.startswith("role "):
        return StoreError(
            f"PostgreSQL at {address.host} refuses the user {address.user!r}: {why}. "
            f"Correct user and password in the store's URL, or give the password in "
            f"PGPASSWORD or ~/.pgpass."
        )
    if why.startswith("database "):
        return StoreError(
            f"PostgreSQL at {address.host} has no database for this store: {why}. "
            f"Create it (createdb {address.database}), or correct the store's URL."
        )
    if "the database system is" in why:
        return StoreError(
            f"PostgreSQL at {address.host} takes no connections now: {why}. Nothing "
            f"was written; try again when it has started."
        )
    return StoreError(
        f"No PostgreSQL server answers at {address.host}: {why}. Start it, or correct "
        f"host and port in the store's URL."
    )


def explained(address: Address, error: BaseException) -> StoreError:
    """What a refused statement means. Nothing of its transaction was written."""
    where = f"PostgreSQL at {address.host}"
    why = reason(error)
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return StoreError(
            f"{where} writes nothing to the database {address.database!r}: {why}. "
            f"Use the primary server, and a user whose default_transaction_read_only "
            f"is off."
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreError(
            f"{where} does not let the user {address.user!r} work in the schema "
            f"{address.schema!r}: {why}. Nothing was written; let an administrator "
            f"make that user the owner of the schema and its tables."
        )
    if unfit(error):
        return UnfitError(
            f"{where} cannot hold what was to be written: {why}. Nothing was "
            f"written; text may hold neither NUL nor a lone half of a surrogate "
            f"pair, and a name, key or id at most 2,000 bytes."
        )
    return StoreError(f"{where} refused a statement: {why}. Nothing was written.")
