"""A process that is begun for one step.

It has a process group of its own, and no Ctrl-C: whoever began it ends it. It is gone
when that process is gone, however that ended.
"""

from __future__ import annotations

import faulthandler
import io
import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing import connection, parent_process
from typing import Any

from flowkit.runtime.spawn_guard import off_guard

__all__ = ["Ended", "Said", "settle", "tell_where", "told_of"]

_POSIX = os.name == "posix"


class Ended(BaseException):
    """Raised in a plain step that is told to end: its ``finally`` blocks run."""


def settle(channel: Any, trace: Any) -> Said:
    """Make this process one of a step; what says something to who has begun it."""
    _settle(trace)
    said = Said(channel)
    sys.stdout = _stream(said, "out", 1)
    sys.stderr = _stream(said, "err", 2)
    off_guard()
    said("ready")
    return said


class Said:
    """Says something to whoever has begun this process; from any thread."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._lock = threading.Lock()

    def __call__(self, *message: Any) -> None:
        """Say it, whole."""
        with self._lock:
            _held.append(threading.get_ident())
            try:
                self._channel.send_bytes(pickle.dumps(message))
            finally:
                _held.pop()
        if _late and threading.current_thread() is threading.main_thread():
            _late.pop()
            raise Ended


class _Out(io.RawIOBase):
    def __init__(self, said: Said, kind: str, number: int) -> None:
        self._said = said
        self._kind = kind
        self._number = number

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def write(self, data: Any) -> int:
        found = bytes(data)
        self._said(self._kind, found)
        return len(found)


def _stream(said: Said, kind: str, number: int) -> io.TextIOWrapper:
    raw: Any = _Out(said, kind, number)
    return io.TextIOWrapper(
        raw, encoding="utf-8", errors="backslashreplace", write_through=True
    )


def _settle(trace: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not _POSIX:
        faulthandler.enable()
        _watch_parent()
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    faulthandler.enable(file=trace.fileno(), all_threads=False)
    signal.signal(signal.SIGTERM, _told_to_end)
    _traces.append(trace.fileno())
    tell_where()
    _watch_parent()


def tell_where() -> None:
    """Told to end, say where the main thread is first, even within C code."""
    number, told = _traces[0], signal.SIGTERM
    faulthandler.unregister(told)  # whoever has set another handler since, goes on
    faulthandler.register(told, file=number, all_threads=False, chain=True)


_traces: list[int] = []
_told: list[bool] = []
_held: list[int] = []
"""The thread that sends a message, which is not to be cut in two."""
_late: list[bool] = []
"""The end is to be told once it is sent."""


def _told_to_end(_number: int, _frame: Any) -> None:
    if not _told:
        _told.append(True)
        if threading.get_ident() in _held:
            _late.append(True)
            return
        raise Ended


def _watch_parent() -> None:
    """End with the process that began this one."""
    parent = parent_process()
    if parent is None:
        return
    sentinel: Any = parent.sentinel
    if sys.platform == "linux":  # else C code that never lets a thread run would stay
        import fcntl

        fcntl.fcntl(sentinel, fcntl.F_SETOWN, -os.getpgrp())
        flags = fcntl.fcntl(sentinel, fcntl.F_GETFL)
        fcntl.fcntl(sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)  # SIGIO at its end

    def watch() -> None:
        connection.wait([sentinel])
        _end_group()

    threading.Thread(target=watch, name="flowkit-parent", daemon=True).start()


def _end_group() -> None:
    if _POSIX:
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def told_of(error: BaseException) -> str:
    """The traceback of a step's error, from the step's own frames on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]
    lines = traceback.format_list(own)
    return "".join(["Traceback (most recent call last):\n", *lines]).rstrip()


_PACKAGE = __file__.removesuffix(os.path.join("runtime", "isolated_process.py"))  # noqa: PTH118
