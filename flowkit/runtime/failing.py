"""Firings whose work does not count: failed, taken back, given up, too late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.records import StepFailed
from flowkit.errors import StepTimeoutError
from flowkit.runtime import signals
from flowkit.runtime.clock import now
from flowkit.runtime.exits import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run
    from flowkit.runtime.state import Changes

__all__ = [
    "abandoned",
    "broken",
    "discard",
    "failed",
    "fence",
    "is_unheard",
    "late",
    "note",
    "take_back",
    "unkept",
]


def failed(run: Run, firing: Firing, error: BaseException) -> None:
    """Record that a firing has failed; the state is as before it."""
    take_back(run, firing)
    timed_out = isinstance(error, StepTimeoutError)
    if is_unheard(run, firing, timed_out):
        run.failures.append(error)
    if run.children is not None:
        run.children.end(firing)
    metrics = run.measured(firing.id)
    run.apply(StepFailed(now(), firing.id, error, timed_out, metrics))
    if signals.step_failed.receivers:
        said = {"error": error, "metrics": dict(metrics)}
        run.tell_step(signals.step_failed, firing, **said)


def unkept(
    run: Run, firing: Firing, output: Any, error: Exception, *, lenient: bool
) -> None:
    """A result, or a state, that cannot be kept: its step fails.

    Where a position in the store is no promise, the run gives that up instead.
    """
    if lenient:
        run.journal.abandon(run, error)
        run.finish(firing, output)  # with its review, if it has one
        return
    at: Callable[[str], Exception] | None = getattr(error, "at", None)
    if at is not None:  # it tells which step left the value
        error = at(f"{run.net.definition.name}.{firing.node.name}")
    run.fail(firing, error)


def broken(run: Run, error: BaseException) -> None:
    """The engine failed on a run, not a step of it: it stops here and says why."""
    error.add_note(f"flowkit: this stopped {run!r}, and is no error of a step")
    signals.log().error("%r stopped", run, exc_info=error)
    run.failures.append(error)
    run.halt(error)


def take_back(run: Run, firing: Firing) -> None:
    """Forget what an attempt that has failed did to the state, and emitted."""
    if firing.driver is not None:
        discard(run, firing.driver)
        if not firing.driver.view:
            firing.driver.since = -1
    if run.emitted is not None:
        run.emitted.pop(firing.id, None)


def is_unheard(run: Run, firing: Firing, late: bool) -> bool:  # noqa: FBT001
    """Whether a failure is the run's own: nobody listens, no group takes it."""
    if run.marking.undoing is not None:
        return True
    if run.marking.is_undo(firing.id):
        return False  # who has asked for it is told
    return not (firing.lane or firing.node.hears(late=late))


def discard(run: Run, changes: Changes) -> None:
    """Forget what a step did to the state, a wholly new one included."""
    run.box.discard(changes)
    if not changes.view:
        run.root.state = run.box.live


def note(run: Run, firing: Firing, error: BaseException) -> None:
    """Tell in an error which step, attempt and run it comes from."""
    name = f"{run.net.definition.name}.{firing.node.name}"
    text = f"flowkit: step {name}, attempt {firing.attempt}, run {run.id}"
    if text not in getattr(error, "__notes__", ()):
        error.add_note(text)


def late(run: Run, firing: Firing, output: Any, error: BaseException | None) -> None:
    """A result after its firing was cancelled: reported, never counted."""
    if firing.driver is not None:
        discard(run, firing.driver)
    name = f"{run.net.definition.name}.{firing.node.name}"
    about = signals.about(run, firing)
    if error is None:
        text = "%s ended after it was cancelled; its result %.60r does not count"
        signals.log().info(text, name, output, extra=about)
        return
    text = "%s failed after it was cancelled"
    signals.log().error(text, name, exc_info=error, extra=about)
    if run.failures and not isinstance(error, Stop):
        run.failures.append(error)


def fence(run: Run, firing: Firing, thread: int | None) -> None:
    """Give a step up that goes on in a thread: it keeps a state of its own."""
    if thread is not None:
        run.given_up.add(thread)
    changes, firing.driver = firing.driver, None
    if changes is None:
        return
    alone = not changes.view
    run.box.give_up(changes)
    if alone:
        run.root.state = run.box.live
        if thread is not None:
            run.root.set_apart(thread, changes, firing)


def abandoned(
    run: Run,
    firing: Firing,
    value: Any,
    error: BaseException | None,
    thread: int | None = None,
) -> None:
    """A thread that was given up has ended after all."""
    run.root.let_back(thread)
    if thread is not None:
        run.given_up.discard(thread)
    if hasattr(value, "__await__") and hasattr(value, "close"):
        value.close()
    if not isinstance(error, Stop):
        late(run, firing, value, error)
