"""One thread that calls functions at times of the clock in use.

For times that come while a run is at work elsewhere: the end of a step's patience,
a retry beside other steps. The thread starts with the first such time and keeps no
process alive. What it calls must be quick and safe to call from any thread.
"""

from __future__ import annotations

import threading
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from flowkit.runtime.clock import LONGEST, current_clock, now

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["call_at"]

MOST_DROPPED = 1_000


class _Entry:
    __slots__ = ("call", "due", "number")

    def __init__(self, due: float, number: int, call: Callable[[], object]) -> None:
        self.due = due
        self.number = number
        self.call: Callable[[], object] | None = call

    def __lt__(self, other: _Entry) -> bool:
        return (self.due, self.number) < (other.due, other.number)


class _Alarms:
    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._changed = threading.Condition()
        self._numbers = count()
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def call_at(self, due: float, call: Callable[[], object]) -> Callable[[], None]:
        entry = _Entry(due, next(self._numbers), call)
        with self._changed:
            heappush(self._entries, entry)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._work, name="flowkit-alarm", daemon=True
                )
                self._thread.start()
            elif self._entries[0] is entry:
                self._changed.notify()

        def take_back() -> None:
            entry.call = None
            self._dropped += 1
            if self._dropped > MOST_DROPPED:
                self._tidy()

        return take_back

    def _tidy(self) -> None:
        """Forget what was taken back, when there is much of it."""
        with self._changed:
            self._dropped = 0
            self._entries = [each for each in self._entries if each.call is not None]
            heapify(self._entries)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._entries or self._entries[0].due > now():
                    left = None
                    if self._entries:  # somebody may set the clock
                        left = min(LONGEST, max(0.0, self._entries[0].due - now()))
                    self._changed.wait(left)
                call = heappop(self._entries).call
            if call is not None:
                call()
            del call  # it may hold a run, and the next time may be far


_alarms = _Alarms()


def call_at(due: float, call: Callable[[], object]) -> Callable[[], None]:
    """Call something once ``due`` has come, in another thread.

    Args:
        due: seconds since the epoch, by the clock in use.
        call: is called once, unless it is taken back before.

    Returns:
        A function that takes it back.
    """
    by_hand = getattr(current_clock(), "call_at", None)
    if by_hand is not None:  # in the thread that moves the clock
        taken: Callable[[], None] = by_hand(due, call)
        return taken
    return _alarms.call_at(due, call)
