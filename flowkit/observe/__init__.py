"""What goes on in flows, for people and for other programs.

::

    from flowkit import observe

    print(observe.insights())
    print(observe.health())
    observe.trace()  # OpenTelemetry
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.observe.figures import (
    Breaches,
    Failure,
    Finding,
    FlowInsights,
    Insights,
    Spread,
    StepInsights,
)
from flowkit.observe.insight import insights
from flowkit.observe.state import Ailment, Health, OldestWait, health

if TYPE_CHECKING:
    from flowkit.observe.drawing import plot
    from flowkit.observe.logs import LogFields, log_fields
    from flowkit.observe.tracing import Tracing, trace

__all__ = [
    "Ailment",
    "Breaches",
    "Failure",
    "Finding",
    "FlowInsights",
    "Health",
    "Insights",
    "LogFields",
    "OldestWait",
    "Spread",
    "StepInsights",
    "Tracing",
    "health",
    "insights",
    "log_fields",
    "plot",
    "trace",
]

# OpenTelemetry, logging and the drawing are loaded by who asks for them.
_LAZY = {
    "LogFields": "logs",
    "Tracing": "tracing",
    "log_fields": "logs",
    "plot": "drawing",
    "trace": "tracing",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _LAZY:
            msg = f"module 'flowkit.observe' has no attribute {name!r}"
            raise AttributeError(msg)
        from importlib import import_module

        return getattr(import_module(f"flowkit.observe.{_LAZY[name]}"), name)
