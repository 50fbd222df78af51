"""The graph's timers while steps of a run are at work on an event loop."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from flowkit.runtime.clock import now, wait_until
from flowkit.runtime.dues import ring

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from flowkit.runtime.run import Run

__all__ = ["ring_timers"]


async def ring_timers(
    run: Run, soon: Callable[..., Any], look: Callable[[], None]
) -> None:
    """Let timers go off at their times, until cancelled.

    Args:
        run: whose they are.
        soon: calls a function on this event loop, from any thread.
        look: has the run take what came.
    """
    armed: anyio.Event | None = None

    def set_anew() -> None:  # maybe by what a thread has committed
        if armed is not None:
            soon(armed.set)

    run.alarm = set_anew
    try:
        while True:
            armed = anyio.Event()
            timers = list(run.marking.timers.values())
            due = min((each.due for each in timers), default=None)
            if await wait_until(due, armed, soon):
                continue
            run.pending.append(partial(ring, run, now()))
            look()
    finally:
        run.alarm = None
