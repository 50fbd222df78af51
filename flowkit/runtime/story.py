"""A run's records folded without its class: where it stood after each of them.

The definition comes from the store's own copy of the graph, and a value whose class
is gone is shown as it was stored, so that a run can be told when nothing of its
program is left.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from flowkit.core.machine import decide
from flowkit.core.marking import Marking
from flowkit.core.net import net_of
from flowkit.core.records import RunStarted
from flowkit.journal.codec import decode_loosely
from flowkit.journal.delta import apply
from flowkit.journal.entries import Note, read
from flowkit.runtime.folding import effective, first_graph, graph_of, regraphed
from flowkit.runtime.restore import EXTRA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.net import Net
    from flowkit.journal.base import Store
    from flowkit.journal.entries import Read
    from flowkit.journal.rows import Entry, RunRow

__all__ = ["Story", "flat", "read_loosely"]


def read_loosely(entry: Entry) -> Read:
    """An entry's record, readable whatever its values are."""
    return read(entry, decode_loosely)


def flat(fields: dict[str, Any]) -> dict[str, Any]:
    """A state's fields with what ``extra="allow"`` holds among them."""
    if EXTRA not in fields:
        return dict(fields)
    return {**fields, **fields[EXTRA]}


class Story:
    """Records folded one after another.

    Attributes:
        net: the graph's tables, as of the latest record.
        marking: where the run stands after it.
        fields: the state's fields after it; never changed in place.
        attempts: how often each firing was started, where more than once.
        graph: hash of the graph.
    """

    def __init__(self, store: Store, row: RunRow, entries: Sequence[Entry]) -> None:
        self._store = store
        self._row = row
        self._entries = entries
        self.begin()

    def begin(self) -> None:
        """Back to before the first record."""
        self.graph: str = first_graph(self._row, self._entries)
        self.net: Net = net_of(graph_of(self._store, self.graph))
        self.marking: Marking = Marking(len(self.net.nodes))
        self.fields: dict[str, Any] = {}
        self.attempts: dict[int, int] = {}

    def fold(self, entries: Iterable[Entry]) -> Story:
        """From the first record on, through those that count of these."""
        self.begin()
        for entry in effective([*entries]):
            self.take(read_loosely(entry))
        return self

    def take(self, found: Read) -> Sequence[Command]:
        """One record more; what was decided on it."""
        _, record, delta, more = found
        if isinstance(record, Note):
            self._note(record)
            return ()
        if type(record) is RunStarted:
            self.fields = dict(more.get("s", {}))
            if "x" in more:
                self.fields[EXTRA] = more["x"]
        if delta:
            fields = dict(self.fields)
            for field, change in delta.items():
                if len(change) > 1 and field in fields:  # it grows in place
                    fields[field] = deepcopy(fields[field])
            self.fields = apply(fields, delta)
        return decide(self.net, self.marking, record)

    def _note(self, note: Note) -> None:
        if note.kind == "again":
            for number in note.data or ():
                self.attempts[number] = self.attempts.get(number, 1) + 1
        elif note.kind == "graph":
            self.graph = note.data["to"]
            self.net, self.marking = regraphed(
                self._store, self.marking, self.net, note.data
            )
        elif note.kind == "state":
            self.fields = dict(note.data)

    @property
    def at_work(self) -> list[int]:
        """Firings that run or wait: not those in line or at a gate."""
        behind = self.marking.held_back
        return [number for number in self.marking.live if number not in behind]
