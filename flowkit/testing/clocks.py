"""Clocks for tests: one that stands still, and one that jumps over waits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowkit.runtime.clock import ManualClock, now, use_clock
from flowkit.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BEGIN", "jumping_clock", "manual_clock", "told_of_waits"]

BEGIN = 1_767_225_600.0
"""2026-01-01 00:00 UTC: when clocks of tests begin."""


@contextmanager
def manual_clock(at: float = BEGIN) -> Iterator[ManualClock]:
    """Within the block the engine's time stands still until ``clock.advance(seconds)``.

    Args:
        at: seconds since the epoch to begin with.
    """
    clock = ManualClock(at)
    before = use_clock(clock)
    try:
        yield clock
    finally:
        use_clock(before)


@contextmanager
def jumping_clock(at: float = BEGIN) -> Iterator[ManualClock]:
    """A clock that stands still while steps work and jumps when all of them wait.

    A step that sleeps for 14 days, a timer or the timeout of a question costs no
    time: once nothing else is left to do in a run, the clock goes on to the next
    time it waits for. Runs of an :class:`~flowkit.EventBus` are not looked after.

    Args:
        at: seconds since the epoch to begin with.
    """
    with manual_clock(at) as clock:

        def jump(run: Run) -> None:
            due = run.due
            if due is not None:
                clock.advance(max(0.0, due - now()))

        with told_of_waits(jump):
            yield clock


@contextmanager
def told_of_waits(told: Callable[[Run], None]) -> Iterator[None]:
    """Within the block ``told`` hears of every run that can only wait.

    Runs wait for times in memory meanwhile, however far away these are.
    """
    cls: Any = Run
    stays, at_rest, rest = cls.stays, cls.at_rest, cls.rest

    def rest_and_tell(run: Run, resting: bool = True) -> None:  # noqa: FBT001, FBT002 - the engine's
        rest(run, resting)
        if resting and "at_rest" in vars(run):  # its caller is told, or its bus
            told(run)

    cls.stays = lambda _run, _due: True
    cls.at_rest = lambda run, resting: told(run) if resting else None  # once resumed
    cls.rest = rest_and_tell
    cls.on_wait.append(told)
    try:
        yield
    finally:
        cls.on_wait.remove(told)
        cls.stays, cls.at_rest, cls.rest = stays, at_rest, rest
