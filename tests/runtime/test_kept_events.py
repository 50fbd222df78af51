"""An event that a step's body waits for counts early and late, with a store or not."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from flowkit import EventBus, Flow, event, listen, start
from flowkit.journal.memory import MemoryStore

pytestmark = pytest.mark.anyio


class Order(Flow[dict]):
    """Its first step waits for a payment that no listener names."""

    @start(on=event("ordered"))
    async def begin(self, payload):
        return await self.wait_for("paid", key=payload)


class Beat(Flow[dict]):
    """One that waits for what comes from now on only."""

    @start(on=event("ordered"))
    async def begin(self):
        return await self.wait_for("paid", transient=True)


class Twice(Flow[dict]):
    """It waits for two, one after the other, and beside that for a third."""

    @start(on=event("ordered"))
    async def begin(self):
        return [await self.wait_for("paid"), await self.wait_for("paid")]

    @start(on=event("ordered"))
    async def beside(self):
        return await self.wait_for("sent")

    @listen(begin)
    def end(self, both):
        self.stop(both)


class Here(Flow[dict]):
    """A kickoff moves it."""

    @start()
    async def begin(self):
        return await self.wait_for("paid")


@pytest.fixture(params=["none", "memory"])
def bus(request):
    """In memory, without a store and with one."""
    return EventBus(store=None if request.param == "none" else MemoryStore())


async def test_a_payment_that_comes_first_is_found_by_the_wait(bus):
    """It is kept, and told so; by its key, and once."""
    bus.register(Order)
    async with bus:
        early = await bus.send_async("paid", 30, key="7")
        assert (bool(early), early.kept, bus.kept) == (True, True, 1)
        other = (await bus.send_async("ordered", "8")).runs[0]
        first = (await bus.send_async("ordered", "7")).runs[0]
        await bus.drain()
        second = (await bus.send_async("ordered", "7")).runs[0]
        await bus.drain()
        assert (first.result, bus.kept) == (30, 0)
        assert (other.status, second.status) == ("waiting", "waiting")
        late = await bus.send_async("paid", 40, key="7")
        assert (bool(late), late.kept) == (True, False)
        await bus.drain()
        assert second.result == 40


async def test_a_wait_takes_one_of_several(bus):
    """The next one is the next wait's, in the order they came; what is left is kept."""
    bus.register(Twice)
    async with bus:
        for number in (1, 2, 3):
            assert (await bus.send_async("paid", number)).kept
        run = (await bus.send_async("ordered")).runs[0]
        await bus.drain()
        assert run.result == [1, 2]
        assert bus.kept == 1


async def test_several_at_once_reach_one_wait_after_another(bus):
    """Nothing is lost, though the step waits for one at a time."""
    bus.register(Twice)
    async with bus:
        run = (await bus.send_async("ordered")).runs[0]
        await bus.drain()
        assert all([await bus.send_async("paid", number) for number in (1, 2)])
        await bus.drain()
        assert run.result == [1, 2]


async def test_a_transient_wait_takes_nothing_kept(bus):
    """What came before stays kept; of two at once the second is dropped."""
    bus.register(Beat)
    async with bus:
        assert (await bus.send_async("paid", "early")).kept
        run = (await bus.send_async("ordered")).runs[0]
        await bus.drain()
        assert run.status == "waiting"
        sent = [bus.send("paid", each) for each in ("now", "too many")]
        assert [each.status for each in sent] == ["accepted", "dropped"]
        await bus.drain()
        assert (run.result, bus.kept) == ("now", 1)


async def test_an_unknown_event_is_refused_still(bus):
    """No listener and no body names it."""
    bus.register(Order)
    async with bus:
        assert (await bus.send_async("unpaid")).status == "unknown"


async def test_a_run_that_a_kickoff_moves_takes_it_there():
    """The bus drives it not a second time."""
    bus = EventBus()
    bus.register(Here)
    async with bus, anyio.create_task_group() as group:
        order = Here()
        group.start_soon(order.kickoff_async)
        with anyio.fail_after(20):
            while order.run is None or not order.run.wants("paid", None):
                await checkpoint()
        assert await bus.send_async("paid", 5)
        with anyio.fail_after(20):
            while not order.run.over:
                await checkpoint()
        assert order.run.result == 5


async def test_a_bus_that_ends_leaves_no_body_waiting(caplog):
    """Nobody could send to it any more: it ends, and that is told."""
    bus = EventBus()
    bus.register(Beat)
    async with bus:
        run = (await bus.send_async("ordered")).runs[0]
        await bus.drain()
    assert (run.status, run.reason) == ("cancelled", "the bus was closed")
    said = "Beat was cancelled: it waited, and the bus was closed"
    assert caplog.messages == [said]


def test_a_bus_that_is_closed_leaves_no_body_waiting():
    """The same for the one that works in a thread."""
    bus = EventBus()
    bus.register(Beat)
    with bus:
        run = bus.send("ordered").runs[0]
        bus.drain()
    assert (run.status, run.reason) == ("cancelled", "the bus was closed")
