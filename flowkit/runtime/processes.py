"""A process for one call: begun, listened to, and ended for certain.

The standard library's ``multiprocessing`` begins it afresh ("spawn"), so that nothing
of this process is half there. A thread looks after it, for a loop that waits for it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from codecs import getincrementaldecoder
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context
from typing import TYPE_CHECKING, Any

import anyio

from flowkit.runtime.isolated_step import main
from flowkit.runtime.loops import loop_caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["GRACE", "Child"]

GRACE = 5.0
"""Seconds that a process has to clean up after it is told to end."""

_POSIX = os.name == "posix"
_living: set[Child] = set()


class Child:
    """A process at work for one call.

    Args:
        name: of the process.
        payload: what it is handed.
        beat: called in another thread when it says that it is alive.

    Attributes:
        pid: None before it has begun.
        begun: set when it has, or could not.
        over: set when it is gone.
        ready: it has loaded what it needs.
        answer: what it gave, None if it ended before.
        exitcode: minus a signal's number if that ended it.
        fault: why it could not begin.
    """

    def __init__(self, name: str, payload: bytes, beat: Callable[[], None]) -> None:
        self.pid: int | None = None
        self.begun: anyio.Event = anyio.Event()
        self.over: anyio.Event = anyio.Event()
        self.ready: bool = False
        self.answer: tuple[Any, ...] | None = None
        self.exitcode: int | None = None
        self.fault: BaseException | None = None
        self._name = name
        self._payload = payload
        self._beat = beat
        self._soon = loop_caller()
        self._process: Any = None
        self._channel: Any = None
        self._trace: Any = None
        self._traced = b""
        self._asked_to_end = False
        self._gone = False
        self._lock = threading.Lock()
        self._decoders: dict[str, Any] = {}
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def stop(self) -> None:
        """Tell it to end, kill it after a while, wait until it is gone."""
        self.end()
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(GRACE):
                await self.over.wait()
            self.end(kill=True)
            await self.over.wait()

    @property
    def trace(self) -> str:
        """Where it was when it crashed, or was told to end; "" if that is unknown."""
        return self._traced.decode(errors="replace")

    def end(self, *, kill: bool = False) -> None:
        """Tell it to end, with all processes it has begun; from any thread."""
        with self._lock:
            self._asked_to_end = True
            if self._process is not None and not self._gone:
                self._signal(kill=kill)

    def _signal(self, *, kill: bool) -> None:
        if not (_POSIX and self.ready):  # it leads no group of its own yet
            if kill:
                self._process.kill()
            else:
                self._process.terminate()
            return
        number = signal.SIGKILL if kill else signal.SIGTERM
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _work(self) -> None:
        _living.add(self)
        try:
            self._begin()
            self._tell(self.begun)
            self._listen()
            self._bury()
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            self.fault = error
        finally:
            _living.discard(self)
            self._tell(self.begun)
            self._tell(self.over)

    def _tell(self, event: anyio.Event) -> None:
        with suppress(RuntimeError):  # its loop is gone
            self._soon(event.set)

    def _begin(self) -> None:
        context = get_context("spawn")
        self._channel, theirs = context.Pipe()
        self._trace, their_trace = context.Pipe(duplex=False)
        given = (theirs, their_trace)
        process = context.Process(target=main, args=given, name=self._name)
        with _without_interrupts():
            process.start()
        theirs.close()
        their_trace.close()
        with self._lock:
            self._process, self.pid = process, process.pid
            if self._asked_to_end:
                self._signal(kill=True)

    def _listen(self) -> None:
        with suppress(OSError):  # it died at once
            self._channel.send_bytes(self._payload)
        self._payload = b""
        sentinel = self._process.sentinel
        while self.answer is None:
            found = connection.wait([self._channel, sentinel])
            if self._channel in found:
                try:
                    self._take(*self._channel.recv())
                except (EOFError, OSError):
                    return
                except Exception:  # noqa: BLE001 - killed while it said something
                    self.end(kill=True)
                    return
            elif sentinel in found:
                return

    def _take(self, kind: str, *said: Any) -> None:
        if kind in {"out", "err"}:
            self._write(kind, *said)
        elif kind == "beat":
            self._beat()
        elif kind == "ready":
            with self._lock:
                self.ready = True
                if self._asked_to_end:
                    self._signal(kill=False)
        else:
            self.answer = (kind, *said)

    def _write(self, kind: str, text: bytes) -> None:
        stream = sys.stdout if kind == "out" else sys.stderr
        decoder = self._decoders.get(kind)
        if decoder is None:
            decoder = getincrementaldecoder("utf-8")("replace")
            self._decoders[kind] = decoder
        with suppress(OSError, ValueError, AttributeError):  # there is none, or closed
            stream.write(decoder.decode(text))
            stream.flush()

    def _bury(self) -> None:
        process = self._process
        process.join(GRACE if self.answer is not None else None)
        if process.exitcode is None:
            self.end(kill=True)  # its answer is here, and some thread of it goes on
            process.join()
        while process.exitcode is None:  # another thread has seen it end before
            threading.Event().wait(0.001)
        with self._lock:
            if self._asked_to_end and _POSIX and self.ready:
                self._signal(kill=True)  # what it has begun, and what heeds no SIGTERM
            self._gone = True
        self.exitcode = process.exitcode
        if _POSIX:
            self._read_trace()
        self._channel.close()
        self._trace.close()
        process.close()

    def _read_trace(self) -> None:
        number = self._trace.fileno()
        os.set_blocking(number, False)
        with suppress(OSError):
            self._traced = os.read(number, 1 << 16)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """A process begun within it never sees the Ctrl-C meant for this one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@atexit.register
def _end_all() -> None:
    for child in list(_living):
        child.end(kill=True)
