"""Flows with groups, gates, turns and verbs, for test_groups.py: any part may stop.

Each kind of step notes when its body starts, so that tests see what ran again.
"""

from __future__ import annotations

from typing import Any

from anyio.lowlevel import checkpoint
from pydantic import BaseModel

from flowkit import (
    Flow,
    Region,
    and_,
    each,
    gather,
    listen,
    router,
    start,
    timer,
    times,
    window,
)

__all__ = ["ASKED", "FLOWS", "RAN"]

RAN: list[str] = []
ASKED: list[tuple[int, int]] = []
"""What ``until`` was asked: how many results, of how many."""


def ran(what: str, value: Any = None) -> Any:
    """Note it and go on with the value."""
    RAN.append(what)
    return value


class Fuel(BaseModel):
    """A typed state."""

    left: int = 3


class Mapped(Flow):
    """A list, a limit, two steps a lane."""

    @start()
    def split(self):
        return ran("split", [1, 2, 3, 4])

    @listen(each(split, limit=2))
    async def read(self, page):
        await checkpoint()
        return ran("read", page * 10)

    @listen(read)
    def check(self, page):
        return ran("check", page + 1)

    @listen(gather(check))
    def report(self, pages):
        return ran("report", pages)


class Nested(Flow):
    """A group in a group, and a join in a lane."""

    @start()
    def rows(self):
        return ran("rows", [[1, 2], [], [3]])

    @listen(each(rows))
    def row(self, row):
        return ran("row", row)

    @listen(each(row))
    async def cell(self, cell):
        return ran("cell", cell)

    @listen(cell)
    def left(self, cell):
        return ran("left", cell)

    @listen(cell)
    def right(self, cell):
        return ran("right", cell)

    @listen(and_(left, right))
    def both(self, left, right):
        return ran("both", left + right)

    @listen(gather(both))
    def line(self, cells):
        return ran("line", sum(cells))

    @listen(gather(line))
    def total(self, lines):
        return ran("total", lines)


class Streamed(Flow):
    """An asynchronous generator feeds a group with a limit; one item spawns another."""

    @start()
    async def leads(self):
        ran("leads")
        for number in range(4):
            yield number

    @listen(each(leads, limit=2))
    async def work(self, lead):
        if lead == 1:
            self.spawn(Streamed.work, 100)
        await checkpoint()
        return ran("work", lead)

    @listen(gather(work))
    def end(self, leads):
        return ran("end", sorted(leads))


class PlainStream(Flow):
    """A plain generator does the same, in batches."""

    @start()
    def leads(self):
        ran("leads")
        yield from range(5)

    @listen(each(leads, batch=2))
    def work(self, portion):
        return ran("work", portion)

    @listen(gather(work))
    def end(self, leads):
        return ran("end", leads)


class Empty(Flow):
    """A generator that yields nothing."""

    @start()
    async def leads(self):
        ran("leads")
        for number in ():
            yield number

    @listen(each(leads))
    def work(self, lead):
        return lead

    @listen(gather(work))
    def end(self, leads):
        return ran("end", leads)


def enough(done: list[Any], total: int) -> bool:
    """Three are enough."""
    ASKED.append((len(done), total))
    return len(done) >= 3


class Until(Flow):
    """A predicate says when it is enough; the others end unheard."""

    @start()
    def split(self):
        return ran("split", [1, 2, 3, 4])

    @listen(each(split, limit=1))
    def read(self, page):
        return ran("read", page)

    @listen(gather(read, until=enough))
    def report(self, pages):
        return ran("report", pages)

    @listen(report)
    def last(self, pages):
        return ran("last", ("last", pages))


class Earliest(Flow):
    """Two of four are enough; those that wait for the limit never begin."""

    @start()
    def split(self):
        return ran("split", [1, 2, 3, 4])

    @listen(each(split, limit=1))
    def read(self, page):
        return ran("read", page)

    @listen(gather(read, n=2, rest="cancel"))
    def report(self, pages):
        return ran("report", pages)


class Collected(Flow):
    """One instance fails; its error is among the results."""

    @start()
    def split(self):
        return ran("split", [1, 2, 3])

    @listen(each(split, failures="collect"))
    def read(self, page):
        ran("read")
        if page == 2:
            raise ValueError("two")
        return page

    @listen(gather(read))
    def report(self, pages):
        return ran("report", [str(page) for page in pages])


class Gated(Flow):
    """A mutex, a region with one, and a milestone."""

    @start()
    def order(self):
        return ran("order")

    @listen(order, mutex="rig")
    async def pick(self):
        await checkpoint()
        return ran("pick")

    @listen(order, region=Region("desk", mutex="rig"))
    async def invoice(self):
        return ran("invoice")

    @listen(invoice, region=Region("desk", mutex="rig"))
    def receipt(self):
        return ran("receipt")

    @listen(order, during=(pick, "never"))
    def check(self):
        return ran("check")

    @router(and_(pick, receipt, check), emit=["never"])
    def end(self):
        ran("end")
        return "never"

    @listen("never")
    def last(self):
        return ran("last", "done")


class Turning(Flow[Fuel]):
    """A step repeats itself, and emits at each turn."""

    @start()
    def fill(self):
        return ran("fill")

    @listen(fill, while_=lambda state: state.left > 0)
    def shift(self):
        self.state.left -= 1
        self.emit("moved", self.state.left)
        return ran("shift", self.state.left)

    @listen("moved")
    def log(self, left):
        return ran("log", left)

    @listen(times(3, log))
    def end(self, logged):
        return ran("end", sorted(logged))


class Acting(Flow):
    """A step completes a group in which an instance never ends by itself."""

    @start()
    def split(self):
        return ran("split", [0, 1])

    @listen(each(split))
    async def read(self, page):
        if page:
            await self.wait_for("never")
        return ran("read", page)

    @listen(read)
    async def enough(self, page):
        ran("enough")
        self.complete(Acting.read)

    @listen(gather(read))
    def report(self, pages):
        return ran("report", pages)

    @listen(report)
    def last(self, pages):
        return ran("last", ("last", pages))


class Windowed(Flow):
    """A window by count, filled by emits, opens a group."""

    @start()
    def readings(self):
        ran("readings")
        for number in range(4):
            self.emit("reading", number)

    @listen(window("reading", count=2))
    def portion(self, readings):
        return ran("portion", readings)

    @listen(each(portion))
    def square(self, number):
        return ran("square", number * number)

    @listen(gather(square))
    def sums(self, squares):
        return ran("sums", sum(squares))

    @listen(times(2, sums))
    def end(self, sums):
        return ran("end", sorted(sums))


class Timed(Flow):
    """A timer in each lane keeps the group open."""

    @start()
    def split(self):
        return ran("split", [1, 2])

    @listen(each(split))
    def read(self, page):
        return ran("read", page)

    @listen(timer(0.01, after=read))
    def late(self, due):
        return ran("late", "late")

    @listen(gather(late))
    def report(self, times):
        return ran("report", times)


FLOWS = (
    Mapped,
    Nested,
    Streamed,
    PlainStream,
    Empty,
    Until,
    Earliest,
    Collected,
    Gated,
    Turning,
    Acting,
    Windowed,
    Timed,
)
