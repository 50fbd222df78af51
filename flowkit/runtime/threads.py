"""Worker threads for synchronous steps.

Our own daemon threads rather than anyio's: a step that never returns must neither
keep the process alive nor take a place from other steps. A cancelled call is
abandoned; what it gives later is handed to ``late`` and counts for nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from flowkit.runtime.loops import loop_caller

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Threads", "pool"]


class _Call:
    __slots__ = (
        "abandoned",
        "ended",
        "error",
        "event",
        "function",
        "late",
        "soon",
        "told",
        "value",
    )

    def __init__(self, function: Callable[[], Any], late: Callable[..., None]) -> None:
        self.function = function
        self.late = late
        self.event = anyio.Event()
        self.soon = loop_caller()
        self.abandoned = False
        self.ended = False
        self.told = deque([self.tell_late])
        self.value: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.value = self.function()
        except BaseException as error:  # noqa: BLE001 - raised again by the waiter
            self.error = error
        self.ended = True
        if self.abandoned:
            self.tell_once()
            return
        try:
            self.soon(self.event.set)
        except RuntimeError:  # the loop is gone: nobody waits any more
            self.tell_once()

    def give_up(self) -> None:
        """Nobody waits any more; whoever comes second, here or there, tells it."""
        self.abandoned = True
        if self.ended:
            self.tell_once()

    def tell_once(self) -> None:
        with suppress(IndexError):
            self.told.pop()()

    def tell_late(self) -> None:
        self.late(self.value, self.error)


class Threads:
    """A pool that grows to ``most`` threads and lets idle ones go.

    Args:
        most: threads at a time; further calls wait their turn, first come first
            served.
        idle: seconds after which a thread without work ends.
    """

    def __init__(self, most: int = 64, idle: float = 10.0) -> None:
        self.most = most
        self.idle = idle
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._count = 0
        self._free = 0

    async def run(self, function: Callable[[], Any], late: Callable[..., None]) -> Any:
        """The result of ``function`` called in a worker thread.

        Cancelled while it runs, the call is abandoned: ``late(value, error)`` is
        called in its thread when it ends after all.
        """
        call = _Call(function, late)
        self._submit(call)
        try:
            await call.event.wait()
        except BaseException:
            call.give_up()
            self._withdraw(call)
            raise
        if call.error is not None:
            try:
                raise call.error
            finally:
                call.error = None
        return call.value

    def _submit(self, call: _Call) -> None:
        with self._changed:
            self._calls.append(call)
            if self._free >= len(self._calls):
                self._changed.notify()
            elif self._count < self.most:
                self._count += 1
                name = f"flowkit-{self._count}"
                threading.Thread(target=self._work, name=name, daemon=True).start()

    def _withdraw(self, call: _Call) -> None:
        with self._changed:
            if call in self._calls:
                self._calls.remove(call)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._free += 1
                while not self._calls:
                    if not self._changed.wait(self.idle) and not self._calls:
                        self._free -= 1
                        self._count -= 1
                        return
                self._free -= 1
                call = self._calls.popleft()
            call.run()
            del call


pool: Threads = Threads()
