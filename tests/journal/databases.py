"""One database for a test, opened anew as often as it likes, as processes would."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from flowkit.journal.sqlite.store import SqliteStore
from tests.journal import postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KINDS = ["sqlite", "postgres"]


@contextmanager
def database(kind: str, folder: Path, backend: str) -> Iterator[Callable]:
    """What opens it; all that was opened is closed at the end."""
    stores = []
    place = None
    if kind == "postgres":
        if backend == "trio":
            pytest.skip("the PostgreSQL store is for asyncio")
        missing = postgres_server.missing()
        if missing:
            assert os.environ.get("CI") != "true", missing
            pytest.skip(missing)
        place = postgres_server.PostgresPlace()

    def opened():
        made = SqliteStore(folder / "journal.db") if place is None else place.open()
        stores.append(made)
        return made

    yield opened
    for store in stores:
        store.close()
    if place is not None:
        place.remove()
