"""``crewai.flow.async_feedback``: pauses, and who is asked."""

from flowkit.runtime.people import HumanFeedbackPending, PendingFeedbackContext
from flowkit.runtime.providers import ConsoleProvider, HumanFeedbackProvider

__all__ = [
    "ConsoleProvider",
    "HumanFeedbackPending",
    "HumanFeedbackProvider",
    "PendingFeedbackContext",
]
