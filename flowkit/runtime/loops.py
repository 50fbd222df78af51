"""Which event loop runs here, without importing either of them."""

from __future__ import annotations

import sys
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = [
    "forget_loop",
    "in_running_loop",
    "loop_caller",
    "name_loop",
    "on_trio",
    "one_time_event",
    "task_is_cancelled",
]


def on_trio() -> bool:
    """Whether this thread runs trio."""
    trio: Any = sys.modules.get("trio")
    # Another thread may be importing it just now; then no loop of it runs here.
    lowlevel = getattr(trio, "lowlevel", None)
    running = getattr(lowlevel, "in_trio_run", None)
    return running is not None and bool(running())


def in_running_loop() -> bool:
    """Whether an event loop, asyncio or trio, runs in this thread."""
    asyncio: Any = sys.modules.get("asyncio")
    running = getattr(asyncio, "_get_running_loop", None)  # public, for loops
    if running is not None and running() is not None:
        return True
    return on_trio()


def loop_caller() -> Callable[[Callable[[], Any]], Any]:
    """A function that calls another soon in the running event loop, from any thread.

    Raises:
        RuntimeError: from the returned function, when the loop is closed.
    """
    if on_trio():
        import trio  # runs already

        return trio.lowlevel.current_trio_token().run_sync_soon
    import asyncio  # runs already

    # Not in the context of whoever calls: a callback has no task, so only a context
    # variable tells sniffio, and with it anyio, that it runs on asyncio.
    context = copy_context()
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, "asyncio")
    return partial(asyncio.get_running_loop().call_soon_threadsafe, context=context)


def one_time_event() -> tuple[Callable[[], None], Callable[[], Awaitable[Any]]]:
    """A function that sets an event, on this loop, and one that waits for it.

    The lightest that either loop has: it is set once and waited for once.
    """
    if on_trio():
        import trio  # runs already

        event = trio.Event()
        return event.set, event.wait
    import asyncio  # runs already

    future = asyncio.get_running_loop().create_future()

    def come() -> None:
        if not future.done():
            future.set_result(None)

    return come, lambda: future


def task_is_cancelled() -> bool:
    """Whether a cancellation is under way, rather than raised by user code."""
    if on_trio():
        return True
    import asyncio  # runs already

    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def name_loop() -> None:
    """In the context of a run: the loop that runs here, whatever began the run."""
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is not None:
        sniffio.current_async_library_cvar.set("trio" if on_trio() else "asyncio")


def forget_loop() -> None:
    """In a context copied from a running loop: no loop runs here."""
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is not None:
        sniffio.current_async_library_cvar.set(None)
