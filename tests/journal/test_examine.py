"""A store is looked at without being changed."""

from __future__ import annotations

import pytest

from flowkit.errors import StoreError
from flowkit.journal.examine import examine
from flowkit.journal.sqlite.queries import MIGRATIONS
from flowkit.journal.sqlite.store import SqliteStore


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    """All of its migrations are pending."""
    found = examine(f"sqlite:///{tmp_path}/none.db")
    assert (found.exists, found.schema, found.pending) == (False, 0, len(MIGRATIONS))
    assert found.kind == "sqlite"
    assert not (tmp_path / "none.db").exists()


def test_a_store_in_use_is_told(tmp_path):
    """Its schema, its size and the version of SQLite."""
    store = SqliteStore(tmp_path / "journal.db")
    found = examine(f"sqlite:///{tmp_path}/journal.db")
    assert (found.exists, found.pending) == (True, 0)
    assert found.version == store.info()["sqlite"]
    assert found.size > 0
    assert found.url == store.url


def test_pending_migrations_are_left_pending(tmp_path):
    """An empty file is a store of schema 0; looking does not migrate it."""
    (tmp_path / "empty.db").touch()
    url = f"sqlite:///{tmp_path}/empty.db"
    assert examine(url).pending == len(MIGRATIONS)
    assert examine(url).pending == len(MIGRATIONS)
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_another_program_file_is_named(tmp_path):
    """As when it is opened."""
    (tmp_path / "notes.txt").write_text("no database " * 1000)
    with pytest.raises(StoreError) as caught:
        examine(f"sqlite:///{tmp_path}/notes.txt")
    assert str(caught.value) == (
        f"{tmp_path}/notes.txt is not a SQLite database. Give the store a file of its "
        f"own, or move this one away."
    )


def test_an_unknown_kind_is_named():
    """With the one that was meant."""
    with pytest.raises(StoreError, match="Did you mean 'sqlite'"):
        examine("sqlit:///x.db")


def test_memory_has_nothing_to_migrate():
    """It is always there."""
    assert examine("memory:").pending == 0
