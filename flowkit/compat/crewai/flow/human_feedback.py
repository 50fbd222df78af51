"""``crewai.flow.human_feedback``: the decorator and what it gives."""

from flowkit.define.feedback import human_feedback
from flowkit.runtime.people import HumanFeedbackResult

__all__ = ["HumanFeedbackResult", "human_feedback"]
