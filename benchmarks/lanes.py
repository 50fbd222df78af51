"""The cases of groups: many items, a lane of several steps, a source that yields."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from types import new_class
from typing import Any

import anyio

from benchmarks.timing import Case
from flowkit import Flow, and_, each, gather, listen, or_, start

ITEMS = 10_000
LIMIT = 100


class Mapped(Flow[Any]):
    """One step a lane."""

    @start()
    def split(self) -> list[int]:
        """So many items."""
        return list(range(self.state["items"]))

    @listen(each(split, limit=LIMIT))
    async def work(self, item: int) -> int:
        """Nothing."""
        return item

    @listen(gather(work))
    def end(self, items: list[int]) -> int:
        """How many came through."""
        return len(items)


class Lane(Flow[Any]):
    """Three steps a lane, and an ``or_`` that closes with it."""

    @start()
    def split(self) -> list[int]:
        """So many items."""
        return list(range(self.state["items"]))

    @listen(each(split, limit=LIMIT))
    async def work(self, item: int) -> int:
        """Nothing."""
        return item

    @listen(work)
    async def quick(self, item: int) -> int:
        """Nothing."""
        return item

    @listen(work)
    async def slow(self, item: int) -> int:
        """Nothing."""
        return item

    @listen(or_(quick, slow))
    async def first(self, item: int) -> int:
        """Nothing."""
        return item

    @listen(gather(first))
    def end(self, items: list[int]) -> int:
        """How many came through."""
        return len(items)


class Streamed(Flow[Any]):
    """A source that yields; as flat in memory as its limit."""

    @start()
    async def items(self) -> AsyncIterator[int]:
        """One after another."""
        for item in range(self.state["items"]):
            yield item

    @listen(each(items, limit=LIMIT))
    async def work(self, item: int) -> int:
        """Nothing."""
        return item

    @listen(gather(work))
    def end(self, items: list[int]) -> int:
        """How many came through."""
        return len(items)


def _kicked(flow: type[Flow[Any]], items: int, times: int = 1) -> None:
    for _ in range(times):
        assert flow().kickoff(inputs={"items": items}) == items


async def _limited() -> None:
    limiter = anyio.CapacityLimiter(LIMIT)

    async def work(item: int) -> int:
        async with limiter:
            return item

    async with anyio.create_task_group() as group:
        for item in range(ITEMS):
            group.start_soon(work, item)


def _joined(steps: int) -> type[Flow[Any]]:
    """A flow of splits and joins, one behind the other."""

    def named(name: str) -> Any:
        def step(self: Any) -> None:
            return None

        step.__name__ = name
        step.__qualname__ = f"Joined.{name}"
        return step

    before: Any = start()(named("s0"))
    body: dict[str, Any] = {"s0": before}
    for at in range(1, steps, 3):
        left = listen(before)(named(f"s{at}"))
        right = listen(before)(named(f"s{at + 1}"))
        before = listen(and_(left, right))(named(f"s{at + 2}"))
        body |= {each.__name__: each for each in (left, right, before)}
    return new_class("Joined", (Flow[Any],), exec_body=lambda at: at.update(body))


Small, Large = _joined(200), _joined(2_000)
part = functools.partial
LANES = [
    Case(
        "each over 10,000 items, against a task group with a limiter, per item",
        part(_kicked, Mapped, ITEMS),
        lambda: anyio.run(_limited),
        ITEMS,
        2.5,
        "2.5x the task group",
    ),
    Case(
        "a source that yields 10,000 items, against the same, per item",
        part(_kicked, Streamed, ITEMS),
        lambda: anyio.run(_limited),
        ITEMS,
        2.5,
        "2.5x the task group",
    ),
    Case(
        "a lane of steps and a join, 10,000 items against 100, per item",
        part(_kicked, Lane, ITEMS),
        part(_kicked, Lane, 100, ITEMS // 100),
        ITEMS,
        1.5,
        "flat",
    ),
    Case(
        "2,000 steps and joins, against 200, per step",
        lambda: Large().kickoff(),
        lambda: [Small().kickoff() for _ in range(10)],
        2_000,
        1.5,
        "1.5x a small flow's",
    ),
    Case(
        "compile 2,000 steps and joins, against 200, per step",
        part(_joined, 2_000),
        lambda: [_joined(200) for _ in range(10)],
        2_000,
        1.5,
        "0.5 s for all",
    ),
]
