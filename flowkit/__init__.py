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
from flowkit.define.versions import migrate
from flowkit.errors import (
    DefinitionError,
    FlowkitError,
    FlowkitWarning,
    InputError,
    RunawayError,
    RunError,
    StateConflictError,
    StateError,
    StuckError,
)
from flowkit.flow import Flow
from flowkit.runtime.run import Run

if TYPE_CHECKING:
    from flowkit import runs
    from flowkit.picture import build_flow_structure, visualize_flow_structure
    from flowkit.runtime import signals
    from flowkit.runtime.bus import EventBus
    from flowkit.runtime.models import FlowState
    from flowkit.runtime.resumption import factory, resume, resume_async
    from flowkit.runtime.retention import Retention

__version__ = "0.1.0"

__all__ = [
    "DefinitionError",
    "EventBus",
    "Flow",
    "FlowState",
    "FlowkitError",
    "FlowkitWarning",
    "InputError",
    "Retention",
    "Run",
    "RunError",
    "RunawayError",
    "StateConflictError",
    "StateError",
    "StuckError",
    "all_active",
    "and_",
    "any_of",
    "build_flow_structure",
    "event",
    "factory",
    "listen",
    "merge",
    "migrate",
    "or_",
    "resume",
    "resume_async",
    "router",
    "runs",
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
    "Retention": "flowkit.runtime.retention",
    "build_flow_structure": "flowkit.picture",
    "factory": "flowkit.runtime.resumption",
    "resume": "flowkit.runtime.resumption",
    "resume_async": "flowkit.runtime.resumption",
    "runs": "flowkit",
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

        if name in {"runs", "signals"}:
            return import_module(f"{module}.{name}")
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
