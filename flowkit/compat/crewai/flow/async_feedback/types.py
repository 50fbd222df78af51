"""``crewai.flow.async_feedback.types``."""

from flowkit.runtime.people import HumanFeedbackPending, PendingFeedbackContext
from flowkit.runtime.providers import HumanFeedbackProvider

__all__ = ["HumanFeedbackPending", "HumanFeedbackProvider", "PendingFeedbackContext"]
