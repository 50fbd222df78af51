"""``crewai.flow.flow``, the historic path of everything a flow is written with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.define.conditions import and_, or_
from flowkit.define.decorators import listen, router, start
from flowkit.define.feedback import human_feedback
from flowkit.define.persist import persist
from flowkit.flow import Flow

if TYPE_CHECKING:
    from flowkit.runtime.models import FlowState

__all__ = [
    "Flow",
    "FlowState",
    "and_",
    "human_feedback",
    "listen",
    "or_",
    "persist",
    "router",
    "start",
]

if not TYPE_CHECKING:  # else a type checker would believe in any name

    def __getattr__(name: str) -> Any:
        if name == "FlowState":
            from flowkit.runtime.models import FlowState  # pydantic, when asked for

            return FlowState
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
