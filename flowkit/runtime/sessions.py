"""A kickoff that is read while it runs: one object is the run, its frames, its result.

The run begins with the first frame that is asked for. It runs beside its reader, on
an event loop in a thread of its own (:class:`StreamSession`) or in a task of the
reader's loop (:class:`AsyncStreamSession`), and never waits for it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Self

from flowkit.errors import RunError
from flowkit.runtime.blocking import SECONDS_TO_END, run_async, spawn
from flowkit.runtime.loops import on_trio
from flowkit.runtime.nested_frames import places, reader_of
from flowkit.runtime.watching import Bell, LoopBell, watch

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
    )

    from flowkit.runtime.frames import StreamFrame
    from flowkit.runtime.run import Run

__all__ = ["AsyncStreamSession", "StreamSession"]

_CLOSED = "its stream was closed"


class _Session:
    """What both kinds of session share.

    Attributes:
        run: the handle of the run; None before the first frame was asked for.
    """

    def __init__(
        self,
        flow: Any,
        go: Callable[[], Awaitable[Any]],
        after: Any = 0,
        *,
        nested: bool = True,
    ) -> None:
        self._flow, self._go = flow, go
        self._after = places(after)
        self._nested = nested
        self.run: Run | None = None
        self.said: dict[str, Any] = {}
        self._frames: list[StreamFrame] = []
        self._reader: Any = None
        self._leave: Callable[[], None] | None = None
        self._adopted = threading.Event()
        self._ended = False
        self._begun = self._exhausted = self._cancelled = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._bell: Any = None

    def __repr__(self) -> str:
        name, seen = type(self._flow).__name__, len(self._frames)
        if self._cancelled:
            state = "closed"
        elif self._exhausted:
            state = "exhausted"
        else:
            state = "going on" if self._begun else "not begun"
        return f"<{type(self).__name__} of {name}: {state}, {seen} frames>"

    @property
    def frames(self) -> list[StreamFrame]:
        """The frames that were given so far, as a new list."""
        return [*self._frames]

    @property
    def positions(self) -> dict[str, int]:
        """Numbers of the latest frames given, by run id, for another ``after=``."""
        if isinstance(self._after, dict):
            found = dict(self._after)
        else:
            found = {} if self.run is None else {self.run.id: self._after}
        return found | {frame.run_id: frame.seq for frame in self._frames}

    @property
    def is_completed(self) -> bool:
        """Whether all frames were given, or the session was closed."""
        return self._exhausted or self._cancelled

    @property
    def is_cancelled(self) -> bool:
        """Whether it was closed before all frames were given."""
        return self._cancelled

    @property
    def is_exhausted(self) -> bool:
        """Whether there are no more frames to be given."""
        return self._exhausted or self._cancelled

    @property
    def result(self) -> Any:
        """What the kickoff gives: the run's output.

        Raises:
            RuntimeError: not all frames were given yet, or it was closed.
            Exception: whatever a step raised, as it is.
        """
        if self._exhausted:
            if self._error is not None:
                raise self._error
            return self._result
        name = type(self._flow).__name__
        if self._cancelled:
            msg = f"The stream of {name} was closed before its end: there is no result."
        else:
            msg = (
                f"The stream of {name} has not ended. Iterate it to its end, then read "
                f"its result."
            )
        raise RuntimeError(msg)

    def adopt(self, run: Run) -> None:
        """The run is there, and about to be moved."""
        if self._leave is not None:
            self._leave()
        self._leave = watch(run, self._bell.ring)
        self.run = run
        self._reader = reader_of(run, after=self._after, nested=self._nested)
        run.active = True  # nobody else moves it: what comes waits for its turn
        if self._cancelled:
            run.cancel(_CLOSED)
        self._adopted.set()

    @contextmanager
    def _adopting(self) -> Iterator[None]:
        """While the flow is kicked off, its run is told to this session."""
        options = self._flow._flowkit.options
        if "call" in options:
            name = type(self._flow).__name__
            msg = (
                f"This {name} object runs already. Make one object for each run: "
                f"{name}().stream(..)"
            )
            raise RunError(msg)
        options["call"] = self
        try:
            yield
        finally:
            options.pop("call", None)
            if self.run is not None:
                self.run.active = False

    def _over(self) -> None:
        """Nothing of the run moves here any more."""
        self._ended = True
        if self._leave is not None:
            self._leave()
        self._adopted.set()
        self._bell.ring()

    def _more(self) -> bool:
        """Take what has come; whether there may be more."""
        ended = self._ended  # asked first: what comes before the end is taken
        found = [] if self._reader is None else self._reader.more()
        self._frames += found
        return bool(found) or not ended

    def _fails(self) -> BaseException | None:
        """What the iteration ends with."""
        self._exhausted = True
        return self._error


class _View:
    """A session's frames of some channels, from the first one on."""

    __slots__ = ("_at", "_channels", "_session")

    def __init__(self, session: Any, channels: Iterable[str] | None) -> None:
        self._session = session
        self._channels = None if channels is None else frozenset(channels)
        self._at = 0

    def _next(self) -> StreamFrame | None:
        """The next one that is here."""
        frames = self._session._frames
        while self._at < len(frames) and not self._session._cancelled:
            frame: StreamFrame = frames[self._at]
            self._at += 1
            if self._channels is None or frame.channel in self._channels:
                return frame
        return None


