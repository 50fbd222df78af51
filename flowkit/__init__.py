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

from os import environ as _environ
from typing import TYPE_CHECKING, Any

from flowkit.core.definition import Region
from flowkit.define.conditions import (
    all_active,
    and_,
    any_of,
    each,
    event,
    gather,
    merge,
    or_,
    timer,
    times,
    window,
)
from flowkit.define.decorators import listen, router, start
from flowkit.define.versions import migrate
from flowkit.errors import (
    CallError,
    DefinitionError,
    FeedbackError,
    FlowkitError,
    FlowkitWarning,
    InputError,
    NotFoundError,
    RunawayError,
    RunError,
    StateConflictError,
    StateError,
    StoreError,
    StuckError,
    TryAgain,
    UnstorableError,
)
from flowkit.flow import Flow

if TYPE_CHECKING:
    from flowkit import functions, observe, runs, tasks
    from flowkit.checking import check
    from flowkit.core.admission import Admission
    from flowkit.core.caching import INPUTS, SOURCE, Cache
    from flowkit.core.faults import Fault
    from flowkit.core.hedging import Hedge
    from flowkit.core.limits import Breaker, Bulkhead, Rate
    from flowkit.core.policies import Policy, Retry
    from flowkit.define.feedback import human_feedback
    from flowkit.define.persist import persist
    from flowkit.picture import build_flow_structure, visualize_flow_structure
    from flowkit.runtime import signals
    from flowkit.runtime.answers import Decision
    from flowkit.runtime.bus import EventBus
    from flowkit.runtime.frames import StreamFrame
    from flowkit.runtime.models import FlowState
    from flowkit.runtime.people import (
        HumanFeedbackPending,
        HumanFeedbackResult,
        InputResponse,
        PendingFeedbackContext,
    )
    from flowkit.runtime.persistence import FlowPersistence, SQLiteFlowPersistence
    from flowkit.runtime.providers import (
        ConsoleProvider,
        HumanFeedbackProvider,
        InputProvider,
        flow_config,
    )
    from flowkit.runtime.resumption import factory, resume, resume_async
    from flowkit.runtime.retention import Retention
    from flowkit.runtime.run import Run
    from flowkit.runtime.sessions import AsyncStreamSession, StreamSession

__version__ = "0.1.0"

__all__ = [
    "INPUTS",
    "SOURCE",
    "Admission",
    "AsyncStreamSession",
    "Breaker",
    "Bulkhead",
    "Cache",
    "CallError",
    "ConsoleProvider",
    "Decision",
    "DefinitionError",
    "EventBus",
    "Fault",
    "FeedbackError",
    "Flow",
    "FlowPersistence",
    "FlowState",
    "FlowkitError",
    "FlowkitWarning",
    "Hedge",
    "HumanFeedbackPending",
    "HumanFeedbackProvider",
    "HumanFeedbackResult",
    "InputError",
    "InputProvider",
    "InputResponse",
    "NotFoundError",
    "PendingFeedbackContext",
    "Policy",
    "Rate",
    "Region",
    "Retention",
    "Retry",
    "Run",
    "RunError",
    "RunawayError",
    "SQLiteFlowPersistence",
    "StateConflictError",
    "StateError",
    "StoreError",
    "StreamFrame",
    "StreamSession",
    "StuckError",
    "TryAgain",
    "UnstorableError",
    "all_active",
    "and_",
    "any_of",
    "build_flow_structure",
    "check",
    "each",
    "event",
    "factory",
    "flow_config",
    "functions",
    "gather",
    "human_feedback",
    "listen",
    "merge",
    "migrate",
    "observe",
    "or_",
    "persist",
    "resume",
    "resume_async",
    "router",
    "runs",
    "signals",
    "start",
    "tasks",
    "timer",
    "times",
    "visualize_flow_structure",
    "window",
]

# What needs pydantic or an event loop is loaded when first asked for.
_LAZY = {
    "AsyncStreamSession": "flowkit.runtime.sessions",
    "StreamFrame": "flowkit.runtime.frames",
    "StreamSession": "flowkit.runtime.sessions",
    "ConsoleProvider": "flowkit.runtime.providers",
    "Decision": "flowkit.runtime.answers",
    "EventBus": "flowkit.runtime.bus",
    "FlowPersistence": "flowkit.runtime.persistence",
    "Fault": "flowkit.core.validate",
    "FlowState": "flowkit.runtime.models",
    "Retention": "flowkit.runtime.retention",
    "Run": "flowkit.runtime.run",
    "check": "flowkit.checking",
    "factory": "flowkit.runtime.resumption",
    "resume": "flowkit.runtime.resumption",
    "resume_async": "flowkit.runtime.resumption",
    "runs": "flowkit",
    "HumanFeedbackPending": "flowkit.runtime.people",
    "HumanFeedbackProvider": "flowkit.runtime.providers",
    "HumanFeedbackResult": "flowkit.runtime.people",
    "InputProvider": "flowkit.runtime.providers",
    "InputResponse": "flowkit.runtime.people",
    "PendingFeedbackContext": "flowkit.runtime.people",
    "Breaker": "flowkit.core.limits",
    "Admission": "flowkit.core.admission",
    "Bulkhead": "flowkit.core.limits",
    "Cache": "flowkit.core.caching",
    "Hedge": "flowkit.core.hedging",
    "INPUTS": "flowkit.core.caching",
    "SOURCE": "flowkit.core.caching",
    "Policy": "flowkit.core.policies",
    "Rate": "flowkit.core.limits",
    "Retry": "flowkit.core.policies",
    "SQLiteFlowPersistence": "flowkit.runtime.persistence",
    "flow_config": "flowkit.runtime.providers",
    "functions": "flowkit",
    "observe": "flowkit",
    "human_feedback": "flowkit.define.feedback",
    "persist": "flowkit.define.persist",
    "signals": "flowkit.runtime",
    "tasks": "flowkit",
    "build_flow_structure": "flowkit.picture",
    "visualize_flow_structure": "flowkit.picture",
}


if not TYPE_CHECKING:  # else a type checker would believe in any name

    def __getattr__(name: str) -> Any:
        module = _LAZY.get(name)
        if module is None:
            msg = f"module 'flowkit' has no attribute {name!r}"
            raise AttributeError(msg)
        from importlib import import_module

        if name in {"functions", "observe", "runs", "signals", "tasks"}:
            return import_module(f"{module}.{name}")
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if _environ.get("FLOWKIT_OTEL", "0") not in {"", "0"}:
    from flowkit.observe.tracing import trace as _trace

    _trace()
