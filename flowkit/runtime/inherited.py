"""What a run hands down to the runs that its steps begin: how deep, and until when."""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING

from flowkit.errors import RunawayError
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from flowkit.runtime.run import Run

__all__ = ["context_of", "depth", "over_by", "until"]

MOST_NESTED = 50
depth: ContextVar[int] = ContextVar("flowkit_depth", default=0)
until: ContextVar[float | None] = ContextVar("flowkit_until", default=None)


def context_of(name: str) -> Context:
    """The context of a new run's steps, one level below whoever begins it.

    Raises:
        RunawayError: too many levels lie above the flow of this name.
    """
    nested = depth.get()
    if nested >= MOST_NESTED:
        msg = (
            f"{name} was kicked off inside itself or other flows more than "
            f"{MOST_NESTED} levels deep. Give the recursion an end: a step that does "
            f"not kick off again."
        )
        raise RunawayError(msg)
    context = copy_context()
    context.run(depth.set, nested + 1)
    return context


def over_by(run: Run, limit: float | None) -> None:
    """Set when a run must be over; what it calls must be over then, too.

    Args:
        run: begins now.
        limit: seconds it may take itself, None for no limit of its own.
    """
    own = None if limit is None else now() + limit
    times = [each for each in (own, until.get()) if each is not None]
    run.until = min(times, default=None)
    run.context.run(until.set, run.until)
