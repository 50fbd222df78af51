"""What policies cost on success: a chain under each, against the chain without."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count
from types import new_class
from typing import Any

from benchmarks.cases import LENGTH, Chain100, _named, awaited, kicked
from benchmarks.floors import Counter
from benchmarks.timing import Case
from flowkit import Breaker, Cache, Flow, Rate, listen, start

TIMES = 10
GUARD = 1.6
"""A step of the plain chain takes some 4 us; two more are the goal."""


def governed(
    *, suspends: bool = False, counts: bool = True, **policies: Any
) -> type[Flow[Counter]]:
    """A chain of async steps that all have these policies.

    Args:
        suspends: each gives the event loop a turn.
        counts: each changes the state.
    """

    async def plain(self: Any) -> int:
        self.state.counter += 1
        return int(self.state.counter)

    async def suspending(self: Any) -> int:
        await asyncio.sleep(0)
        self.state.counter += 1
        return int(self.state.counter)

    async def constant(self: Any) -> int:
        return 1

    body: dict[str, Any] = {}
    before: Any = None
    for at in range(LENGTH):
        chosen = suspending if suspends else plain if counts else constant
        named = _named(chosen, f"s{at}")
        mark = start(**policies) if at == 0 else listen(before, **policies)
        before = body[f"s{at}"] = mark(named)
    return new_class("Chain", (Flow[Counter],), exec_body=lambda at: at.update(body))


def _case(
    name: str,
    floor: type[Flow[Any]],
    *,
    guard: float = GUARD,
    goal: str = "2 us more",
    **policies: Any,
) -> Case:
    return Case(
        f"chain of 100, {name}, per step",
        partial(awaited, kicked, governed(**policies), TIMES),
        partial(awaited, kicked, floor, TIMES),
        LENGTH * TIMES,
        guard,
        goal,
    )


_keys = count()


def _never_twice(_flow: Any, *_inputs: Any) -> int:
    """A key that no result is kept under."""
    return next(_keys)


BARE = governed(counts=False)
"""Steps that only return: what is kept must not change the state."""


CASES = [
    _case("retry", Chain100, retry=3),
    _case("fallback", Chain100, fallback="none"),
    _case("timeout", Chain100, timeout=60),
    _case("timeout that waits", governed(suspends=True), timeout=60, suspends=True),
    _case("breaker", Chain100, breaker=Breaker(name="bench")),
    _case("rate", Chain100, rate=Rate(1_000_000_000, name="bench")),
    _case("bulkhead", Chain100, bulkhead=100),
    _case(
        "cache, a hit",
        BARE,
        counts=False,
        cache=Cache("1h", name="bench hit"),
        guard=12,
        goal="what a call outside takes",
    ),
    _case(
        "cache, a miss",
        BARE,
        counts=False,
        cache=Cache("1h", key=_never_twice, name="bench miss", entries=100),
        guard=12,
        goal="nothing beside a call outside",
    ),
]
