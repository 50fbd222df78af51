"""``crewai.flow``: authoring, state, people, persistence and structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# Two submodules have the name of what they hold. Imported first, they cannot take
# the name's place later.
import flowkit.compat.crewai.flow.flow_config
import flowkit.compat.crewai.flow.human_feedback  # noqa: F401
from flowkit.compat.crewai.flow.async_feedback import (
    ConsoleProvider,
    HumanFeedbackPending,
    HumanFeedbackProvider,
    PendingFeedbackContext,
)
from flowkit.compat.crewai.flow.flow import (
    Flow,
    and_,
    listen,
    or_,
    persist,
    router,
    start,
)
from flowkit.compat.crewai.flow.input_provider import InputProvider, InputResponse
from flowkit.define.feedback import human_feedback
from flowkit.runtime.people import HumanFeedbackResult
from flowkit.runtime.providers import flow_config

if TYPE_CHECKING:
    from flowkit.compat.crewai.flow.flow import FlowState
    from flowkit.compat.crewai.flow.persistence import (
        FlowPersistence,
        SQLiteFlowPersistence,
    )
    from flowkit.compat.crewai.flow.visualization import (
        build_flow_structure,
        visualize_flow_structure,
    )

__all__ = [
    "ConsoleProvider",
    "Flow",
    "FlowPersistence",
    "FlowState",
    "HumanFeedbackPending",
    "HumanFeedbackProvider",
    "HumanFeedbackResult",
    "InputProvider",
    "InputResponse",
    "PendingFeedbackContext",
    "SQLiteFlowPersistence",
    "and_",
    "build_flow_structure",
    "flow_config",
    "human_feedback",
    "listen",
    "or_",
    "persist",
    "router",
    "start",
    "visualize_flow_structure",
]

if not TYPE_CHECKING:  # else a type checker would believe in any name

    def __getattr__(name: str) -> Any:
        if name == "FlowState":
            from flowkit.runtime.models import FlowState  # pydantic, when asked for

            return FlowState
        if name in {"FlowPersistence", "SQLiteFlowPersistence"}:
            from flowkit.compat.crewai.flow import persistence  # the same

            return getattr(persistence, name)
        if name in {"build_flow_structure", "visualize_flow_structure"}:
            from flowkit.compat.crewai.flow import visualization

            return getattr(visualization, name)
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
