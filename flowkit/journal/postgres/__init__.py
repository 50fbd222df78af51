"""The PostgreSQL store, for many processes on many hosts. Needs ``flowkit[postgres]``.

Raises:
    MissingExtraError: psycopg 3 is not installed.
"""

from __future__ import annotations

from importlib.util import find_spec

from flowkit.errors import MissingExtraError

if find_spec("psycopg") is None:
    raise MissingExtraError("The PostgreSQL store", "postgres")

from flowkit.journal.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
