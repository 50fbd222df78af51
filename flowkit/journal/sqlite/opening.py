"""Opens a database file: whose it is, its settings, its schema.

Nothing is written before the file is known to be empty or a journal of a schema
that this version knows.
"""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any, Final

import apsw

from flowkit.errors import StoreError
from flowkit.journal.sqlite.faults import PATIENCE, fault
from flowkit.journal.sqlite.queries import MIGRATIONS
from flowkit.journal.upgrades import upgraded

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["APPLICATION", "VERSION", "connect", "opened", "schema_of"]

APPLICATION: Final = 0x666C6F77
"""``flow``: says in the file's header whose it is."""

VERSION: Final = apsw.sqlite_lib_version()
"""Of the SQLite library in use."""

_PAUSE: Final = 0.01

STATEMENTS: Final = 500
"""Executions after which apsw forgets a prepared statement.

Its cache is a ring that each execution moves on, even of the same statement: with the
usual 100, a run of as many steps had ten others prepared again. A larger one is slower
to search.
"""


def connect(path: Path, synchronous: str = "full") -> apsw.Connection:
    """A connection with our settings, to a file that is known to be a journal."""
    connection = apsw.Connection(
        str(path),
        flags=apsw.SQLITE_OPEN_READWRITE,
        statementcachesize=STATEMENTS,
    )
    connection.set_busy_timeout(int(PATIENCE * 1000))
    # Plans do not depend on bound values: else most statements are prepared again
    # for each new value (measured: a run's row 43 us, with this 5 us).
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    # Checkpoints stall, so that they are made in a thread of their own.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def schema_of(path: Path) -> int:
    """The number of a file's schema, which is not changed; 0 for an empty file.

    Raises:
        StoreError: the file is no journal, or one of a newer flowkit.
    """
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(int(PATIENCE * 1000))
            return _check_file(connection, path)
        finally:
            connection.close()
    except apsw.Error as error:
        raise fault(error, path) from error


def opened(path: Path, synchronous: str) -> apsw.Connection:
    """A connection to a journal of the present schema, created if need be.

    Raises:
        StoreError: the file cannot be one, with what is wrong and the cure.
    """
    _check_place(path)
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    try:
        first = apsw.Connection(str(path), flags=flags)
        try:
            first.set_busy_timeout(int(PATIENCE * 1000))
            _check_file(first, path)
            _use_wal(first)
            _migrate(first, path)
        finally:
            first.close()
        return connect(path, synchronous)
    except apsw.Error as error:
        raise fault(error, path) from error


def _check_place(path: Path) -> None:
    try:
        missing, folder = not path.parent.is_dir(), path.is_dir()
    except OSError as error:
        raise StoreError(
            f"The journal {path} cannot be looked at: {error}. Check the rights of its "
            f"folder."
        ) from error
    if missing:
        raise StoreError(
            f"The folder {path.parent} of the journal {path.name} does not exist. "
            f"Create it, or give another place in FLOWKIT_STORE or store=."
        )
    if folder:
        raise StoreError(
            f"The journal {path} is a folder. Name a file in it, such as "
            f"{path / 'journal.db'}."
        )


def _check_file(connection: apsw.Connection, path: Path) -> int:
    """The schema's number; 0 for an empty file."""
    inside = connection.in_transaction
    if not inside:
        # One snapshot: another process may be making the schema.
        connection.execute("BEGIN")
    try:
        tables = connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        application = _pragma(connection, "application_id")
        version = _pragma(connection, "user_version")
    finally:
        if not inside and connection.in_transaction:
            connection.execute("ROLLBACK")
    if application != APPLICATION and (application or version or tables):
        raise StoreError(
            f"{path} is a SQLite database of another program. Give the store a file of "
            f"its own; nothing was changed."
        )
    if version > len(MIGRATIONS):
        raise StoreError(
            f"The journal {path} has schema {version}, written by a newer flowkit; "
            f"this one knows up to {len(MIGRATIONS)}. Upgrade flowkit, or use another "
            f"file; nothing was changed."
        )
    return version


def _use_wal(connection: apsw.Connection) -> None:
    """Write-ahead log, for good. Two processes that do it at once: one is refused."""
    tries = int(PATIENCE / _PAUSE)
    for left in range(tries, 0, -1):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except apsw.BusyError:
            if left == 1:
                raise
            Event().wait(_PAUSE)
        else:
            return


def _migrate(connection: apsw.Connection, path: Path) -> None:
    """Each missing migration in one transaction; another process may be first."""
    before, done = _check_file(connection, path), 0
    while _check_file(connection, path) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _check_file(connection, path)
            if version < len(MIGRATIONS):
                connection.execute(MIGRATIONS[version])
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
            done = max(done, version + 1)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if before and done:
        upgraded(f"The journal {path}", before, done)


def _pragma(connection: apsw.Connection, name: str) -> int:
    found: list[Any] = connection.execute(f"PRAGMA {name}").fetchall()
    return int(found[0][0])
