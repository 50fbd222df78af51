"""Hears which runs have got a letter from another process."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from flowkit.errors import StoreError
from flowkit.journal.postgres.link import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.journal.postgres.address import Address
    from flowkit.journal.postgres.link import Connection

__all__ = ["Ears"]

PAUSES = (0.1, 0.5, 2.0, 5.0)
"""Seconds between tries to connect again; the last one is repeated."""


class Ears:
    """Listens on a connection and a daemon thread of its own until ``close``.

    What is said while the connection is down is not heard: who listens also looks
    for claimable runs now and then.

    Args:
        channel: of NOTIFY.
        heard: called in that thread with each run id; what it raises is logged.
        own: whether this store itself said it, by the number of its connection.

    Raises:
        StoreError: there is no connection.
    """

    def __init__(
        self,
        address: Address,
        channel: str,
        heard: Callable[[str], None],
        own: Callable[[int], bool],
    ) -> None:
        self.address = address
        self.channel = channel
        self._heard = heard
        self._own = own
        self._ended = False
        self._wake, self._waker = socket.socketpair()
        self._conn: Connection | None = self._connected()
        self._thread = threading.Thread(
            target=self._work, name="flowkit-listen", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Hear nothing more; a second call does nothing."""
        if self._ended:
            return
        self._ended = True
        with suppress(OSError):
            self._waker.send(b"x")
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _connected(self) -> Connection:
        conn = connect(self.address)
        conn.execute(sql.SQL("listen {}").format(sql.Identifier(self.channel)))
        return conn

    def _work(self) -> None:
        failures = 0
        while not self._ended:
            try:
                if self._conn is None:
                    self._conn = self._connected()
                failures = 0
                self._listen(self._conn)
            except (psycopg.Error, StoreError, OSError):
                if self._conn is not None:
                    self._conn.close()
                    self._conn = None
                self._wait(PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1
        if self._conn is not None:
            self._conn.close()
        self._wake.close()
        self._waker.close()

    def _listen(self, conn: Connection) -> None:
        """Until it ends or the connection is lost."""
        with selectors.DefaultSelector() as ready:
            ready.register(conn.fileno(), selectors.EVENT_READ)
            ready.register(self._wake, selectors.EVENT_READ)
            while not self._ended:
                while note := conn.pgconn.notifies():
                    if not self._own(note.be_pid):
                        self._tell(note.extra.decode())
                ready.select()
                conn.pgconn.consume_input()

    def _tell(self, run: str) -> None:
        try:
            self._heard(run)
        except Exception:
            import logging

            logging.getLogger("flowkit").exception(
                "What listens to the store failed for run %r", run
            )

    def _wait(self, seconds: float) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._wake, selectors.EVENT_READ)
            ready.select(seconds)
