"""Runs from blocking code: a plain loop while it suffices, an event loop after.

Synchronous steps that follow each other alone run in the caller's thread, where
no event loop runs. The first async step, fork or coroutine moves the run to an
event loop, which a thread keeps for its next kickoffs. Called within a running
loop (a notebook, a web handler), the run goes to a thread of its own.
"""

from __future__ import annotations

import atexit
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from flowkit.errors import FlowkitError
from flowkit.runtime.exits import Evicted, Stop
from flowkit.runtime.loops import forget_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowkit.runtime.run import Run

__all__ = ["drive_blocking", "in_thread", "run_async", "spawn"]

SECONDS_TO_END = 1.0
_kept = threading.local()


def drive_blocking(run: Run, backend: str) -> None:
    """Move a run on until it is over or waits; blocks."""
    alone = run.until is None  # else a loop looks after it
    if alone and run.admission is not None:
        alone = run.admission.enters(run)
    begun = _inline(run) if alone else None
    if begun is _OVER:
        if run.caller is not None and run.over:
            run.caller.tell_blocking(run)
        return
    from flowkit.runtime.runner import drive  # anyio, once a loop is needed

    try:
        run_async(drive, run, begun, backend=backend)
    except KeyboardInterrupt as error:
        from flowkit.runtime.endings import note_interrupt  # only if interrupted

        note_interrupt(run, error)
        raise


_OVER: Any = object()


def _inline(run: Run) -> Any:  # noqa: C901, PLR0912, PLR0915 - the hot loop
    """Run lone synchronous steps here.

    Gives ``_OVER``, or what a loop has to take over: a firing with the coroutine it
    gave, or None.
    """
    ready, calls = run.ready, run.calls
    run.active = True
    run.home = threading.get_ident()
    journal = run.journal
    if journal is not None:
        journal.blocking = True
    try:
        while True:
            if run.pending:
                run.take_pending()
            if run.held:
                journal.wait(run)
            if not ready:
                if run.marking.timers or run.marking.asked:
                    return None  # a loop waits for the time, if it is near
                with run.lock:  # else an event could come to nobody
                    if run.pending and not run.over:
                        continue
                    run.active = False
                break
            if len(ready) > 1 or calls[ready[0].node.index].looped:
                return None
            firing = ready.popleft()
            if firing.id not in run.marking.live:
                continue
            try:
                target, arguments, keywords = run.open(firing)
                function = calls[firing.node.index].function
                context = run.context.copy()
                output = context.run(function, target, *arguments, **keywords)
            except Stop as error:
                if isinstance(error, Evicted):
                    from flowkit.runtime.restarts import evicted  # who has waited

                    evicted(run, firing)
                continue
            except Exception as error:  # noqa: BLE001 - recorded, raised at the end
                run.fail(firing, error)
                continue
            except BaseException as error:  # noqa: BLE001 - raised by the outcome
                _interrupted(run, error)
                break
            if hasattr(output, "__await__"):
                return firing, output
            run.finish(firing, output)
    except (KeyboardInterrupt, SystemExit) as error:  # between two steps
        _interrupted(run, error)
    except FlowkitError:
        raise
    except Exception as error:  # noqa: BLE001 - the run's outcome raises it
        from flowkit.runtime.failing import broken  # only then

        broken(run, error)
    finally:
        run.active = False
        run.home = None
        if journal is not None:
            journal.blocking = False
    run.settle_end()
    return _OVER


def _interrupted(run: Run, error: BaseException) -> None:
    from flowkit.runtime.endings import interrupted  # only then

    interrupted(run, error)


def run_async(
    function: Callable[..., Awaitable[Any]], *arguments: Any, backend: str = "asyncio"
) -> Any:
    """Run an async function to its end on an event loop of this thread."""
    if backend == "trio":
        import anyio  # the trio way in

        return anyio.run(function, *arguments, backend="trio")
    import asyncio  # only where asyncio runs

    from flowkit.runtime.interrupts import Interrupts

    runner = getattr(_kept, "runner", None)
    if runner is None:
        runner = _kept.runner = asyncio.Runner()
        if threading.current_thread() is threading.main_thread():
            atexit.register(runner.close)
        else:
            _kept.guard = _Guard(runner)
    guard = Interrupts(runner.get_loop())
    try:
        with guard:
            return runner.run(guard.run(function, *arguments))
    except asyncio.CancelledError:
        if guard.came:
            raise KeyboardInterrupt from None
        raise
    finally:
        loop = runner.get_loop()
        left = asyncio.all_tasks(loop)
        if left:
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


class _Guard:
    """Closes a thread's loop when the thread is gone."""

    def __init__(self, runner: Any) -> None:
        self.runner = runner

    def __del__(self) -> None:
        if not self.runner.get_loop().is_running():  # else the process ends
            self.runner.close()


def spawn(function: Callable[[], Any]) -> threading.Thread:
    """Call ``function`` in a daemon thread, in a copy of this context; returns it."""
    context = copy_context()
    context.run(forget_loop)
    thread = threading.Thread(
        target=context.run, args=(function,), name="flowkit-run", daemon=True
    )
    thread.start()
    return thread


def in_thread(
    function: Callable[[], Any], give_up: Callable[[], object] | None = None
) -> Any:
    """The result of ``function`` called in a thread of its own; blocks.

    Interrupted meanwhile, it calls ``give_up`` and leaves the thread a second to end.
    """
    from flowkit.runtime.interrupts import interruptible  # only where a loop runs

    outcome: list[Any] = []
    ended = threading.Event()

    def work() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            outcome.append((None, error))
        finally:
            ended.set()

    with interruptible():
        try:
            spawn(work)
            ended.wait()  # not join: interrupted once, a second join returns at once
        except BaseException:
            if give_up is not None:
                give_up()
                ended.wait(SECONDS_TO_END)
            raise
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
