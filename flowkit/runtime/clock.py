"""The one clock of the engine: real, or moved by hand.

Every time a run sees comes from here, so a test sets the time and none sleeps.
"""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Clock",
    "ManualClock",
    "block_until",
    "current_clock",
    "now",
    "sleep_until",
    "use_clock",
    "wait_until",
]

LONGEST = 30.0
"""Seconds after which a waiter looks at the clock again: somebody may have set it."""


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
        self._lock = threading.Lock()
        self._calls: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()

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
        with self._lock:
            self._at += seconds
            due = sorted(each[:2] for each in self._calls if each[0] <= self._at)
            calls = {each[:2]: each[2] for each in self._calls}
            self._calls = [each for each in self._calls if each[0] > self._at]
        for place in due:
            calls[place]()

    def call_at(self, at: float, call: Callable[[], object]) -> Callable[[], None]:
        """Call something once the clock has come to ``at``; gives what takes it back.

        It is called in the thread that moves the clock.
        """
        entry = at, next(self._numbers), call
        with self._lock:
            passed = at <= self._at
            if not passed:
                self._calls.append(entry)
        if passed:
            call()

        def take_back() -> None:
            with self._lock:
                if entry in self._calls:
                    self._calls.remove(entry)

        return take_back


_SYSTEM: Final = _SystemClock()
_clock: Clock = _SYSTEM


def current_clock() -> Clock:
    """The clock in use."""
    return _clock


def now() -> float:
    """Seconds since the epoch, by the clock in use."""
    return time.time() if _clock is _SYSTEM else _clock.now()


def use_clock(clock: Clock | None) -> Clock:
    """Read the time from ``clock`` from now on, or from the system again.

    Returns:
        The clock used before, to put back.
    """
    global _clock  # noqa: PLW0603 - the engine has one clock on purpose
    before = _clock
    _clock = _SYSTEM if clock is None else clock
    return before


async def wait_until(at: float | None, happened: Any, soon: Any) -> bool:
    """Wait for an event of anyio, at most until a time of the clock in use.

    Args:
        at: seconds since the epoch; None waits as long as it takes.
        happened: the event.
        soon: calls a function on this event loop, from any thread.

    Returns:
        Whether the event came.
    """
    import anyio  # a loop runs, so it is there

    if at is None:
        await happened.wait()
        return True
    call_at = getattr(_clock, "call_at", None)
    if call_at is None:
        while not happened.is_set() and (left := at - now()) > 0:
            with anyio.move_on_after(min(left, LONGEST)):
                await happened.wait()
        return bool(happened.is_set())
    woken = anyio.Event()
    take_back = call_at(at, lambda: soon(woken.set))
    try:
        async with anyio.create_task_group() as group:

            async def watch(event: Any) -> None:
                await event.wait()
                group.cancel_scope.cancel()

            group.start_soon(watch, happened)
            group.start_soon(watch, woken)
    finally:
        take_back()
    return bool(happened.is_set())


async def sleep_until(at: float) -> None:
    """Wait for a time of the clock in use."""
    import anyio  # a loop runs, so it is there

    from flowkit.runtime.loops import loop_caller

    await wait_until(at, anyio.Event(), loop_caller())


def block_until(at: float | None, happened: threading.Event) -> bool:
    """The same in a thread."""
    if at is None:
        happened.wait()
        return True
    call_at = getattr(_clock, "call_at", None)
    if call_at is None:
        while not happened.is_set() and (left := at - now()) > 0:
            happened.wait(min(left, LONGEST))
        return happened.is_set()
    woken = threading.Event()
    came: list[bool] = []

    def note() -> None:
        came.append(happened.is_set())
        woken.set()

    take_back = call_at(at, note)
    while not (woken.is_set() or happened.is_set()):
        happened.wait(0.02)
    take_back()
    return happened.is_set()
