"""Runs that end before their steps are done: from within, or with the process.

``stop``, ``abort`` and ``compensate`` are asked for by a step, in whichever thread it
runs; an interrupt or a cancelled task comes to whoever moves the run.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flowkit.core.records import RunAborted, RunCancelled, RunCompensated, RunStopped
from flowkit.runtime.clock import now
from flowkit.runtime.exits import Abort, Stop
from flowkit.runtime.failing import discard
from flowkit.runtime.positions import step_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = [
    "abort",
    "compensate",
    "cut_off",
    "interrupted",
    "note_interrupt",
    "stop",
]


def stop(flow: Any, result: Any) -> NoReturn:
    """End the run of a step well, with this result.

    Raises:
        Stop: always; the step is over.
        RunError: no step runs on this object.
    """
    run, firing = step_of(flow, "stop")
    _stop(run, firing, result)
    raise Stop


def abort(flow: Any, reason: str) -> NoReturn:
    """End the run of a step as cancelled.

    Raises:
        Abort: always; the step is over.
        RunError: no step runs on this object.
    """
    run, firing = step_of(flow, "abort")
    _give_up(run, firing, reason, RunAborted)
    raise Abort


def compensate(flow: Any, reason: str) -> NoReturn:
    """End the run of a step and undo what its steps have done.

    Raises:
        Abort: always; the step is over.
        RunError: no step runs on this object.
    """
    run, firing = step_of(flow, "compensate")
    _give_up(run, firing, reason, RunCompensated)
    raise Abort


def _stop(run: Run, firing: Firing, result: Any) -> None:
    """End the run well; what the asking step changed is committed."""
    if _elsewhere(run, lambda: _stop_late(run, firing, result)):
        return
    if firing.id not in run.marking.live:
        return
    changed = run.box.commit(firing.driver, firing.node.name)
    if run.keeper is not None:
        run.keeper.save(run.box, firing.node.name)
    run.last = result
    metrics = run.measured(firing.id)
    run.apply(RunStopped(now(), firing.id, result, changed, metrics))


def _stop_late(run: Run, firing: Firing, result: Any) -> None:
    try:
        _stop(run, firing, result)
    except Exception as error:  # noqa: BLE001 - conflict or lost type
        run.fail(firing, error)


def _give_up(
    run: Run,
    firing: Firing,
    reason: str,
    record: type[RunAborted | RunCompensated],
) -> None:
    """End the run as unsuccessful; what the asking step changed is forgotten."""
    if _elsewhere(run, lambda: _give_up(run, firing, reason, record)):
        return
    if firing.id not in run.marking.live:
        return
    if firing.driver is not None:
        discard(run, firing.driver)
    run.reason = reason
    run.apply(record(now(), firing.id, reason))


def _elsewhere(run: Run, verb: Callable[[], None]) -> bool:
    """Have the thread that moves this run do it, if that is another one."""
    if run.home is None or run.home == threading.get_ident():
        return False
    run.post(verb)
    return True


def interrupted(run: Run, error: BaseException) -> None:
    """Ctrl-C or an exit: the run ends as cancelled, the error goes on."""
    run.interrupt = error
    run.reason = type(error).__name__
    cut_off(run, run.reason)
    note_interrupt(run, error)


def cut_off(run: Run, reason: str) -> None:
    """The process ends this run's work: cancelled, or kept for a later one."""
    run.reason = reason
    if run.journal is None:
        run.apply(RunCancelled(now(), reason))
    elif run.withdrawn:
        run.apply(RunCancelled(now(), reason))
        run.journal.wait(run)
    else:
        run.journal.suspend(run)


def note_interrupt(run: Run, error: BaseException) -> None:
    """Tell in the error itself which steps it ended."""
    name = run.net.definition.name
    steps = [
        f"{name}.{firing.node.name} ({firing.node.step.place})" for firing in run.cut
    ]
    what = type(error).__name__
    at_work = " and ".join(steps) or "no step"
    be = "were" if len(steps) > 1 else "was"
    error.add_note(
        f"flowkit: {what} while {at_work} {be} running; run {run.id} is {_left(run)}."
    )


def _left(run: Run) -> str:
    if run.journal is None or not run.lost_or_kept:
        return run.status
    return f"kept; flowkit.resume({run.id!r}) goes on with it"
