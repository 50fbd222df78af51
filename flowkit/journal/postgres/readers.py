"""Connections that read: a few, each used by one thread at a time."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from flowkit.errors import StoreError
from flowkit.journal.postgres.link import connect, explained, is_lost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from flowkit.journal.postgres.address import Address
    from flowkit.journal.postgres.link import Connection
    from flowkit.journal.postgres.steps import Rows

__all__ = ["Readers"]


class Readers:
    """Reads with connections that are made when needed and kept for the next.

    Args:
        most: connections at a time; a thread that finds them all in use waits.
    """

    def __init__(self, address: Address, most: int = 4) -> None:
        self.address = address
        self._free: list[Connection] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(most)
        self._closed = False

    def close(self) -> None:
        """Give all connections up; a second call does nothing."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for conn in free:
            conn.close()

    def read(self, text: str, params: Mapping[str, Any]) -> Rows:
        """The rows of a statement. A lost connection is made again, once.

        Raises:
            StoreError: it could not be read.
        """
        with self._places:
            try:
                return self._read(text, params)
            except psycopg.Error as error:
                raise explained(self.address, error) from error
            except UnicodeEncodeError:
                return []  # what cannot be stored is not there

    def _read(self, text: str, params: Mapping[str, Any]) -> Rows:
        with self._borrowed() as conn:
            try:
                return conn.execute(text, params).fetchall()
            except psycopg.Error as error:
                if not is_lost(conn, error):
                    raise
        with self._lock:  # the others are as old: the server was restarted
            stale, self._free = self._free, []
        for conn in stale:
            conn.close()
        with self._borrowed() as conn:
            return conn.execute(text, params).fetchall()

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        with self._lock:
            if self._closed:
                raise StoreError(
                    f"The store {self.address.url} is closed. Open it again to use it."
                )
            conn = self._free.pop() if self._free else None
        if conn is None:
            conn = connect(self.address)
        try:
            yield conn
        except psycopg.Error:
            self._give_back(conn)
            raise
        except UnicodeEncodeError:
            self._give_back(conn)
            raise
        except BaseException:  # KeyboardInterrupt in the middle of an answer
            conn.close()
            raise
        else:
            self._give_back(conn)

    def _give_back(self, conn: Connection) -> None:
        with self._lock:
            if not self._closed and not conn.closed:
                self._free.append(conn)
                return
        conn.close()
