"""Flows that tell a side-effect log, outside the database, what they do.

Each step writes a line when it starts and one when it ends: run, step, firing,
idempotency key, attempt, time, and which process wrote it. Lines are appended in one
write each, so that a kill leaves whole lines.
"""

from __future__ import annotations

import operator
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from anyio.lowlevel import checkpoint
from pydantic import BaseModel, Field

from flowkit import (
    Flow,
    Region,
    and_,
    each,
    event,
    gather,
    listen,
    merge,
    or_,
    router,
    start,
    timer,
    times,
    window,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAPS = 2


class Line(NamedTuple):
    """One line of the log."""

    run: str
    step: str
    firing: int
    key: str
    attempt: int
    what: str
    at: float
    life: int


class _Log:
    file: int = -1
    life: int = 0


def log_to(path: Path | str, life: int = 0) -> None:
    """From here on, write to this file, as that life of the process."""
    _Log.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    _Log.life = life


def lines(path: Path) -> list[Line]:
    """What was written."""
    found = []
    for line in path.read_text().splitlines():
        run, step, firing, key, attempt, what, at, life = line.split("|")
        found.append(
            Line(run, step, int(firing), key, int(attempt), what, float(at), int(life))
        )
    return found


def note(flow: Any, what: str) -> None:
    """One line about the step that runs."""
    if _Log.file < 0:
        return
    scope, at = flow._flowkit, f"{time.time():.7f}"
    run, firing, step = scope.run.id, scope.firing.id, scope.firing.node.name
    key = flow.idempotency_key
    told = (run, step, firing, key, flow.attempt, what, at, _Log.life)
    line = "|".join(map(str, told)) + "\n"
    assert os.write(_Log.file, line.encode()) == len(line)


@contextmanager
def logged(flow: Any) -> Iterator[None]:
    """A step's body, from its start to its end."""
    note(flow, "start")
    yield
    note(flow, "end")


class State(BaseModel):
    laps: int = 0
    total: Annotated[int, operator.add] = 0
    trail: list[str] = Field(default_factory=list)
    seen: set[str] = Field(default_factory=set)
    by_name: dict[str, int] = Field(default_factory=dict)
    answer: str = ""
    failed: str = ""
    rung: bool = False
    asked: bool = False
    seed: int = 0

    def mark(self, name: str) -> None:
        """What parallel branches do, each in its own view."""
        self.total += 1 + self.seed
        self.trail.append(name)
        self.seen.add(name)
        self.by_name[f"{name}{self.laps}"] = self.total


class Busy(Flow[State], evict_after=0.004):
    """Parallel branches, a join, a loop, a failure that is heard, waits, a timer."""

    @start()
    def begin(self):
        with logged(self):
            self.state.mark("begin")

    @listen(merge(begin, "again"))
    def left(self):
        with logged(self):
            self.state.trail.append("left")
            self.state.total += 1

    @listen(merge(begin, "again"))
    async def middle(self):
        with logged(self):
            self.state.trail.append("middle")
            await checkpoint()
            self.state.seen.add("middle")

    @listen(merge(begin, "again"))
    async def right(self):
        with logged(self):
            await checkpoint()
            self.state.by_name[f"right{self.state.laps}"] = self.state.laps
            await checkpoint()
            return self.state.laps

    @router(and_(left, middle, right), emit=["again", "enough"])
    def turn(self):
        with logged(self):
            self.state.laps += 1
            return "again" if self.state.laps < LAPS else "enough"

    @listen("enough")
    def breaks(self):
        with logged(self):
            self.state.trail.append("never kept")
            raise ValueError("broken on purpose")

    @listen(breaks.failed)
    async def heard(self, error):
        with logged(self):
            self.state.failed = f"{type(error).__name__}: {error}"

    @listen(heard)
    async def naps(self):
        with logged(self):
            await self.sleep(0.002)
            note(self, "slept")
            await self.sleep(0.012)
            self.state.trail.append("naps")

    @listen(timer(after=naps, delay=0.003))
    def rings(self):
        with logged(self):
            self.state.rung = True

    @listen(rings)
    async def asks(self):
        with logged(self):
            got = await self.wait_for("go", key="k")
            self.state.answer = got["word"]

    @listen(asks)
    def asked(self):
        with logged(self):
            self.state.asked = True

    @listen(event("finish"))
    def finish(self, payload):
        with logged(self):
            self.state.trail.append(payload["with"])
        note(self, "stop")
        self.stop("finished")


class Plain(Flow[State], evict_after=0.004):
    """Synchronous steps only: what a plain loop in the caller's thread moves."""

    @start()
    def begin(self):
        with logged(self):
            self.state.mark("begin")

    @router(or_(begin, "again"), emit=["again", "enough"])
    def turn(self):
        with logged(self):
            self.state.laps += 1
            self.state.mark(f"turn{self.state.laps}")
            return "again" if self.state.laps < 2 * LAPS else "enough"

    @listen("enough")
    def breaks(self):
        with logged(self):
            self.state.total = -1
            raise KeyError("broken on purpose")

    @listen(breaks.failed)
    def heard(self, error):
        with logged(self):
            self.state.failed = type(error).__name__

    @listen(heard)
    def naps(self):
        with logged(self):
            self.sleep(0.001)
            note(self, "slept")
            self.sleep(0.009)
            self.state.mark("naps")

    @listen(naps)
    def asks(self):
        with logged(self):
            got = self.wait_for("go", key="k")
            self.state.answer = got["word"]
            return got

    @listen(asks)
    def one(self, got):
        with logged(self):
            self.state.trail.append(got["word"])

    @listen(asks)
    def two(self):
        with logged(self):
            self.state.by_name["two"] = 2

    @listen(and_(one, two))
    def last(self):
        with logged(self):
            self.state.asked = True
            return "finished"


desk = Region("desk", mutex="desk")


class Crowd(Flow[State], evict_after=0.004):
    """Groups in groups, a step that yields, instances added, turns, gates, windows."""

    @start()
    async def leads(self):
        note(self, "start")
        for name in ("ada", "bob", "cy"):
            yield name
            await checkpoint()
        note(self, "end")

    @listen(each(leads, limit=2))
    async def qualify(self, name):
        with logged(self):
            if name == "ada":
                self.spawn("qualify", "eve")
            await self.sleep(0.001)
            return [f"{name}{number}" for number in range(2)]

    @listen(each(qualify))
    async def call(self, name):
        with logged(self):
            await checkpoint()
            self.state.trail.append(name)
            return name

    @listen(call, mutex="phone")
    def dial(self, name):
        with logged(self):
            self.state.total += 1
            return name

    @listen(gather(dial))
    def called(self, names):
        with logged(self):
            self.emit("batch", sorted(names))
            return names[0]

    @listen(gather(called))
    def all_called(self, names):
        with logged(self):
            self.state.trail.append(",".join(sorted(names)))

    @listen(all_called, until=lambda state: state.laps == LAPS + 1, region=desk)
    async def tidy(self):
        with logged(self):
            await checkpoint()
            self.state.laps += 1

    @listen(all_called, region=desk)
    async def search(self):
        with logged(self):
            await self.sleep(0.02)
            note(self, "slept")

    @listen(tidy)
    def loses(self):
        with logged(self):
            self.state.seen.add("loses")
            for number in range(5):
                self.emit("tick", number)

    @listen(window("tick", count=3, gap=0.002))
    def portion(self, numbers):
        with logged(self):
            self.state.trail.append(str(numbers))

    @listen(and_(times(2, portion), search))
    async def last(self):
        with logged(self):
            self.state.rung = True
            return "finished"


class OnTrio(Busy, backend="trio"):
    """The same, a blocking kickoff on the other loop."""


class CrowdOnTrio(Crowd, backend="trio"):
    """The same, a blocking kickoff on the other loop."""


KINDS = {
    "busy": Busy,
    "plain": Plain,
    "crowd": Crowd,
    "trio": OnTrio,
    "crowd on trio": CrowdOnTrio,
}


def answer(flow: Any) -> None:
    """Send a waiting run what it waits for; nothing if it waits for a time."""
    awaits = flow.run.awaits
    if "go" in awaits:
        flow.send("go", {"word": "yes"}, key="k")
    elif "finish" in awaits and flow.state.asked:
        flow.send("finish", {"with": "finish"})
