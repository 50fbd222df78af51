"""A run on an event loop, asyncio or trio, from where it stands to its next rest."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio

from flowkit.errors import FlowkitError
from flowkit.runtime.driver import Driver
from flowkit.runtime.endings import cut_off, interrupted
from flowkit.runtime.failing import broken
from flowkit.runtime.loops import forget_loop, name_loop

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["drive"]


async def drive(run: Run, begun: tuple[Firing, Any] | None = None) -> None:
    """Move a run on until it is over, or waits for something outside.

    Cancelled from outside, the run ends as ``cancelled`` and the cancellation
    goes on.

    Args:
        run: has begun, and nobody else moves it.
        begun: a firing whose plain function gave a coroutine, and that coroutine.
    """
    worker = Driver(run)
    worker.begun = begun
    run.active = True
    run.home = threading.get_ident()
    run.settle = worker.settle
    run.context.run(name_loop)
    if run.until is not None:
        worker.watch()
    try:
        while True:
            await worker.go()
            with run.lock:  # else an event could come to nobody
                if run.over or not run.pending:
                    run.active = False
                    break
    except (KeyboardInterrupt, SystemExit) as error:
        interrupted(run, error)
    except anyio.get_cancelled_exc_class():
        if not run.over and (run.status == "running" or run.withdrawn):
            cut_off(run, "the task that ran it was cancelled")
        raise
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - sorted there
        _ended_by(run, error)
    finally:
        run.active = False
        worker.unwatch()
        run.rest(resting=False)
        run.home = run.hurry = run.settle = None
        run.context.run(forget_loop)
        run.settle_end()
    if run.caller is not None and run.over:
        await run.caller.tell(run)


def _ended_by(run: Run, error: BaseException) -> None:
    """An interrupt, a fault of the engine, or an error that tells it all itself."""
    if isinstance(error, BaseExceptionGroup):
        found = _interrupt_in(error)
        if found is not None:
            interrupted(run, found)
            return
        error = _single(error)
    if isinstance(error, FlowkitError) or not isinstance(error, Exception):
        raise error from None
    broken(run, error)


def _interrupt_in(group: BaseExceptionGroup[Any]) -> Any:
    """A Ctrl-C that hit the engine between two steps, out of a task group."""
    some: Any = group.subgroup((KeyboardInterrupt, SystemExit))
    while isinstance(some, BaseExceptionGroup):
        some = some.exceptions[0]
    return some


def _single(group: BaseExceptionGroup[Any]) -> BaseException:
    """What a task group wrapped, if it is one: an error of the engine's own."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
