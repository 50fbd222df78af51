"""Three levels of flows, and where tests of sub-flows keep them."""

from __future__ import annotations

from flowkit import Flow, listen, start
from flowkit.journal.memory import MemoryStore
from flowkit.journal.queries import Query
from flowkit.runtime.opening import store_for

STORES = ["none", "memory", "sqlite"]


def opened(kind, folder):
    """Nothing, or a store of a test's own."""
    if kind == "none":
        return None
    if kind == "memory":
        return MemoryStore("memory:test")
    return store_for(f"sqlite:///{folder}/runs.db")


def made(cls, store):
    return cls() if store is None else cls(store=store)


def rows_of(store, status=()):
    return store.runs(Query(status=status, limit=1_000))


def name_of(row):
    return row.flow.replace(":", ".").rpartition(".")[2]


class Leaf(Flow, evict_after=0):
    """Waits for an event."""

    @start()
    async def ask(self):
        return await self.wait_for("approved")


class Middle(Flow, evict_after=0):
    """The level between."""

    @start()
    async def pass_on(self):
        return f"middle {await self.call(Leaf)}"


class Root(Flow, evict_after=0):
    """Three levels."""

    @start()
    async def begin(self):
        return f"root {await self.call(Middle)}"

    @listen(begin)
    async def end(self, got):
        return f"{got}!"
