"""``crewai.flow.input_provider``: whom ``ask`` asks."""

from flowkit.runtime.people import InputResponse
from flowkit.runtime.providers import InputProvider

__all__ = ["InputProvider", "InputResponse"]
