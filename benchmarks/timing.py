"""Interleaved timing of a case and its floor."""

from __future__ import annotations

import gc
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Case(NamedTuple):
    """One comparison: both callables do ``units`` units of work."""

    title: str
    here: Callable[[], object]
    floor: Callable[[], object]
    units: int
    guard: float | None
    goal: str


class Row(NamedTuple):
    """Medians in microseconds per unit, and the median of the paired ratios."""

    title: str
    here: float
    floor: float
    ratio: float
    guard: float | None
    goal: str
    missed: bool


def measure(case: Case, rounds: int) -> Row:
    """Let the two take turns ``rounds`` times after a warm-up."""
    case.here(), case.floor()
    pairs = []
    for _ in range(rounds):
        gc.collect()
        pairs.append((timed(case.here), timed(case.floor)))
    here = median(first for first, _ in pairs) / case.units * 1e6
    floor = median(second for _, second in pairs) / case.units * 1e6
    ratio = median(first / second for first, second in pairs)
    missed = case.guard is not None and ratio > case.guard
    return Row(case.title, here, floor, ratio, case.guard, case.goal, missed)


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    begun = perf_counter()
    work()
    return perf_counter() - begun
