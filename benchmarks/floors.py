"""Bare Python that does what a flow does, with the same step body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable


class Counter(BaseModel):
    """The state every step counts in."""

    counter: int = 0


class Dispatched:
    """A hand-written dispatch loop over a dictionary of successors."""

    def __init__(self, length: int) -> None:
        self.state = Counter()
        self.successors: dict[str, str | None] = {
            f"s{at}": f"s{at + 1}" if at + 1 < length else None for at in range(length)
        }
        self.steps: dict[str, Callable[[], Any]] = dict.fromkeys(
            self.successors, self.step
        )

    async def step(self) -> int:
        """The body of a step."""
        self.state.counter += 1
        return self.state.counter

    async def run(self) -> int:
        """All steps, one after another."""
        name: str | None = "s0"
        value = 0
        while name is not None:
            value = await self.steps[name]()
            name = self.successors[name]
        return value

    async def turns(self, count: int) -> int:
        """Two steps in turn, chosen by a label, ``count`` times."""
        label = "again"
        value = 0
        while label == "again":
            value = await self.step()
            label = "again" if value < count else "done"
        return value


async def fanned_out(width: int, *, suspends: bool) -> int:
    """One task a branch in a task group, then the join."""
    states = [Counter() for _ in range(width)]

    async def branch(state: Counter) -> None:
        state.counter += 1
        if suspends:
            await anyio.sleep(0)  # noqa: ASYNC115 - what users write

    async with anyio.create_task_group() as group:
        for state in states:
            group.start_soon(branch, state)
    return sum(state.counter for state in states)
