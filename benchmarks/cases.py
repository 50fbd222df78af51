"""The cases: chains, loops, fan-outs, kickoffs, many runs at once."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from operator import add
from types import new_class
from typing import Annotated, Any

import anyio
from pydantic import BaseModel

from benchmarks.floors import Counter, Dispatched, fanned_out
from benchmarks.lanes import LANES
from benchmarks.timing import Case
from flowkit import Flow, and_, listen, or_, router, start

LENGTH = 100
TURNS = 1_000
WIDTH = 100
RUNS = 1_000


def chain(length: int) -> type[Flow[Counter]]:
    """A flow of async steps, one behind the other."""

    async def step(self: Any) -> int:
        self.state.counter += 1
        return int(self.state.counter)

    body: dict[str, Any] = {}
    before: Any = None
    for at in range(length):
        named = _named(step, f"s{at}")
        before = body[f"s{at}"] = (start() if at == 0 else listen(before))(named)
    return new_class("Chain", (Flow[Counter],), exec_body=lambda at: at.update(body))


def _named(function: Any, name: str) -> Any:
    copy = type(function)(
        function.__code__, function.__globals__, name, None, function.__closure__
    )
    copy.__qualname__ = f"Chain.{name}"
    return copy


class Summed(BaseModel):
    """A counter that parallel branches add to."""

    counter: Annotated[int, add] = 0


class Loop(Flow[Counter], max_firings=TURNS + 1):
    """A router that chooses its own next turn."""

    @start()
    async def begin(self) -> None:
        """Nothing to prepare."""

    @listen(or_(begin, "again"))
    async def work(self) -> int:
        """One turn."""
        self.state.counter += 1
        return self.state.counter

    @router(work, emit=["again", "done"])
    async def more(self) -> str:
        """Whether there is another."""
        return "again" if self.state.counter < TURNS else "done"

    @listen("done")
    async def end(self) -> int:
        """How many there were."""
        return self.state.counter


def fan(width: int, *, suspends: bool) -> type[Flow[Any]]:
    """One step, ``width`` branches, one join."""

    async def begin(self: Any) -> None:
        return None

    async def branch(self: Any) -> int:
        self.state.counter += 1
        if suspends:
            await anyio.sleep(0)  # noqa: ASYNC115 - what users write
        return 1

    async def join(self: Any) -> int:
        return width

    first = start()(_named(begin, "begin"))
    branches = {
        f"b{at}": listen(first)(_named(branch, f"b{at}")) for at in range(width)
    }
    last = listen(and_(*branches.values()))(_named(join, "join"))
    body = {"begin": first, **branches, "join": last}
    return new_class("Fan", (Flow[Summed],), exec_body=lambda at: at.update(body))


class Single(Flow[Counter]):
    """One async step."""

    @start()
    async def only(self) -> int:
        """Count."""
        self.state.counter += 1
        return self.state.counter


class Plain(Flow[Counter]):
    """One synchronous step."""

    @start()
    def only(self) -> int:
        """Count."""
        self.state.counter += 1
        return self.state.counter


_runner = asyncio.Runner()
Chain100, Chain5 = chain(LENGTH), chain(5)
Fan100, FanSuspending = fan(WIDTH, suspends=False), fan(WIDTH, suspends=True)


def awaited(function: Any, *arguments: Any, **keywords: Any) -> Any:
    """Run an async function on a loop that is kept."""
    return _runner.run(function(*arguments, **keywords))


async def kicked(flow: type[Flow[Any]], times: int) -> None:
    """A number of kickoffs, one after another."""
    for _ in range(times):
        await flow().kickoff_async()


async def dispatched(length: int, times: int) -> None:
    """The floor of a number of kickoffs."""
    for _ in range(times):
        await Dispatched(length).run()


async def together(work: Any, times: int) -> None:
    """A number of runs at once."""
    async with anyio.create_task_group() as group:
        for _ in range(times):
            group.start_soon(work)


def blocking() -> None:
    """A hundred blocking kickoffs of a sync flow."""
    for _ in range(100):
        Plain().kickoff()


def compiled(steps: int) -> Callable[[], object]:
    """A class of that many steps and joins, compiled anew at each call."""
    return functools.partial(chain, steps)


def drawn() -> object:
    """A picture of 200 steps as SVG."""
    from flowkit.picture import svg_of

    return svg_of(Chain200)


part = functools.partial
Chain200 = chain(200)
CASES = [
    Case(
        "chain of 100 async steps, per step",
        part(awaited, kicked, Chain100, 10),
        part(awaited, dispatched, LENGTH, 10),
        LENGTH * 10,
        8.0,
        "5 us",
    ),
    Case(
        "router loop, per turn",
        lambda: awaited(kicked, Loop, 1),
        lambda: awaited(Dispatched(1).turns, TURNS),
        TURNS,
        None,
        "7 us",
    ),
    Case(
        "fan-out of 100 and join, per branch",
        part(awaited, kicked, Fan100, 5),
        lambda: [awaited(fanned_out, WIDTH, suspends=False) for _ in range(5)],
        WIDTH * 5,
        1.0,
        "below the task group",
    ),
    Case(
        "fan-out of 100, suspending, per branch",
        part(awaited, kicked, FanSuspending, 5),
        lambda: [awaited(fanned_out, WIDTH, suspends=True) for _ in range(5)],
        WIDTH * 5,
        1.5,
        "1.5x the task group",
    ),
    Case(
        "kickoff_async of one step",
        part(awaited, kicked, Single, 100),
        part(awaited, dispatched, 1, 100),
        100,
        None,
        "25 us",
    ),
    Case(
        "blocking kickoff of a sync flow",
        blocking,
        part(awaited, dispatched, 1, 100),
        100,
        None,
        "15 us",
    ),
    Case(
        "1,000 concurrent runs of 5 steps, per run",
        part(awaited, together, lambda: Chain5().kickoff_async(), RUNS),
        part(awaited, together, lambda: Dispatched(5).run(), RUNS),
        RUNS,
        None,
        "50 us (20,000 runs/s)",
    ),
    Case(
        "compile 2,000 steps, against 200, per step",
        compiled(2_000),
        lambda: [chain(200) for _ in range(10)],
        2_000,
        1.5,
        "0.5 s for all",
    ),
    Case(
        "draw 200 steps, against compiling them",
        drawn,
        compiled(200),
        1,
        None,
        "200 ms",
    ),
    *LANES,
]
