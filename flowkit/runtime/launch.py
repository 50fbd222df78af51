"""From a flow object to a run that has not begun: its inputs, its payloads."""

from __future__ import annotations

from os import environ
from typing import TYPE_CHECKING, Any

from flowkit.core.net import net_of
from flowkit.errors import RunError
from flowkit.runtime import initial
from flowkit.runtime.calls import validated
from flowkit.runtime.clock import now
from flowkit.runtime.kinds import Kind, known, no_scope
from flowkit.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from flowkit.core.net import Node
    from flowkit.runtime.persisting import Keeper
    from flowkit.runtime.scope import Scope

__all__ = [
    "keeper_for",
    "kickoff_payloads",
    "local_time",
    "new_run",
    "payload_for",
    "required",
    "store_of",
]


def new_run(flow: Any, inputs: Mapping[str, Any] | None, restore: Any = None) -> Run:
    """A run of a flow object, not begun yet; inputs are in its state.

    Args:
        flow: the object.
        inputs: of the kickoff; a state saved under ``inputs["id"]`` is loaded.
        restore: the id of the state to load instead.

    Raises:
        RunError: the object runs already, or there is nothing to load from.
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
    if before is not None and before.status == "waiting" and before.journal is None:
        before.cancel("a new kickoff on the same object")
    if restore is not None or (inputs and initial.has_id(inputs)):
        inputs = _loaded(flow, scope, kind, inputs, restore)
    given = initial.merge_inputs(scope.box, inputs, cls.__name__)
    scope.firing = None
    run = Run(flow, scope, kind.compiled, kind.calls, given)
    if kind.compiled.saved or getattr(cls, "__flowkit_saved__", None) is not None:
        run.keeper = keeper_for(flow, kind)
    most = flow.max_method_calls
    definition = kind.compiled.definition
    if most != definition.max_firings and type(most) is int:
        run.net = net_of(definition._replace(max_firings=most))
    run.patience = kind.evict_after
    run.lifetime = kind.lifetime
    if kind.deadline is not None:
        run.limit = kind.deadline
    if kind.admission is not None:
        from flowkit.runtime.admission import Stay  # only flows that bound their runs

        run.admission = Stay(kind.admission)
    if kind.buses:
        run.watchers = [bus.watch for bus in kind.buses]
    scope.run = run
    return run


def keeper_for(flow: Any, kind: Kind) -> Keeper | None:
    """What saves this object's states, None if nothing is to be saved."""
    whole = getattr(type(flow), "__flowkit_saved__", None)
    if whole is None and not kind.compiled.saved:
        return None
    from flowkit.runtime.persisting import Keeper  # only who saves pays

    return Keeper(flow, whole, kind.compiled.saved)


def _loaded(flow: Any, scope: Scope, kind: Kind, inputs: Any, source: Any) -> Any:
    """Bring a saved state into the object, if there is one; gives the inputs."""
    from flowkit.runtime.persisting import loaded_inputs  # only who loads pays

    cls = type(flow)

    def fresh() -> Any:
        given = initial.declared(flow.initial_state, kind.state)
        return initial.box(given, cls.__name__)

    strict = kind.compiled.definition.strict
    return loaded_inputs(flow, scope, inputs, source, strict=strict, fresh=fresh)


def kickoff_payloads(flow: Any, run: Run) -> dict[str, Any] | None:
    """What a kickoff hands to starts that wait for an event: its inputs.

    Those that wait for a time are handed the time it is now.

    Raises:
        InputError: they do not fit the parameter's type.
    """
    starts = run.net.kickoff_starts()
    if not starts or not starts[0].step.begins_runs:
        return None
    payloads = {}
    for node in starts:
        payload: Any = run.inputs or {}
        if node.step.schedule is not None:
            payload = local_time(now(), node.step.schedule.tz)
        payloads[node.name] = payload_for(type(flow), node, payload)
    return payloads


def local_time(at: float, tz: str) -> datetime:
    """A time as a schedule's start is handed it: aware, in the schedule's zone."""
    from datetime import datetime

    from flowkit.runtime.schedules import zone_of  # only flows with schedules pay

    return datetime.fromtimestamp(at, zone_of(tz))


def payload_for(cls: type, node: Node, payload: Any, event: str = "") -> Any:
    """An event's payload as a step's parameter takes it.

    Raises:
        InputError: all its faults.
    """
    kind = known[cls]
    what = f"The payload for {cls.__name__}.{node.name}"
    return validated(payload, kind.payload_type(node, event), what)


def required(flow: Any, payload: Any) -> dict[str, Any] | None:
    """What a state with required fields takes from the payload that begins a run."""
    box = flow._flowkit.box
    if not box.incomplete:
        return None
    fields = type(box.live).model_fields
    carried = payload if isinstance(payload, dict) else getattr(payload, "__dict__", {})
    return {
        field: carried[field]
        for field, info in fields.items()
        if info.is_required() and field in carried
    }


def store_of(flow: Any) -> tuple[Any, bool]:
    """Where a flow object's runs are kept, and whether in part is good enough.

    The object's own store, its class's, ``FLOWKIT_STORE``; else the one behind an
    SQLite persistence, which keeps a position as long as all of it can be stored.
    None: in memory.

    Raises:
        RunError: the object was not set up.
    """
    cls = type(flow)
    try:
        store = flow._flowkit.options.get("store") or known[cls].store
    except AttributeError:
        raise RunError(no_scope(cls)) from None
    if store is None:
        store = environ.get("FLOWKIT_STORE") or None
    if store is not None:
        return store, False
    backend = getattr(flow, "persistence", None)
    if backend is None:
        return None, False
    return getattr(backend, "journal_store", None), True
