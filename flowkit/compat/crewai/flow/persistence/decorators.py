"""``crewai.flow.persistence.decorators``."""

from flowkit.define.persist import persist

__all__ = ["persist"]
