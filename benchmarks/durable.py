"""What a stored step costs, against raw SQLite: one insert and commit a step."""

from __future__ import annotations

import functools
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import apsw
from pydantic import BaseModel

from benchmarks.cases import LENGTH, Chain100, awaited, chain
from benchmarks.timing import Case
from flowkit import EventBus, Flow, event, listen, router, start
from flowkit.journal.urls import open_store

FOLDER = tempfile.TemporaryDirectory(prefix="flowkit-bench-")
RUNS = 50
_numbers = count()
_open: dict[str, Any] = {}


def store(synchronous: str) -> Any:
    """One store of this process for each way to synchronise."""
    if synchronous not in _open:
        path = Path(FOLDER.name) / f"{synchronous}.db"
        _open[synchronous] = open_store(f"sqlite:///{path}?synchronous={synchronous}")
    return _open[synchronous]


async def chains(synchronous: str, times: int) -> None:
    """Stored runs of a hundred steps, one after another."""
    for _ in range(times):
        await Chain100(store=store(synchronous)).kickoff_async()


async def at_once(synchronous: str, runs: int) -> None:
    """Stored runs side by side: their records share commits."""
    async with anyio.create_task_group() as group:
        for _ in range(runs):
            group.start_soon(Chain100(store=store(synchronous)).kickoff_async)


def inserts(synchronous: str, rows: int) -> None:
    """The floor: as many rows, each with a commit of its own."""
    key = f"raw-{synchronous}"
    if key not in _open:
        connection = apsw.Connection(str(Path(FOLDER.name) / f"{key}.db"))
        connection.execute("pragma journal_mode=wal")
        connection.execute(f"pragma synchronous={synchronous}")
        connection.execute(
            "create table r (run int, seq int, at real, kind text, step text, "
            "data text, primary key (run, seq)) without rowid"
        )
        _open[key] = connection
    run = next(_numbers)
    for seq in range(rows):
        row = (run, seq, 1.5, "done", "step", '{"o":5,"d":{"counter":[5]}}')
        _open[key].execute("insert into r values (?, ?, ?, ?, ?, ?)", row)


class Wide(BaseModel):
    """A counter beside a list that no step touches."""

    counter: int = 0
    items: list[int] = []


def beside(items: int) -> Any:
    """The chain, with an untouched field of so many items."""
    plain = chain(LENGTH)

    async def run() -> None:
        flow = plain(
            store=store("normal"), initial_state=Wide(items=list(range(items)))
        )
        await flow.kickoff_async()

    return run


class Long(Flow[Wide], max_firings=4_000):
    """A loop whose history grows to 3,000 steps."""

    @start()
    async def begin(self) -> None:
        """Nothing to prepare."""

    @router(begin)
    async def first(self) -> str:
        """Into the loop."""
        return "again"

    @router("again", emit=["again", "done"])
    async def turn(self) -> str:
        """One step of the history."""
        self.state.counter += 1
        return "again" if self.state.counter < self.state.items[0] else "done"

    @listen("done")
    def end(self) -> int:
        """How many there were."""
        return self.state.counter


async def long(turns: int, times: int) -> None:
    """Stored runs with so many steps each."""
    for _ in range(times):
        flow = Long(store=store("normal"), initial_state=Wide(items=[turns]))
        await flow.kickoff_async()


class Ticket(Flow):
    """Waits for its customer."""

    @start(on=event("opened"))
    def opened(self) -> None:
        """A row, from here on."""

    @listen(event("answered"))
    def answered(self) -> None:
        """One of many."""


def waiting(runs: int) -> Any:
    """A bus over that many waiting runs; gives what wakes one of them."""
    made: list[Any] = []

    def wake() -> None:
        if not made:
            bus = EventBus(store=store("normal"))
            bus.register(Ticket)
            for at in range(runs):
                bus.send("opened", key=f"t{at}")
            bus.drain()
            made.append(bus)
        for _ in range(20):
            made[0].send("answered", key=f"t{next(_numbers) % runs}")
            made[0].drain()

    return wake


part = functools.partial
CASES = [
    Case(
        "stored chain at FULL, per step",
        part(awaited, chains, "full", 1),
        part(inserts, "full", LENGTH),
        LENGTH,
        1.4,
        "1.4x one commit",
    ),
    Case(
        "stored chain at NORMAL, per step",
        part(awaited, chains, "normal", 3),
        part(inserts, "normal", LENGTH * 3),
        LENGTH * 3,
        2.5,
        "2.5x one commit",
    ),
    Case(
        "50 stored runs at FULL, per step",
        part(awaited, at_once, "full", RUNS),
        part(inserts, "full", LENGTH),
        LENGTH * RUNS,
        None,
        "67 us (15,000 steps/s)",
    ),
    Case(
        "3,000 steps of history, against 100",
        part(awaited, long, 3_000, 1),
        part(awaited, long, 100, 30),
        3_000,
        1.1,
        "flat within 10 %",
    ),
    Case(
        "100,000 untouched items, against 10",
        part(awaited, beside(100_000)),
        part(awaited, beside(10)),
        LENGTH,
        None,
        "flat, after one write of them",
    ),
    Case(
        "wake one of 10,000 waiting runs",
        waiting(10_000),
        part(inserts, "normal", 20),
        20,
        None,
        "20 ms",
    ),
]
