"""Moves pages from the write-ahead log to the database, off everybody's way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import apsw

from flowkit.journal.sqlite.opening import connect

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Checkpoints"]

MANY: Final = 1000
"""Pages in the log that are worth a checkpoint: 4 MB, as SQLite's own default."""

SHORT: Final = 20
"""Milliseconds for which readers of old pages may keep the log from its beginning.

Written from there again, the log stays short, and a commit syncs blocks that the
file has: on the disk at hand a third faster than a log that grows.
"""

TOO_MANY: Final = 16 * MANY
"""Pages at which writers wait for the rest of a checkpoint, so that the log ends."""


class Checkpoints:
    """Called after each commit; begins a thread for a checkpoint when it is due."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = MANY
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None

    def committed(self, _: apsw.Connection, _database: str, pages: int) -> int:
        """SQLite's hook: so many pages are in the log."""
        if pages < MANY:
            self._next = MANY
        elif pages >= self._next and self._busy.acquire(blocking=False):
            # A reader may hold old pages: try again only after as many new ones.
            self._next = pages + MANY
            work = threading.Thread(
                target=self._work,
                args=(pages >= TOO_MANY,),
                name="flowkit-checkpoint",
                daemon=True,
            )
            self._thread = work
            try:
                work.start()
            except RuntimeError:  # the interpreter is about to end
                self._busy.release()
        return apsw.SQLITE_OK

    def finish(self) -> None:
        """Wait for a checkpoint that is under way."""
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join()

    def _work(self, all_of_it: bool) -> None:  # noqa: FBT001 - a thread's argument
        try:
            connection = connect(self._path)
            try:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if not all_of_it:  # little is left: writers wait for that, not long
                    connection.set_busy_timeout(SHORT)
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
            finally:
                connection.close()
        except apsw.Error:
            # Nothing is lost: all of it is in the log, and the next one tries again.
            return
        finally:
            self._busy.release()
