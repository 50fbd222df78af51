"""Flows that the tests of the testing kit play."""

from __future__ import annotations

import os
from dataclasses import dataclass

import anyio.lowlevel
from pydantic import BaseModel

from flowkit import (
    Flow,
    Retry,
    and_,
    event,
    human_feedback,
    listen,
    router,
    start,
    timer,
)


@dataclass
class Parcel:
    """A value that has no literal."""

    weight: int


class Order(Flow):
    """A router, a step that waits for an event and for time, a question to a person."""

    @start()
    def receive(self):
        return self.state.get("total", 1)

    @router(receive, emit=["paid", "declined"])
    async def charge(self, total):
        await anyio.lowlevel.checkpoint()
        self.state["charged"] = total
        return "paid" if total < 100 else "declined"

    @listen("paid")
    async def ship(self):
        address = await self.wait_for("address", timeout="1d")
        await self.sleep("14d")
        return address

    @listen(ship)
    async def inspect(self, address):
        return await self.ask_async("Is it there?", options=["yes", "no"])

    @listen("declined")
    def apologise(self):
        return "sorry"


OUTSIDE = ["Arrives('address', 'Oslo')", "TimePasses()", "Answers('inspect', 'yes')"]


class Parcels(Flow):
    """Begun by an event; parallel steps, a model, a review, a timer, an event."""

    @start(on=event("ordered", key="id"))
    async def pack(self, ordered):
        self.state["packed"] = [ordered["id"]]
        return Parcel(weight=3)

    @listen(pack)
    async def label(self, parcel):
        await anyio.lowlevel.checkpoint()
        return "label"

    @listen(pack)
    def weigh(self, parcel):
        return parcel.weight

    @listen(and_(label, weigh))
    @human_feedback(message="Send it?", emit=["send", "keep"], default_outcome="keep")
    def ask(self, label, weigh):
        return f"{label} {weigh}"

    @listen("send")
    def send_off(self, review):
        return review.feedback

    @listen("keep")
    def put_away(self):
        return "kept"

    @listen(timer(after=send_off, delay="3d"))
    def remind(self):
        return "reminded"

    @listen(and_(remind, event("returned")))
    def take_back(self, remind, returned):
        return returned


class Total(BaseModel):
    """A typed state."""

    id: str = ""
    sum: int = 0


class Adds(Flow[Total]):
    """Its second step changes a typed state."""

    @start()
    def first(self):
        return 1

    @listen(first)
    def second(self, number):
        self.state.sum += number
        return self.state.sum


class Apart(Flow):
    """Its step ends its process, at the first attempt."""

    @start(isolate="process", retry=Retry(2, first=0))
    def crash(self):
        if self.attempt == 1:
            os._exit(1)
        return f"attempt {self.attempt}"
