"""A process that moves one run of a function flow, and holds where it is told to.

``python -m tests.acceptance.straight URL LOG BACKEND HOLD``: it kicks off run
``the-run``. The step named ``HOLD`` writes its line, says ``here`` and waits for ever.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from flowkit import Retry
from flowkit.functions import attempt, flow, step, together

TRIES = ["try 1", "try 2", "try 3"]
STEPS = ["first", "left", "right", "inner 1", "inner 2", "plain", *TRIES, "last"]
RESULT = ["FIRST", "LEFT", "RIGHT", ["INNER 1", "INNER 2"], "PLAIN", "TRY 3", "LAST"]
_URL, _LOG, _BACKEND, _HOLD = (*sys.argv[1:], *[""] * 4)[:4]


def _began(name: str) -> None:
    with Path(_LOG).open("a", encoding="utf-8") as log:
        log.write(f"{name}\n")
    if name == _HOLD:
        print("here", flush=True)
        sys.stdin.read()


@step
async def work(name: str) -> str:
    """One line in the log."""
    await anyio.lowlevel.checkpoint()
    _began(name)
    return name.upper()


@step
def plain(name: str) -> str:
    """The same, synchronous."""
    _began(name)
    return name.upper()


@step(retry=Retry(3, first="5ms"))
async def stubborn() -> str:
    """Well at its third try; killed in one, that one is made again."""
    await anyio.lowlevel.checkpoint()
    name = f"try {attempt()}"
    _began(name)
    if name != TRIES[-1]:
        raise OSError(name)
    return name.upper()


async def inner() -> list[str]:
    """A branch of two steps."""
    return [await work("inner 1"), await work("inner 2")]


@flow
async def straight(times: int) -> list[object]:
    """In a row, side by side, in a branch."""
    first = await work("first")
    wide = await together(work("left"), work("right"), inner(), limit=times)
    return [first, *wide, plain("plain"), await stubborn(), await work("last")]


async def main() -> None:
    """Move the run."""
    made = straight.with_options(store=_URL, id="the-run")
    print(await made.kickoff_async(times=1), flush=True)


if __name__ == "__main__":
    # By its name in the store, whatever this process calls it.
    from tests.acceptance import straight as module

    anyio.run(module.main, backend=_BACKEND)
