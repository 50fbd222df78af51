"""What a store is and whether its schema is up to date, without changing it.

To open a store brings its schema up to date; here it is only looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from flowkit.errors import MissingExtraError, StoreError
from flowkit.journal.urls import default_url, unknown_kind

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Examined", "examine"]


@dataclass(frozen=True, slots=True)
class Examined:
    """What is behind a store's URL.

    Attributes:
        url: without a password.
        kind: ``sqlite``, ``postgres`` or ``memory``.
        exists: whether there is a schema already; else the first use makes it.
        schema: number of the latest migration that was applied; 0 for none.
        newest: number of the latest one that this flowkit knows.
        version: of SQLite, or of the server.
        size: bytes of the file, with its log; None for a server.
    """

    url: str
    kind: str
    exists: bool
    schema: int
    newest: int
    version: str
    size: int | None

    @property
    def pending(self) -> int:
        """How many migrations the next use applies."""
        return self.newest - self.schema


def examine(url: str | None = None) -> Examined:
    """Look at a store without opening it for use; nothing is created or migrated.

    Args:
        url: the default one if None.

    Raises:
        StoreError: no such kind of store, or it cannot be looked at.
        MissingExtraError: what it needs is not installed.
    """
    asked = default_url() if url is None else url
    scheme = asked.partition(":")[0]
    look = _KINDS.get(scheme)
    if look is None:
        raise StoreError(unknown_kind(scheme))
    return look(asked)


def _memory(url: str) -> Examined:
    return Examined(url, "memory", exists=True, schema=0, newest=0, version="", size=0)


def _sqlite(url: str) -> Examined:
    from flowkit.journal.sqlite import opening
    from flowkit.journal.sqlite.queries import MIGRATIONS

    path = Path(unquote(urlsplit(url).path)[1:]).absolute()
    exists, schema = path.is_file(), 0
    size = 0
    if exists:
        schema = opening.schema_of(path)
        beside = [path, path.with_name(f"{path.name}-wal")]
        size = sum(each.stat().st_size for each in beside if each.exists())
    return Examined(
        f"sqlite:///{path}",
        "sqlite",
        exists and schema > 0,
        schema,
        len(MIGRATIONS),
        opening.VERSION,
        size,
    )


def _postgres(url: str) -> Examined:
    try:
        from flowkit.journal.postgres.migrate import look
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"psycopg", "psycopg_pool"}:
            raise
        raise MissingExtraError("PostgreSQL", "postgres") from error
    shown, schema, newest, version = look(url)
    return Examined(shown, "postgres", schema > 0, schema, newest, version, None)


_KINDS: Final[dict[str, Callable[[str], Examined]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgres": _postgres,
    "postgresql": _postgres,
}
