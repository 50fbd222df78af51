"""CrewAI's import paths for flowkit's own objects.

``from crewai.flow.flow import Flow`` becomes
``from flowkit.compat.crewai.flow.flow import Flow``; what comes is ``flowkit.Flow``
itself. Only what flowkit has is here, any other name is an ``AttributeError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.compat.crewai.flow import (
    ConsoleProvider,
    Flow,
    HumanFeedbackPending,
    HumanFeedbackProvider,
    HumanFeedbackResult,
    InputProvider,
    InputResponse,
    PendingFeedbackContext,
    and_,
    flow_config,
    human_feedback,
    listen,
    or_,
    persist,
    router,
    start,
)

if TYPE_CHECKING:
    from flowkit.compat.crewai.flow import (
        FlowPersistence,
        FlowState,
        SQLiteFlowPersistence,
        build_flow_structure,
        visualize_flow_structure,
    )
    from flowkit.compat.crewai.types.streaming import (
        AsyncStreamSession,
        StreamFrame,
        StreamSession,
    )

__all__ = [
    "AsyncStreamSession",
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
    "StreamFrame",
    "StreamSession",
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
        from flowkit.compat.crewai import flow

        if name in {"AsyncStreamSession", "StreamFrame", "StreamSession"}:
            from flowkit.compat.crewai.types import streaming  # when asked for

            return getattr(streaming, name)
        if name in __all__:
            return getattr(flow, name)
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
