"""From a flow class to a run: what is known of the class, and the first record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.net import net_of
from flowkit.errors import RunError
from flowkit.runtime import initial
from flowkit.runtime.calls import Call, calls_for, payload_type, validated
from flowkit.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowkit.core.net import Node
    from flowkit.define.compiler import Compiled

__all__ = [
    "Kind",
    "kickoff_payloads",
    "known",
    "new_run",
    "no_scope",
    "payload_for",
]

known: dict[type, Kind] = {}


class Kind:
    """A flow class: its compiled graph, its calls, and the options it was given."""

    __slots__ = (
        "backend",
        "buses",
        "calls",
        "compiled",
        "declared",
        "evict_after",
        "migrations",
        "older",
        "on_conflict",
        "renamed",
        "retention",
        "state",
        "store",
        "types",
        "version",
    )

    def __init__(
        self, compiled: Compiled, on_conflict: str, backend: str, state: Any
    ) -> None:
        self.compiled: Compiled = compiled
        self.calls: tuple[Call, ...] = calls_for(compiled.net, compiled.functions)
        self.on_conflict: str = on_conflict
        self.backend: str = backend
        self.state: Any = state
        self.declared: Any = initial.declared(None, state)
        self.types: dict[tuple[str, str], Any] = {}
        self.buses: list[Any] = []
        self.store: Any = None
        self.evict_after: float = 60.0
        self.version: str = ""
        self.older: tuple[type, ...] = ()
        self.renamed: Mapping[str, str] = {}
        self.migrations: Mapping[str, Any] = {}
        self.retention: Any = None

    def payload_type(self, node: Node, event: str) -> Any:
        """What a step's parameter says an event's payload is, or None."""
        place = node.name, event
        if place not in self.types:
            function = self.compiled.functions[node.name]
            self.types[place] = payload_type(function, event)
        return self.types[place]


def new_run(flow: Any, inputs: Mapping[str, Any] | None) -> Run:
    """A run of a flow object, not begun yet; inputs are in its state.

    Raises:
        RunError: the object runs already.
        InputError: the inputs do not fit.
    """
    cls = type(flow)
    try:
        scope = flow._flowkit
    except AttributeError:
        raise RunError(no_scope(cls)) from None
    kind = known[cls]
    before = scope.run
    if before is not None and before.active:
        msg = (
            f"This {cls.__name__} object runs already. Make one object for each run: "
            f"{cls.__name__}().kickoff(..)"
        )
        raise RunError(msg)
    if before is not None and before.status == "waiting":
        before.cancel("a new kickoff on the same object")
    given = initial.merge_inputs(scope.box, inputs, cls.__name__)
    scope.firing = None
    run = Run(flow, scope, kind.compiled, kind.calls, given)
    most = flow.max_method_calls
    definition = kind.compiled.definition
    if most != definition.max_firings and type(most) is int:
        run.net = net_of(definition._replace(max_firings=most))
    run.patience = kind.evict_after
    run.watchers = [bus.watch for bus in kind.buses]
    scope.run = run
    return run


def no_scope(cls: type) -> str:
    """One sentence for a flow object whose class forgot its base class."""
    return (
        f"{cls.__name__}.__init__ did not call super().__init__(), so there is no "
        f"state and nothing can run. Make that call its first line."
    )


def kickoff_payloads(flow: Any, run: Run) -> dict[str, Any] | None:
    """What a kickoff hands to starts that wait for an event: its inputs.

    Raises:
        InputError: they do not fit the parameter's type.
    """
    starts = run.net.kickoff_starts()
    if not starts or not starts[0].step.begins_on_event:
        return None
    inputs = run.inputs or {}
    return {node.name: payload_for(type(flow), node, inputs) for node in starts}


def payload_for(cls: type, node: Node, payload: Any, event: str = "") -> Any:
    """An event's payload as a step's parameter takes it.

    Raises:
        InputError: all its faults.
    """
    kind = known[cls]
    what = f"The payload for {cls.__name__}.{node.name}"
    return validated(payload, kind.payload_type(node, event), what)
