"""``crewai.flow.persistence``: saved states."""

from flowkit.define.persist import persist
from flowkit.runtime.persistence import FlowPersistence, SQLiteFlowPersistence

__all__ = ["FlowPersistence", "SQLiteFlowPersistence", "persist"]
