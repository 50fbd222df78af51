"""``crewai.flow``: authoring, state and structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.compat.crewai.flow.flow import Flow, and_, listen, or_, router, start

if TYPE_CHECKING:
    from flowkit.compat.crewai.flow.flow import FlowState
    from flowkit.compat.crewai.flow.visualization import (
        build_flow_structure,
        visualize_flow_structure,
    )

__all__ = [
    "Flow",
    "FlowState",
    "and_",
    "build_flow_structure",
    "listen",
    "or_",
    "router",
    "start",
    "visualize_flow_structure",
]

if not TYPE_CHECKING:  # else a type checker would believe in any name

    def __getattr__(name: str) -> Any:
        if name == "FlowState":
            from flowkit.runtime.models import FlowState  # pydantic, when asked for

            return FlowState
        if name in {"build_flow_structure", "visualize_flow_structure"}:
            from flowkit.compat.crewai.flow import visualization

            return getattr(visualization, name)
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
