"""The one clock of the engine: real, or moved by hand.

Every time a run sees comes from here, so a test sets the time and none sleeps.
"""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "current_clock", "now", "use_clock"]


class Clock(Protocol):
    """Where the engine reads the time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class _SystemClock:
    def now(self) -> float:
        return time.time()


class ManualClock:
    """A clock that stands still until it is moved.

    Args:
        at: seconds since the epoch to begin with.
    """

    def __init__(self, at: float = 0.0) -> None:
        self._at = at

    def now(self) -> float:
        """Seconds since the epoch, as last set."""
        return self._at

    def advance(self, seconds: float) -> None:
        """Move on.

        Raises:
            ValueError: time would run backwards.
        """
        if seconds < 0:
            msg = f"A clock moves forward; {seconds} seconds would move it back."
            raise ValueError(msg)
        self._at += seconds


_clock: Clock = _SystemClock()


def current_clock() -> Clock:
    """The clock in use."""
    return _clock


def now() -> float:
    """Seconds since the epoch, by the clock in use."""
    return _clock.now()


def use_clock(clock: Clock | None) -> Clock:
    """Read the time from ``clock`` from now on, or from the system again.

    Returns:
        The clock used before, to put back.
    """
    global _clock  # noqa: PLW0603 - the engine has one clock on purpose
    before = _clock
    _clock = _SystemClock() if clock is None else clock
    return before
