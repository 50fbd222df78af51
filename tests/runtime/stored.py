"""Stored runs as tests need them: cut off in the middle, under changed classes."""

from __future__ import annotations

import sys

from flowkit.journal.memory import MemoryStore
from flowkit.journal.rows import Begin
from flowkit.runtime.durable import flow_name
from flowkit.runtime.kinds import known

__all__ = ["MemoryStore", "crashed", "flow_named", "instead"]


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
