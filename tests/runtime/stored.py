"""Stored runs as tests need them: cut off in the middle, under changed classes."""

from __future__ import annotations

import sys

from flowkit.journal.memory import MemoryStore
from flowkit.journal.queries import Query
from flowkit.journal.rows import Begin
from flowkit.runtime.durable import flow_name
from flowkit.runtime.kinds import known
from flowkit.runtime.opening import store_for

__all__ = [
    "STORES",
    "MemoryStore",
    "copied",
    "crashed",
    "flow_named",
    "instead",
    "kicked",
    "made",
    "name_of",
    "opened",
    "rows_of",
]

STORES = ["none", "memory", "sqlite"]


def opened(kind, folder):
    """Nothing, or a store of a test's own, of one of these kinds."""
    if kind == "none":
        return None
    if kind == "memory":
        return MemoryStore("memory:test")
    return store_for(f"sqlite:///{folder}/runs.db")


def made(cls, store):
    """A flow that is kept there."""
    return cls() if store is None else cls(store=store)


def rows_of(store, status=()):
    """All runs of a store."""
    return store.runs(Query(status=status, limit=1_000))


def name_of(row):
    """The name of a run's class."""
    return row.flow.replace(":", ".").rpartition(".")[2]


def copied(store, run, ids):
    """A run as it stands under many other ids, begun in this order; one commit."""
    row = store.run(run)
    entries, graph = store.entries(run), store.graph(row.graph)
    store.commit([Begin(row._replace(id=id), entries, (), graph) for id in ids])


def crashed(store, run, seq, id):
    """A run as a crash just after that record of another one would leave it."""
    row = store.run(run)
    row = row._replace(
        id=id, status="running", owner=None, due=None, error="", result="", state=""
    )
    begin = Begin(row, store.entries(run)[:seq], (), store.graph(row.graph))
    store.commit([begin])
    return id


def flow_named(cls, name=None, module=None):
    """Make a class of a test known under a name at module level."""
    name = name or cls.__name__
    cls.__qualname__ = name
    setattr(sys.modules[module or cls.__module__], name, cls)
    return cls


def instead(old, new):
    """From now on a class's stored runs are another class's: it has changed."""
    known.pop(old, None)
    new.__module__ = old.__module__
    new.__qualname__ = old.__qualname__
    new.__name__ = old.__name__
    assert flow_name(new) == flow_name(old)
    return new


async def kicked(flow, form, **given):
    """The outcome of a kickoff, awaited or not."""
    if form == "async":
        return await flow.kickoff_async(**given)
    return flow.kickoff(**given)
