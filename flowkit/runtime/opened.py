"""A kickoff from its call to its outcome: the run is opened, driven, and told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.errors import RunError, RunExistsError
from flowkit.runtime.blocking import drive_blocking, in_thread, run_async, spawn
from flowkit.runtime.kinds import known
from flowkit.runtime.launch import kickoff_payloads, new_run, store_of
from flowkit.runtime.loops import in_running_loop, on_trio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowkit.journal.rows import RunRow
    from flowkit.runtime.run import Run

__all__ = ["Said", "kickoff", "kickoff_of_its_own", "opened", "reopened", "start"]


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
        _await_nobody(run, verb)
        if call is not None:
            call.adopt(run)
        run.begin(None, kickoff_payloads(flow, run))
        return run
    from flowkit.runtime.opening import begun_or_resumed, store_for

    options = said._asdict() if call is None else {**said._asdict(), **call.said}
    run, fresh = begun_or_resumed(flow, inputs, store_for(store), met=met, **options)
    flow._flowkit.run = run
    _await_nobody(run, verb)
    if call is not None:
        call.adopt(run)
    if run.journal is not None:
        run.journal.blocking = blocking
        run.journal.lenient = lenient
    if fresh:
        run.begin(None, kickoff_payloads(flow, run))
    return run


def _await_nobody(run: Run, verb: str) -> None:
    """A run that is started is awaited by nobody, wherever that is."""
    if verb == "start" and run.admission is not None:
        run.admission.alone = True


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
