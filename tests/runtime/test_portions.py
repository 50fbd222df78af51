"""Typed events into steps that are handed several of them, or one of several."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from flowkit import EventBus, Flow, and_, each, event, gather, listen, start, times
from flowkit import window as portion

pytestmark = pytest.mark.anyio


class Reading(BaseModel):
    """What the events of these tests carry."""

    degrees: int


class Mean(Flow):
    """The parameter is the list, one event is an item of it."""

    @start(on=event("on"))
    def begin(self): ...

    @listen(portion(event("reading"), count=2))
    def mean(self, readings: list[Reading]):
        self.stop(sum(each.degrees for each in readings) / 2)


class Pairs(Flow):
    """The same for `times`, and inside a join."""

    @start(on=event("on"))
    def begin(self):
        return "on"

    @listen(and_(begin, times(2, event("reading"))))
    def pair(self, begin: str, reading: Annotated[tuple[Reading, ...], "two"]):
        self.stop([begin, *(each.degrees for each in reading)])


class Bare(Flow):
    """A list that does not say of what takes anything."""

    @start(on=event("on"))
    def begin(self): ...

    @listen(portion(event("reading"), count=2))
    def keep(self, readings: list):
        self.stop(readings)


class Rows(Flow):
    """The parameter is one item, the event carries all of them."""

    @start(on=event("on"))
    def begin(self): ...

    @listen(each(event("rows")))
    def read(self, row: Annotated[Reading, Field(description="one")]):
        return row.degrees

    @listen(gather(read))
    def end(self, found: list[int]):
        self.stop(found)


class Batches(Flow):
    """A batch is a list of items already."""

    @start(on=event("on"))
    def begin(self): ...

    @listen(each(event("rows"), batch=2))
    def read(self, rows: list[Reading]):
        return [row.degrees for row in rows]

    @listen(gather(read))
    def end(self, found: list[list[int]]):
        self.stop(found)


HOT, COLD = {"degrees": 30}, {"degrees": "10"}


@pytest.mark.parametrize("store", [None, "memory:"])
@pytest.mark.parametrize(
    ("flow", "name", "payloads", "result"),
    [
        (Mean, "reading", [HOT, COLD], 20),
        (Pairs, "reading", [HOT, COLD], ["on", 30, 10]),
        (Bare, "reading", [HOT, COLD], [HOT, COLD]),
        (Rows, "rows", [[HOT, COLD]], [30, 10]),
        (Batches, "rows", [[HOT, COLD, HOT]], [[30, 10], [30]]),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
async def test_each_event_is_taken_by_the_type_of_its_part(
    store, flow, name, payloads, result
):
    """An item of the list for a window, the list of the items for an `each`."""
    async with EventBus(store=store) as bus:
        bus.register(flow)
        run = (await bus.send_async("on")).runs[0]
        await bus.drain()
        for payload in payloads:
            assert (await bus.send_async(name, payload)).status == "accepted"
            await bus.drain()
        assert run.result == result


@pytest.mark.parametrize(
    ("flow", "name", "payload", "reason"),
    [
        (
            Mean,
            "reading",
            {"degrees": "mild"},
            "The payload for Mean.mean does not fit Reading: degrees: Input should be "
            "a valid integer, unable to parse string as an integer, got 'mild'",
        ),
        (
            Rows,
            "rows",
            [{"degrees": "mild"}],
            "The payload for Rows.read does not fit list: 0.degrees: Input should be "
            "a valid integer, unable to parse string as an integer, got 'mild'",
        ),
    ],
)
async def test_what_does_not_fit_is_refused_at_once(flow, name, payload, reason):
    """The sender is told; the other events of the portion are not spoiled."""
    async with EventBus() as bus:
        bus.register(flow)
        run = (await bus.send_async("on")).runs[0]
        await bus.drain()
        refused = await bus.send_async(name, payload)
        assert (refused.status, refused.reason) == ("invalid", reason)
        assert run.status == "waiting"
        run.cancel()
