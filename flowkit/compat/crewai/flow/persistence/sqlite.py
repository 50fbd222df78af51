"""``crewai.flow.persistence.sqlite``."""

from flowkit.runtime.persistence import SQLiteFlowPersistence

__all__ = ["SQLiteFlowPersistence"]
