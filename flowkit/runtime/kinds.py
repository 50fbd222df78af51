"""What is known of a flow class: its compiled graph, its calls, its options."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from flowkit.runtime import initial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowkit.core.net import Node
    from flowkit.core.policies import Policy
    from flowkit.define.compiler import Compiled
    from flowkit.runtime.calls import Call

__all__ = ["Kind", "known", "no_scope"]

known: dict[type, Kind] = {}
_WAITS = frozenset({"wait_for", "wait_any"})


class Kind:
    """A flow class: its compiled graph, its calls, and the options it was given."""

    __slots__ = (
        "_waited",
        "admission",
        "backend",
        "buses",
        "calls",
        "compiled",
        "deadline",
        "declared",
        "defaults",
        "evict_after",
        "lifetime",
        "max_depth",
        "migrations",
        "older",
        "on_conflict",
        "on_error",
        "place",
        "renamed",
        "retention",
        "sla",
        "state",
        "store",
        "types",
        "version",
    )

    def __init__(
        self,
        compiled: Compiled,
        on_conflict: str,
        backend: str,
        state: Any,
        place: str = "",
    ) -> None:
        from flowkit.runtime.calls import calls_for  # with the first class

        self.compiled: Compiled = compiled
        self.calls: tuple[Call, ...] = calls_for(compiled.net, compiled.functions)
        if compiled.flows:
            from flowkit.runtime.subflows import flow_calls  # only who calls one

            self.calls = flow_calls(self.calls, compiled.net.nodes, compiled.flows)
        if compiled.reviews:
            from flowkit.runtime.feedback import reviewed_calls  # only who is reviewed

            names = [node.name for node in compiled.net.nodes]
            self.calls = reviewed_calls(self.calls, compiled.reviews, names)
        streams = compiled.net.gathers or any(node.each for node in compiled.net.nodes)
        if streams:
            from flowkit.runtime.streams import streaming_calls  # only who fans out

            self.calls = streaming_calls(self.calls, compiled.net)
        self.place: str = place
        self.calls = self.ruled(self.calls)
        self.on_conflict: str = on_conflict
        self.backend: str = backend
        self.state: Any = state
        self.declared: Any = initial.declared(None, state)
        self.types: dict[tuple[str, str], Any] = {}
        self.buses: list[Any] = []
        self.store: Any = None
        self._waited: frozenset[str] | None = None
        self.evict_after: float = 60.0
        self.lifetime: float | None = None
        self.max_depth: int = 50
        self.version: str = ""
        self.older: tuple[type, ...] = ()
        self.renamed: Mapping[str, str] = {}
        self.migrations: Mapping[str, Any] = {}
        self.retention: Any = None
        self.sla: Mapping[str, float] = {}
        self.defaults: Policy | None = None
        self.on_error: str = "fail_fast"
        self.deadline: float | None = None
        self.admission: Any = None

    def ruled(self, calls: tuple[Call, ...]) -> tuple[Call, ...]:
        """The calls of all steps under their policies, those that repeat repeated."""
        compiled = self.compiled
        if compiled.policies:
            from flowkit.runtime.governed import govern  # only who has policies

            govern(calls, compiled, self.place)
        if compiled.tests:
            from flowkit.runtime.turns import repeating_calls  # only who repeats

            calls = repeating_calls(calls, compiled.net, compiled.tests)
        return calls

    @property
    def waited_names(self) -> frozenset[str]:
        """Text in steps that wait for events in their body: names they may mean."""
        if self._waited is None:
            codes = [
                getattr(getattr(function, "__wrapped__", function), "__code__", None)
                for function in self.compiled.functions.values()
            ]
            self._waited = frozenset(
                text
                for code in codes
                if code is not None and not _WAITS.isdisjoint(code.co_names)
                for text in code.co_consts
                if isinstance(text, str)
            )
        return self._waited

    def payload_type(self, node: Node, event: str) -> Any:
        """What a step's parameter says an event's payload is, or None."""
        place = node.name, event
        if place not in self.types:
            from flowkit.runtime.calls import payload_type  # only who gets events

            kind = payload_type(self.compiled.functions[node.name], event)
            if node.special or node.triggers:
                from flowkit.runtime.portions import carried_type  # joins and groups

                kind = carried_type(node, event, kind)
            self.types[place] = kind
        return self.types[place]


def no_scope(cls: type) -> str:
    """One sentence for a flow object whose class forgot its base class."""
    return (
        f"{cls.__name__}.__init__ did not call super().__init__(), so there is no "
        f"state and nothing can run. Make that call its first line."
    )


if "--multiprocessing-fork" in sys.orig_argv:  # maybe it is an isolated step's
    from flowkit.runtime.spawn_guard import guard

    guard(known)
