"""Which store a URL means, and where the default one is.

A store is shared within a process: the same place gives the same object for as long
as anybody holds it (a weak registry, no counting). ``close`` gives up connections
for all who share it.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit
from weakref import WeakValueDictionary

from flowkit.core.validate import closest
from flowkit.errors import MissingExtraError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.journal.base import Store

__all__ = ["default_url", "open_store", "unknown_kind"]

FOLDER: Final = ".flowkit"
SYNCHRONOUS: Final = frozenset({"full", "normal"})

_shared: WeakValueDictionary[str, Store] = WeakValueDictionary()
_asked: WeakValueDictionary[tuple[str, str], Store] = WeakValueDictionary()
_lock = threading.Lock()


def default_url() -> str:
    """Where a durable flow is kept if nobody says where.

    ``FLOWKIT_STORE``, else ``.flowkit/journal.db`` in the nearest folder above the
    working directory that has a ``pyproject.toml`` or ``.git``, else in it.
    """
    return os.environ.get("FLOWKIT_STORE") or f"sqlite:///{_default_path()}"


def open_store(url: str | None = None) -> Store:
    """The store of a URL: ``sqlite:///relative.db``, ``sqlite:////absolute.db``.

    ``?synchronous=normal`` makes SQLite's commits faster, and the latest ones may be
    gone after a power failure. ``memory:`` (or ``memory:name``) is one of this
    process, ``postgresql://...`` one for many machines.

    Args:
        url: the default one if None.

    Raises:
        StoreError: there is no such kind of store, or it cannot be opened.
        MissingExtraError: what it needs is not installed.
    """
    asked = default_url() if url is None else url
    here = asked, os.getcwd()  # noqa: PTH109 - a relative path is meant from here
    known = _asked.get(here)
    if known is not None:
        return known
    scheme = asked.partition(":")[0]
    kind = _KINDS.get(scheme)
    if kind is None or ":" not in asked:
        raise StoreError(unknown_kind(scheme))
    place, make = kind(asked)
    with _lock:
        store = _shared.get(place)
        if store is None:
            store = make()
            _shared[place] = store
        _asked[here] = store
        return store


Kind = tuple[str, "Callable[[], Store]"]


def _memory(url: str) -> Kind:
    def make() -> Store:
        from flowkit.journal.memory import MemoryStore

        return MemoryStore(url)

    return url, make


def _sqlite(url: str) -> Kind:
    parts = urlsplit(url)
    name = unquote(parts.path)[1:]
    if parts.netloc or not name or name == ":memory:":
        raise StoreError(
            f"The store {url!r} names no file. Write sqlite:///journal.db, or "
            f"sqlite:////srv/journal.db for an absolute path; memory: is a store "
            f"without a file."
        )
    synchronous = _synchronous(url, parts.query)
    path = Path(name).absolute()

    def make() -> Store:
        from flowkit.journal.sqlite.store import SqliteStore

        if path == _default_path():
            _create(path.parent)
        return SqliteStore(path, synchronous=synchronous)

    return f"sqlite:///{path.resolve()}?synchronous={synchronous}", make


def _synchronous(url: str, query: str) -> str:
    options = dict(parse_qsl(query, keep_blank_values=True))
    value = options.pop("synchronous", "full").lower()
    if options:
        unknown = next(iter(options))
        raise StoreError(
            f"The store {url!r} has an option {unknown!r} that SQLite stores do not "
            f"know. Only ?synchronous=full or ?synchronous=normal can be given."
        )
    if value not in SYNCHRONOUS:
        raise StoreError(
            f"The store {url!r} asks for synchronous={value!r}. Give full (the "
            f"default) or normal."
        )
    return value


def _postgres(url: str) -> Kind:
    def make() -> Store:
        try:
            from flowkit.journal.postgres.store import PostgresStore
        except ImportError as error:
            if (error.name or "").partition(".")[0] not in {"psycopg", "psycopg_pool"}:
                raise
            raise MissingExtraError("PostgreSQL", "postgres") from error
        return PostgresStore(url)

    return url, make


_KINDS: Final[dict[str, Callable[[str], Kind]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgres": _postgres,
    "postgresql": _postgres,
}


def unknown_kind(scheme: str) -> str:
    """One sentence on a scheme; the URL may have a password, so it is not shown."""
    guess = closest(scheme, frozenset(_KINDS))
    hint = f"Did you mean {guess!r}? " if guess else ""
    return (
        f"There is no store of the kind {scheme!r}. {hint}Write "
        f"sqlite:///journal.db, postgresql://user@host/database or memory:."
    )


def _default_path() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").exists() or (folder / ".git").exists():
            return folder / FOLDER / "journal.db"
    return here / FOLDER / "journal.db"


def _create(folder: Path) -> None:
    """The default folder, which keeps itself out of version control."""
    try:
        folder.mkdir(exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", "utf-8")
    except OSError as error:
        raise StoreError(
            f"The folder {folder} for the journal cannot be created: {error}. Give "
            f"this user the right, or another place in FLOWKIT_STORE or store=."
        ) from error


def _forked() -> None:
    """In a fork: another thread may have held the lock."""
    global _lock  # noqa: PLW0603 - the lock of this module
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forked)
