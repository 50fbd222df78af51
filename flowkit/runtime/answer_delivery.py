"""An answer on its way to the run that waits for it, and who drives it then.

A run that is driven takes it there; one that rests goes on where its bus is, else in
the caller's thread if this process has it. Otherwise it lies in the run's inbox for
whoever drives the run next.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowkit.errors import RunError
from flowkit.journal.codec import encode
from flowkit.journal.rows import Accept, Delivery
from flowkit.journal.writer import writer_of
from flowkit.runtime import desk, trail
from flowkit.runtime.clock import now
from flowkit.runtime.durable import flow_name
from flowkit.runtime.inbox import drive_on
from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from flowkit.journal.base import Store
    from flowkit.runtime.run import Run
    from flowkit.runtime.tasks import Found

__all__ = ["hand_in"]


def hand_in(found: Found, said: dict[str, Any]) -> bool:
    """Hand an answer in; whether it was the first one.

    Raises:
        UnstorableError: the store cannot keep it.
        Exception: whatever ended the run, if it went on in this thread.
    """
    token = found.task.token
    name = desk.answer_name(token)
    if found.store is None:
        place = desk.take(token)
        run = None if place is None else place.run
        if run is None:
            return False
        run.event(name, said, None, name)
        _go_on(run)
        return True
    share = Delivery(found.task.flow, encode(said, f"the answer to {token!r}"))
    move = Accept(name, None, name, now(), (share,), trail.here() or None)
    outcome = writer_of(found.store).now(move)
    if outcome.duplicate or outcome.fates[0].how != "run":
        return False
    place = desk.take(token)
    _wake(found, found.store, None if place is None else place.run)
    return True


def _go_on(run: Run) -> None:
    """A run of this process alone has an answer in its line."""
    if run.active:
        run.rest(resting=False)
        if run.hurry is not None:
            run.hurry()
        return
    kind = known[type(run.flow)]
    if not any(bus.takes_on(run, run.id, None) for bus in kind.buses):
        drive_on(run, kind.backend)


def _wake(found: Found, store: Store, run: Run | None) -> None:
    """A stored run has an answer in its inbox."""
    if run is not None and run.active and _told(run):
        return
    name = found.task.flow
    kind = next(
        (kind for cls, kind in [*known.items()] if flow_name(cls) == name), None
    )
    if run is not None:
        kind = known[type(run.flow)]
    if kind is None:  # the flow lives elsewhere
        return
    if any(bus.takes_on(run, found.task.run, store) for bus in kind.buses):
        return
    if run is None:
        return
    with suppress(RunError):  # else somebody else moves it, and takes the answer
        run.journal.acquire(run)
        run.journal.collect(run)
    if run.pending or run.ready:
        drive_on(run, kind.backend)


def _told(run: Run) -> bool:
    """Have whoever drives a run look into its inbox; whether that will be done."""
    journal = run.journal
    run.rest(resting=False)
    run.pending.append(lambda: journal.collect(run))
    if run.hurry is not None:
        run.hurry()
    return run.active
