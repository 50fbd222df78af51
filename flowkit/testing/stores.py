"""Stores for tests: in memory, and one that loses its process when told to."""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from flowkit.errors import StoreError
from flowkit.journal.memory import MemoryStore
from flowkit.journal.rows import Advance, Begin
from flowkit.journal.urls import open_store
from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Entry, Hold, Move, Outcome

__all__ = ["KilledError", "KillingStore", "memory_store", "place"]

_numbers = count(1)


@contextmanager
def memory_store() -> Iterator[Store]:
    """Within the block runs are kept in a store in memory, new and empty.

    It is ``FLOWKIT_STORE``, and the store of every flow class there is that names
    one. A store given to a flow object stays what it is.

    Yields:
        The store; ``flowkit.runs`` and ``flowkit.resume`` use it without asking.
    """
    url = f"memory:test-{next(_numbers)}"
    store = open_store(url)
    before = os.environ.get("FLOWKIT_STORE")
    kinds = [(kind, kind.store) for kind in known.values() if kind.store is not None]
    os.environ["FLOWKIT_STORE"] = url
    for kind, _ in kinds:
        kind.store = store
    try:
        yield store
    finally:
        for kind, own in kinds:
            kind.store = own
        if before is None:
            del os.environ["FLOWKIT_STORE"]
        else:
            os.environ["FLOWKIT_STORE"] = before


class KilledError(StoreError):
    """The process was killed here, in a test."""


def place(run_id: str) -> str:
    """Where a run is below the one that was begun: "" for that one itself.

    The id of a called run is its caller's, with firing and position of the call.
    """
    return run_id.partition(":")[2]


class KillingStore(MemoryStore):
    """Keeps runs in memory and kills whoever writes a given record.

    Attributes:
        wanted: says of an entry, and of where its run is (:func:`place`), whether to
            kill there; None for never.
        before: kill before it is written, not after.
        killed: the entry at which it was done.
        gone: nothing can be written until :meth:`revive`.
        of_one_run: what is sent there is for that run.
    """

    of_one_run = True

    def __init__(
        self, wanted: Callable[[str, Entry], bool] | None, *, before: bool = False
    ) -> None:
        super().__init__("memory:killing")
        self.wanted: Callable[[str, Entry], bool] | None = wanted
        self.before: bool = before
        self.killed: Entry | None = None
        self.gone: bool = False

    def revive(self) -> None:
        """Another process opens the store; nobody is killed any more."""
        self.wanted = None
        self.gone = False

    def append(self, hold: Hold, entry: Entry) -> None:
        """As any store, but for the kill."""
        hit = self._hit([(self._place(hold), entry)])
        super().append(hold, entry)
        self._kill(hit)

    def commit(self, moves: Sequence[Move]) -> list[Outcome]:
        """As any store, but for the kill."""
        entries: list[tuple[str, Entry]] = []
        for move in moves:
            if isinstance(move, Begin):
                at = place(move.run.id)
                entries += [(at, entry) for entry in move.entries]
            elif isinstance(move, Advance):
                at = self._place(move.hold)
                entries += [(at, entry) for entry in move.entries]
        hit = self._hit(entries)
        outcomes = super().commit(moves)
        self._kill(hit)
        return outcomes

    def _place(self, hold: Hold) -> str:
        return place(self._tables.runs[hold.n].row.id)

    def _hit(self, entries: Sequence[tuple[str, Entry]]) -> Entry | None:
        if self.gone:
            raise KilledError(_TEXT)
        wanted = self.wanted
        found = (entry for at, entry in entries if wanted and wanted(at, entry))
        hit = next(found, None)
        if self.before:
            self._kill(hit)
        return hit

    def _kill(self, hit: Entry | None) -> None:
        if hit is not None:
            self.killed, self.gone = hit, True
            raise KilledError(_TEXT)


_TEXT = "The process was killed here by a test."
