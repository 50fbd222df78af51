"""From a flow object to a run: what a kickoff begins, and its first record."""

from __future__ import annotations

from functools import partial
from os import environ
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.net import net_of
from flowkit.errors import RunError, RunExistsError
from flowkit.runtime import initial
from flowkit.runtime.blocking import drive_blocking, in_thread, run_async, spawn
from flowkit.runtime.calls import validated
from flowkit.runtime.clock import now
from flowkit.runtime.kinds import Kind, known, no_scope
from flowkit.runtime.loops import in_running_loop, on_trio
from flowkit.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from flowkit.core.net import Node
    from flowkit.journal.rows import RunRow
    from flowkit.runtime.persisting import Keeper
    from flowkit.runtime.scope import Scope

__all__ = [
    "Said",
    "keeper_for",
    "kickoff",
    "kickoff_of_its_own",
    "kickoff_payloads",
    "local_time",
    "new_run",
    "opened",
    "payload_for",
    "reopened",
    "required",
    "start",
    "store_of",
]


class Said(NamedTuple):
    """What a kickoff says of its run beside the inputs."""

    id: str | None
    restore: Any
    tags: Iterable[str]
    created_by: str


def kickoff(flow: Any, inputs: Mapping[str, Any] | None, said: Said) -> Any:
    """Run a flow to its end, from blocking code or a thread's running loop."""
    if in_running_loop():
        backend = "trio" if on_trio() else known[type(flow)].backend
        return in_thread(
            lambda: _kickoff(flow, inputs, backend, said), lambda: _interrupt(flow)
        )
    return _kickoff(flow, inputs, known[type(flow)].backend, said)


def _kickoff(
    flow: Any, inputs: Mapping[str, Any] | None, backend: str, said: Said
) -> Any:
    run = opened(flow, inputs, said, blocking=True)
    drive_blocking(run, backend)
    while run.lost and (again := reopened(run, inputs, said, blocking=True)):
        run = again
        drive_blocking(run, backend)
    return run.outcome()


def kickoff_of_its_own(flow: Any, inputs: Any, id: str | None, restore: Any) -> Any:
    """The ``kickoff_async`` that a subclass has made its own, run to its end."""
    backend = "trio" if on_trio() else known[type(flow)].backend
    given = {"id": id, "restore_from_state_id": restore}
    given = {name: value for name, value in given.items() if value is not None}

    def run() -> Any:
        return run_async(partial(flow.kickoff_async, inputs, **given), backend=backend)

    return in_thread(run, lambda: _interrupt(flow)) if in_running_loop() else run()


def start(flow: Any, inputs: Mapping[str, Any] | None, said: Said) -> Run:
    """Begin a run, which goes on in a thread of its own."""
    run = opened(flow, inputs, said, blocking=True, verb="start")
    run.active = not run.over
    spawn(lambda: drive_blocking(run, known[type(flow)].backend))
    return run


def opened(
    flow: Any,
    inputs: Mapping[str, Any] | None,
    said: Said,
    *,
    blocking: bool,
    met: RunRow | None = None,
    verb: str = "kickoff",
) -> Run:
    """The run of a kickoff, begun; with a store it may be one that goes on."""
    store, lenient = store_of(flow)
    call = flow._flowkit.options.get("call")
    if store is None:
        if said.id is not None:
            msg = (
                f"{type(flow).__name__}.{verb}(id=..) needs a store to find the run "
                f"again. Give the flow one: {type(flow).__name__}(store='sqlite:///"
                f"app.db')."
            )
            raise RunError(msg)
        run = new_run(flow, inputs, said.restore)
        if call is not None:
            call.adopt(run)
        run.begin(None, kickoff_payloads(flow, run))
        return run
    from flowkit.runtime.opening import begun_or_resumed, store_for

    options = said._asdict() if call is None else {**said._asdict(), **call.said}
    run, fresh = begun_or_resumed(flow, inputs, store_for(store), met=met, **options)
    flow._flowkit.run = run
    if call is not None:
        call.adopt(run)
    if run.journal is not None:
        run.journal.blocking = blocking
        run.journal.lenient = lenient
    if fresh:
        run.begin(None, kickoff_payloads(flow, run))
    return run


def reopened(
    run: Run, inputs: Mapping[str, Any] | None, said: Said, *, blocking: bool
) -> Run | None:
    """The run that another process began in the same moment, in the way of this."""
    met = run.lost.row if isinstance(run.lost, RunExistsError) else None
    return met and opened(run.flow, inputs, said, blocking=blocking, met=met)


def _interrupt(flow: Any) -> None:
    run = flow._flowkit.run
    if run is not None:
        run.cancel("KeyboardInterrupt")


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
