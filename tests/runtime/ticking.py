"""Time that passes in steps, beside a run that is awaited."""

from __future__ import annotations

import anyio

__all__ = ["ticks"]


async def ticks(clock, seconds, times=1):
    """Let what waits for the clock get there, and move it."""
    for _ in range(times):
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        clock.advance(seconds)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
