"""``crewai.flow.persistence.base``."""

from flowkit.runtime.persistence import FlowPersistence

__all__ = ["FlowPersistence"]
