"""What a step of a function flow costs: against a bare await, and a class's step."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.cases import Chain100, awaited, kicked
from benchmarks.timing import Case
from flowkit.functions import flow, step

STEPS = 1_000


async def bare(number: int) -> int:
    """What a step does here."""
    return number + 1


counted = step(bare)


@flow
async def straight(steps: int) -> int:
    """One step after another."""
    number = 0
    for _ in range(steps):
        number = await counted(number)
    return number


async def floor(steps: int) -> int:
    """The same without a flow."""
    number = 0
    for _ in range(steps):
        number = await bare(number)
    return number


def _straight() -> Any:
    return awaited(straight.kickoff_async, steps=STEPS)


CASES = [
    Case(
        "function flow of 1,000 steps, per step",
        _straight,
        partial(awaited, floor, STEPS),
        STEPS,
        None,
        "5 us",
    ),
    Case(
        "function flow's step, against a class's",
        _straight,
        partial(awaited, kicked, Chain100, 10),
        STEPS,
        1.5,
        "1x",
    ),
]
