"""Ctrl-C in blocking code: at once, and never lost.

asyncio's own handler cancels the main task and nothing else, so a step that never
suspends, or a thread that is waited for, would not notice. Here a step's own code
gets the KeyboardInterrupt where it is, as any plain code does; between steps the
main task is cancelled, which joins the run's other steps.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import FrameType
    from typing import Self

__all__ = ["Interrupts", "interruptible"]

_PACKAGE = __file__.removesuffix("interrupts.py")


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, Ctrl-C raises in the main thread, whatever loop runs there."""
    before = signal.getsignal(signal.SIGINT) if _is_main_thread() else None
    module = getattr(getattr(before, "func", before), "__module__", None) or ""
    if not module.startswith("asyncio"):
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Interrupts:
    """Takes Ctrl-C while an asyncio loop of ours runs in the main thread.

    Attributes:
        came: Ctrl-C came between steps; the main task was cancelled for it.
    """

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.came: bool = False
        self.task: Any = None
        self.took: bool = False
        self.wakes: int = -1

    def __enter__(self) -> Self:
        handler = signal.getsignal(signal.SIGINT) if _is_main_thread() else None
        if handler is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._come)
            self.took = True
            # A signal that comes just before the loop sleeps would wait for the next
            # thing to happen; the loop's own socket wakes it.
            wake = getattr(self.loop, "_csock", None)
            if wake is not None:
                self.wakes = signal.set_wakeup_fd(
                    wake.fileno(), warn_on_full_buffer=False
                )
        return self

    def __exit__(self, *error: object) -> None:
        if self.took:
            signal.set_wakeup_fd(self.wakes)
            signal.signal(signal.SIGINT, signal.default_int_handler)

    async def run(
        self, function: Callable[..., Awaitable[Any]], *arguments: Any
    ) -> Any:
        """Call an async function as the task that Ctrl-C cancels."""
        import asyncio  # runs already

        self.task = asyncio.current_task()
        return await function(*arguments)

    def _come(self, _signal: int, frame: FrameType | None) -> None:
        if self.came or self.task is None or _in_a_step(frame):
            raise KeyboardInterrupt
        self.came = True
        self.task.cancel()


def _in_a_step(frame: FrameType | None) -> bool:
    """Whether user code runs that a worker called, rather than loop or engine."""
    if frame is None or _is_ours(frame):
        return False
    while frame is not None:
        if frame.f_code.co_name == "_work" and _is_ours(frame):
            return True
        frame = frame.f_back
    return False


def _is_ours(frame: FrameType) -> bool:
    module = frame.f_globals.get("__name__", "").partition(".")[0]
    return module in {"asyncio", "selectors", "anyio"} or (
        frame.f_code.co_filename.startswith(_PACKAGE)
    )
