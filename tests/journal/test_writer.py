"""The thread that writes what is handed in."""

from __future__ import annotations

import gc
import threading
import weakref

from flowkit.journal import writer as module
from flowkit.journal.memory.store import MemoryStore


class Waiter:
    """What waits for a move, such as a run's driver."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def soon(self, back) -> None:
        """As a loop's call from any thread."""
        back()

    def back(self) -> None:
        """The move is durable."""
        self.told.set()


def test_nothing_is_kept_alive_by_a_move_that_was_written(monkeypatch):
    """The idle thread does not hold who waited for the last one."""
    monkeypatch.setattr(module, "IDLE", 1_000.0)
    writer, waiter = module.Writer(MemoryStore()), Waiter()
    told, gone = waiter.told, threading.Event()
    weakref.finalize(waiter, gone.set)
    ticket = writer.submit()
    writer.call(ticket, waiter.soon, waiter.back)
    assert told.wait(50)
    del waiter, ticket
    gc.collect()
    assert gone.wait(20)
