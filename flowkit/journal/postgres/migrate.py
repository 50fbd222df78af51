"""Numbered SQL files that bring a schema to what this flowkit knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from flowkit.errors import StoreError
from flowkit.journal.postgres.address import parse
from flowkit.journal.postgres.link import connect, explained, reason
from flowkit.journal.postgres.places import number
from flowkit.journal.postgres.queries import FOLDER, placed
from flowkit.journal.upgrades import upgraded

if TYPE_CHECKING:
    from flowkit.journal.postgres.address import Address
    from flowkit.journal.postgres.link import Connection

__all__ = ["known", "look", "migrate"]

LOCK = -1
"""The second number of the lock for migrations; places have 0 and up."""

TABLE = """
create table if not exists flowkit.migration (
    number integer primary key,
    name   text not null,
    at     timestamptz not null default now()
)
"""


def known() -> dict[int, tuple[str, str]]:
    """Name and text of each migration by its number."""
    files = list((FOLDER / "migrations").iterdir())
    names = sorted(each.name for each in files if each.name.endswith(".sql"))
    return {
        int(name.partition("_")[0]): (
            name,
            (FOLDER / "migrations" / name).read_text(encoding="utf-8"),
        )
        for name in names
    }


def look(url: str) -> tuple[str, int, int, str]:
    """A server as it is: URL without password, schema, newest schema, version.

    Raises:
        StoreError: there is no connection, or the schema is newer than this flowkit.
    """
    address = parse(url)
    conn = connect(address)
    try:
        number = conn.info.server_version
        version = f"{number // 10000}.{number % 10000}"
        schema, newest = _version(conn, address), max(known())
        if schema > newest:
            raise _newer(address, schema, newest)
        return address.url, schema, newest, version
    except psycopg.Error as error:
        raise explained(address, error) from error
    finally:
        conn.close()


def migrate(conn: Connection, address: Address) -> None:
    """Make the schema if it is not there, and apply what it lacks.

    One file is one transaction, under a lock, so that processes that start together
    do it once.

    Raises:
        StoreError: the schema is newer than this flowkit, or may not be made.
    """
    steps = known()
    before = None
    try:
        while (version := _version(conn, address)) != max(steps):
            if version > max(steps):
                raise _newer(address, version, max(steps))
            before = version if before is None else before
            _apply(conn, address, steps)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreError(
            f"The user {address.user!r} may not set up the schema {address.schema!r} "
            f"in database {address.database!r} at {address.host}: {reason(error)}. "
            f"Let an administrator run: CREATE SCHEMA {address.schema} AUTHORIZATION "
            f"{address.user}"
        ) from error
    except psycopg.Error as error:
        raise explained(address, error) from error
    if before:
        what = (
            f"The schema {address.schema!r} of {address.database!r} at {address.host}"
        )
        upgraded(what, before, version)


def _newer(address: Address, version: int, newest: int) -> StoreError:
    return StoreError(
        f"The schema {address.schema!r} of database {address.database!r} at "
        f"{address.host} is at version {version}, made by a newer flowkit; this one "
        f"knows versions up to {newest}. Upgrade flowkit here: pip install -U flowkit"
    )


def _version(conn: Connection, address: Address) -> int:
    """The number of the latest migration applied; 0 for none."""
    there = conn.execute(
        "select 1 from pg_tables where schemaname = %s and tablename = 'migration'",
        [address.schema],
    ).fetchone()
    if there is None:
        return 0
    latest = placed("select max(number) from flowkit.migration", address.schema)
    found = conn.execute(latest).fetchone()
    return int(found[0] or 0) if found else 0


def _apply(
    conn: Connection, address: Address, steps: dict[int, tuple[str, str]]
) -> None:
    """The next migration, unless another process has just applied it."""
    with conn.transaction():
        conn.execute(
            "select pg_advisory_xact_lock(%s, %s)", [number(address.schema), LOCK]
        )
        schema = conn.execute(
            "select 1 from pg_namespace where nspname = %s", [address.schema]
        ).fetchone()
        if schema is None:
            made = placed("create schema flowkit.", address.schema).rstrip(".")
            conn.execute(made)
        version = _version(conn, address)
        if version >= max(steps):
            return
        name, text = steps[version + 1]
        for each in (TABLE, text):
            conn.execute(placed(each, address.schema))
        note = "insert into flowkit.migration (number, name) values (%s, %s)"
        escaped = placed(note, address.schema.replace("%", "%%"))
        conn.execute(escaped, [version + 1, name])
