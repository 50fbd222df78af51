"""What policies cost on success: a chain under each, against the chain without."""

from __future__ import annotations

import asyncio
from functools import partial
from types import new_class
from typing import Any

from benchmarks.cases import LENGTH, Chain100, _named, awaited, kicked
from benchmarks.floors import Counter
from benchmarks.timing import Case
from flowkit import Breaker, Flow, Rate, listen, start

TIMES = 10
GUARD = 1.6
"""A step of the plain chain takes some 4 us; two more are the goal."""


def governed(*, suspends: bool = False, **policies: Any) -> type[Flow[Counter]]:
    """A chain of async steps that all have these policies."""

    async def plain(self: Any) -> int:
        self.state.counter += 1
        return int(self.state.counter)

    async def suspending(self: Any) -> int:
        await asyncio.sleep(0)
        self.state.counter += 1
        return int(self.state.counter)

    body: dict[str, Any] = {}
    before: Any = None
    for at in range(LENGTH):
        named = _named(suspending if suspends else plain, f"s{at}")
        mark = start(**policies) if at == 0 else listen(before, **policies)
        before = body[f"s{at}"] = mark(named)
    return new_class("Chain", (Flow[Counter],), exec_body=lambda at: at.update(body))


def _case(name: str, floor: type[Flow[Any]], **policies: Any) -> Case:
    return Case(
        f"chain of 100, {name}, per step",
        partial(awaited, kicked, governed(**policies), TIMES),
        partial(awaited, kicked, floor, TIMES),
        LENGTH * TIMES,
        GUARD,
        "2 us more",
    )


CASES = [
    _case("retry", Chain100, retry=3),
    _case("fallback", Chain100, fallback="none"),
    _case("timeout", Chain100, timeout=60),
    _case("timeout that waits", governed(suspends=True), timeout=60, suspends=True),
    _case("breaker", Chain100, breaker=Breaker(name="bench")),
    _case("rate", Chain100, rate=Rate(1_000_000_000, name="bench")),
    _case("bulkhead", Chain100, bulkhead=100),
]
