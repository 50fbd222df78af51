"""Event-driven flows: decorated methods, typed state, correct joins.

::

    from flowkit import Flow, listen, start

    class Hello(Flow):
        @start()
        def greet(self):
            return "hello"

        @listen(greet)
        def shout(self, greeting):
            return greeting.upper()

    Hello().kickoff()  # "HELLO"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.define.conditions import (
    all_active,
    and_,
    any_of,
    event,
    merge,
    or_,
    timer,
    times,
)
from flowkit.define.decorators import listen, router, start
from flowkit.errors import (
    DefinitionError,
    FlowkitError,
    FlowkitWarning,
    InputError,
    RunawayError,
    RunError,
    StateConflictError,
    StateError,
    StoreError,
    StuckError,
    UnstorableError,
)
from flowkit.flow import Flow
from flowkit.runtime.run import Run

if TYPE_CHECKING:
    from flowkit.picture import build_flow_structure, visualize_flow_structure
    from flowkit.runtime import signals
    from flowkit.runtime.bus import EventBus
    from flowkit.runtime.models import FlowState

__version__ = "0.1.0"

__all__ = [
    "DefinitionError",
    "EventBus",
    "Flow",
    "FlowState",
    "FlowkitError",
    "FlowkitWarning",
    "InputError",
    "Run",
    "RunError",
    "RunawayError",
    "StateConflictError",
    "StateError",
    "StoreError",
    "StuckError",
    "UnstorableError",
    "all_active",
    "and_",
    "any_of",
    "build_flow_structure",
    "event",
    "listen",
    "merge",
    "or_",
    "router",
    "signals",
    "start",
    "timer",
    "times",
    "visualize_flow_structure",
]

# What needs pydantic or an event loop is loaded when first asked for.
_LAZY = {
    "EventBus": "flowkit.runtime.bus",
    "FlowState": "flowkit.runtime.models",
    "build_flow_structure": "flowkit.picture",
    "signals": "flowkit.runtime",
    "visualize_flow_structure": "flowkit.picture",
}


if not TYPE_CHECKING:  # else a type checker would believe in any name

    def __getattr__(name: str) -> Any:
        module = _LAZY.get(name)
        if module is None:
            msg = f"module 'flowkit' has no attribute {name!r}"
            raise AttributeError(msg)
        from importlib import import_module

        if name == "signals":
            return import_module("flowkit.runtime.signals")
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
