"""Where an event bus does its work: in the caller's event loop, or in a thread.

Entered with ``async with``, the bus works in that task group. Otherwise a daemon
thread with an event loop of its own starts with the first piece of work.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from flowkit.runtime import signals
from flowkit.runtime.loops import loop_caller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Workshop"]

Job = "Callable[[], Awaitable[None]]"


class Workshop:
    """Runs jobs side by side, at most ``limit`` at a time, in the order given."""

    def __init__(self, backend: str, limit: int) -> None:
        self.backend = backend
        self.limit = limit
        self._jobs: deque[Callable[[], Awaitable[None]]] = deque()
        self._changed = threading.Condition(threading.RLock())
        self._open = 0
        self._called = False
        self._running = 0
        self._group: Any = None
        self._soon: Callable[[Callable[[], None]], None] | None = None
        self._thread: threading.Thread | None = None
        self._ended: Any = None
        self._waiters: list[Callable[[], None]] = []
        self.beside: Callable[[], Awaitable[None]] | None = None
        self.let_go: Callable[[], None] | None = None
        self._stay: Any = None
        self._tended: list[Callable[[], Awaitable[None]]] = []
        self._scopes: set[anyio.CancelScope] = set()
        self._leaving = False

    def begin(self) -> None:
        """Start the thread, if there is no loop to work in yet."""
        with self._changed:
            if self._soon is None and self._thread is None:
                self._start_thread()

    async def _beside(self) -> None:
        """What goes on beside the jobs, until the work ends."""
        assert self.beside is not None  # noqa: S101 - asked before
        if self._leaving:  # before this had begun
            return
        with anyio.CancelScope() as self._stay:
            await self.beside()

    def tend(self, job: Callable[[], Awaitable[None]]) -> None:
        """Have a job done beside the others as long as there are any to come.

        Nobody waits for it: it is cancelled when the shop closes, and begun again if
        the shop moves into another event loop.
        """
        with self._changed:
            self._tended.append(job)
            soon = self._soon
            if soon is None and self._thread is None:
                self._start_thread()
        if soon is not None:
            soon(partial(self._begin_tending, (job,)))

    def _begin_tending(self, jobs: Sequence[Callable[[], Awaitable[None]]]) -> None:
        for job in jobs:
            if self._group is not None:
                self._group.start_soon(self._tend, job)

    async def _tend(self, job: Callable[[], Awaitable[None]]) -> None:
        if self._leaving:
            return
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            await job()
        self._scopes.discard(scope)

    def _end_tending(self) -> None:
        self._leaving = True
        if self._stay is not None:
            self._stay.cancel()
        for scope in self._scopes:
            scope.cancel()

    def put(self, job: Callable[[], Awaitable[None]]) -> None:
        """Have a job done; returns at once."""
        with self._changed:
            self._open += 1
            self._jobs.append(job)
            soon = None if self._called else self._soon
            if self._soon is None and self._thread is None:
                self._start_thread()
            self._called = self._called or soon is not None
        if soon is not None:
            soon(self._pump)

    def _pump(self) -> None:
        self._called = False
        while self._jobs and self._running < self.limit and self._group is not None:
            self._running += 1
            self._group.start_soon(self._do, self._jobs.popleft())

    async def _do(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001 - one job must not end the others
            signals.log().error("a job of the bus failed", exc_info=error)
        finally:
            self._running -= 1
            self._done()
            self._pump()

    def rests(self, resting: bool) -> None:  # noqa: FBT001 - one switch
        """A job only waits from now on, or works again: it takes no place meanwhile."""
        if resting:
            self._running -= 1
            self._done()
            self._pump()
            return
        self._running += 1
        with self._changed:
            self._open += 1

    def aside(self, waiting: bool) -> None:  # noqa: FBT001 - one switch
        """A job waits for others, or goes on: open, it takes no place meanwhile."""
        self._running += -1 if waiting else 1
        if waiting:
            self._pump()

    def _done(self) -> None:
        with self._changed:
            self._open -= 1
            if self._open:
                return
            self._changed.notify_all()
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()

    async def enter(self) -> None:
        """Work in the running event loop from now on."""
        if self._thread is not None:  # what is tended began there
            await anyio.to_thread.run_sync(self._end_thread)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._open_for_work()
        self._pump()

    def _open_for_work(self) -> None:
        with self._changed:
            self._soon = loop_caller()
            self._leaving = False
            tended = tuple(self._tended)
            self._changed.notify_all()
        self._begin_tending(tended)
        if self.beside is not None:
            self._group.start_soon(self._beside)

    async def leave(self, *error: Any) -> None:
        """Finish what is open, or cancel it if the block failed."""
        if error[0] is None:
            self._group.start_soon(self._wind_up)  # what is open may add more
        else:
            self._jobs.clear()  # none of these begins any more
            self._group.cancel_scope.cancel()
        try:
            await self._group.__aexit__(*error)
        finally:
            self._soon = self._group = None
            self._forget()

    async def _wind_up(self) -> None:
        await self.wait_async()
        if self.let_go is not None:
            self.let_go()
        self._end_tending()

    def _forget(self) -> None:
        """Nothing is open any more: what was cancelled will not say it is done."""
        with self._changed:
            self._jobs.clear()
            self._tended.clear()
            self._scopes.clear()
            self._open = self._running = 0
            self._called = False
            self._changed.notify_all()
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()

    def _start_thread(self) -> None:
        def work() -> None:
            anyio.run(self._serve, backend=self.backend)

        self._thread = threading.Thread(target=work, name="flowkit-bus", daemon=True)
        self._thread.start()

    async def _serve(self) -> None:
        self._ended = anyio.Event()
        async with anyio.create_task_group() as self._group:
            self._open_for_work()
            self._pump()
            await self._ended.wait()
            if self.let_go is not None:
                self.let_go()
            self._end_tending()
        self._group = None

    def close(self) -> None:
        """End the thread once its jobs are done; blocks."""
        self._end_thread()
        self._tended.clear()

    def _end_thread(self) -> None:
        thread = self._thread
        if thread is None:
            return
        self.wait()
        with self._changed:
            while self._soon is None and thread.is_alive():  # it begins just now
                self._changed.wait(0.5)
            soon, self._soon = self._soon, None
        if soon is not None:
            soon(self._ended.set)
        thread.join()
        self._thread = None

    def wait(self) -> None:
        """Block until nothing is open."""
        with self._changed:
            while self._open:
                self._changed.wait(0.5)

    async def wait_async(self) -> None:
        """Wait until nothing is open, from any event loop."""
        while True:
            with self._changed:
                if not self._open:
                    return
                empty = anyio.Event()
                self._waiters.append(partial(loop_caller(), empty.set))
            await empty.wait()
