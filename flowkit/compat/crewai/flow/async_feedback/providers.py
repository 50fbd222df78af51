"""``crewai.flow.async_feedback.providers``."""

from flowkit.runtime.providers import ConsoleProvider

__all__ = ["ConsoleProvider"]