class _Events(_View):
    __slots__ = ()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamFrame:
        while (frame := self._next()) is None:
            self._session._fetch()
        return frame


class _AsyncEvents(_View):
    __slots__ = ()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamFrame:
        while (frame := self._next()) is None:
            await self._session._fetch()
        return frame


class StreamSession(_Session):
    """A run that is read from blocking code while it runs.

    ``for frame in session: ..`` begins the run and gives its frames; then
    :attr:`result` is what a kickoff gives. A failed step's error is raised behind
    the last frame. Left early, the run goes on; :meth:`close`, or the end of a
    ``with`` block, cancels it.
    """

    def __init__(
        self,
        flow: Any,
        go: Callable[[], Awaitable[Any]],
        backend: str,
        after: Any = 0,
        *,
        nested: bool = True,
    ) -> None:
        super().__init__(flow, go, after, nested=nested)
        self._backend = backend
        self._main = _Events(self, None)
        self._views: dict[str, _Events] = {}

    @property
    def events(self) -> Iterator[StreamFrame]:
        """All frames, as an iterator; the same one each time."""
        return self._main

    def __iter__(self) -> Iterator[StreamFrame]:
        return self._main

    @property
    def flow(self) -> Iterator[StreamFrame]:
        """The frames of the run itself and of its steps."""
        return self._view("flow")

    @property
    def llm(self) -> Iterator[StreamFrame]:
        """What steps told on the channel ``llm``."""
        return self._view("llm")

    @property
    def tools(self) -> Iterator[StreamFrame]:
        """What steps told on the channel ``tools``."""
        return self._view("tools")

    @property
    def messages(self) -> Iterator[StreamFrame]:
        """What steps told on the channel ``messages``."""
        return self._view("messages")

    @property
    def custom(self) -> Iterator[StreamFrame]:
        """What steps told on the channel ``custom``."""
        return self._view("custom")

    def interleave(self, channels: Iterable[str]) -> Iterator[StreamFrame]:
        """The frames of some channels in their order, from the first one on."""
        return _Events(self, channels)

    def _view(self, channel: str) -> Iterator[StreamFrame]:
        if channel not in self._views:
            self._views[channel] = _Events(self, [channel])
        return self._views[channel]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel the run, unless all its frames were given. Blocks until it is over.

        A synchronous step cannot be interrupted: it is left to itself, and its result
        does not count. A second call does nothing.
        """
        if self.is_exhausted:
            return
        self._cancelled = True
        if not self._begun:
            return
        self._adopted.wait()
        if self.run is not None and not self._ended:
            self.run.cancel(_CLOSED)
        while not self._ended:
            self._bell.wait()

    def _fetch(self) -> None:
        """Have more frames, or raise what ends the iteration."""
        if self.is_exhausted:
            raise StopIteration
        if not self._begun:
            self._begun, self._bell = True, Bell()
            spawn(self._work)
        try:
            before = len(self._frames)
            while self._more():
                if len(self._frames) > before:
                    return
                self._bell.wait()
        except BaseException:
            self._give_up()
            raise
        error = self._fails()
        raise StopIteration if error is None else error

    def _give_up(self) -> None:
        """The reader was interrupted, or could not read: a second to end."""
        self._cancelled = True
        if self.run is not None:
            self.run.cancel("its reader was interrupted")
        if not self._ended:
            self._bell.wait(SECONDS_TO_END)

    def _work(self) -> None:
        try:
            with self._adopting():
                self._result = run_async(self._go, backend=self._backend)
        except BaseException as error:  # noqa: BLE001 - raised by the iteration
            self._error = error
        finally:
            self._over()


class AsyncStreamSession(_Session):
    """A run that is read from async code while it runs, on asyncio or trio.

    ``async for frame in session: ..`` begins the run in a task of this event loop and
    gives its frames; then :attr:`result` is what a kickoff gives. A failed step's
    error is raised behind the last frame. A reader that is cancelled cancels the run,
    as with :meth:`~flowkit.Flow.kickoff_async`. Left early, the run goes on;
    :meth:`aclose`, or the end of an ``async with`` block, cancels it.
    """

    def __init__(
        self,
        flow: Any,
        go: Callable[[], Awaitable[Any]],
        after: Any = 0,
        *,
        nested: bool = True,
    ) -> None:
        super().__init__(flow, go, after, nested=nested)
        self._main = _AsyncEvents(self, None)
        self._views: dict[str, _AsyncEvents] = {}
        self._scope: Any = None
        self._task: Any = None

    @property
    def events(self) -> AsyncIterator[StreamFrame]:
        """All frames, as an iterator; the same one each time."""
        return self._main

    def __aiter__(self) -> AsyncIterator[StreamFrame]:
        return self._main

    @property
    def flow(self) -> AsyncIterator[StreamFrame]:
        """The frames of the run itself and of its steps."""
        return self._view("flow")

    @property
    def llm(self) -> AsyncIterator[StreamFrame]:
        """What steps told on the channel ``llm``."""
        return self._view("llm")

    @property
    def tools(self) -> AsyncIterator[StreamFrame]:
        """What steps told on the channel ``tools``."""
        return self._view("tools")

    @property
    def messages(self) -> AsyncIterator[StreamFrame]:
        """What steps told on the channel ``messages``."""
        return self._view("messages")

    @property
    def custom(self) -> AsyncIterator[StreamFrame]:
        """What steps told on the channel ``custom``."""
        return self._view("custom")

    def interleave(self, channels: Iterable[str]) -> AsyncIterator[StreamFrame]:
        """The frames of some channels in their order, from the first one on."""
        return _AsyncEvents(self, channels)

    def _view(self, channel: str) -> AsyncIterator[StreamFrame]:
        if channel not in self._views:
            self._views[channel] = _AsyncEvents(self, [channel])
        return self._views[channel]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel the run, unless all its frames were given, and wait for its end.

        A synchronous step cannot be interrupted: it is left to itself, and its result
        does not count. A second call does nothing.
        """
        if self.is_exhausted:
            return
        self._cancelled = True
        if self._begun:
            if self.run is not None and not self._ended:
                self.run.cancel(_CLOSED)
            await self._end()

    async def _end(self) -> None:
        """Wait for the run's end, also if this task is cancelled."""
        import anyio  # a loop runs, so it is there

        with anyio.CancelScope(shield=True):
            while not self._ended:
                await self._bell.wait()

    async def _fetch(self) -> None:
        """Have more frames, or raise what ends the iteration."""
        if self.is_exhausted:
            raise StopAsyncIteration
        if not self._begun:
            self._begun, self._bell = True, LoopBell()
            self._begin()
        try:
            before = len(self._frames)
            while await self._take():
                if len(self._frames) > before:
                    return
                await self._bell.wait()
        except BaseException:
            self._cancelled = True
            if self._scope is not None:
                self._scope.cancel()
            await self._end()
            raise
        error = self._fails()
        raise StopAsyncIteration if error is None else error

    async def _take(self) -> bool:
        if self._reader is None or not self._reader.remote:
            return self._more()
        import anyio  # a loop runs, so it is there

        return await anyio.to_thread.run_sync(self._more)

    def _begin(self) -> None:
        """Begin the run in a task that no task group of the reader has to hold."""
        import anyio  # a loop runs, so it is there

        self._scope = anyio.CancelScope()
        if on_trio():
            import trio  # runs already

            trio.lowlevel.spawn_system_task(self._work, context=copy_context())
            return
        import asyncio  # runs already

        self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        with suppress(Exception), self._scope:
            try:
                with self._adopting():
                    self._result = await self._go()
            except BaseException as error:
                self._error = error
                if not isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
            finally:
                self._over()
