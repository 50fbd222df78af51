"""Every store keeps the promises of the port."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.journal.contract")

from flowkit.journal.memory import MemoryStore  # noqa: E402
from flowkit.journal.sqlite.store import SqliteStore  # noqa: E402
from tests.journal.contract import StoreContract  # noqa: E402


class MemoryPlace:
    """One store in memory; there is nothing to open again."""

    durable = False

    def __init__(self) -> None:
        self.store = MemoryStore()

    def open(self) -> MemoryStore:
        return self.store


class SqlitePlace:
    """One database file."""

    durable = True

    def __init__(self, path) -> None:
        self.path = path

    def open(self) -> SqliteStore:
        return SqliteStore(self.path)


class TestMemory(StoreContract):
    """The store in memory."""

    @pytest.fixture
    def place(self):
        """An empty one."""
        return MemoryPlace()


class TestSqlite(StoreContract):
    """The store in a SQLite file."""

    @pytest.fixture
    def place(self, tmp_path):
        """A file that does not exist yet."""
        return SqlitePlace(tmp_path / "journal.db")
