"""WCP-23 and WCP-24: signals that are lost, and messages that are kept."""

from __future__ import annotations

import anyio
import pytest

from flowkit import EventBus, Flow, event, listen, runs, start
from flowkit.journal.sqlite.store import SqliteStore
from tests.patterns.stage import example


@pytest.mark.pattern(23)
@pytest.mark.parametrize("durable", [False, True])
async def test_a_heartbeat_counts_only_while_somebody_listens(tmp_path, durable):
    """Before and after, it is dropped, and the sender is told; none comes later."""
    store = SqliteStore(tmp_path / "beats.db") if durable else None
    async with EventBus(store=store) as bus:
        bus.register(example(23).Panel)
        beat = {"machine": "press", "load": 10}
        early = await bus.send_async("heartbeat", beat)
        assert (early.status, bool(early)) == ("dropped", False)
        assert early.reason == "It is transient, and no run could take it at once."
        on = await bus.send_async("switched on", {"machine": "press"})
        await bus.drain()
        for load in (20, 30):
            assert await bus.send_async("heartbeat", {"machine": "press", "load": load})
            await bus.drain()
        other = await bus.send_async("heartbeat", {"machine": "lathe", "load": 5})
        assert other.status == "dropped"
        await bus.send_async("switched off", {"machine": "press"})
        await bus.drain()
        assert on.runs[0].result == [20, 30]
        late = await bus.send_async("heartbeat", beat)
        assert late.status == "dropped"


@pytest.mark.pattern(23)
@pytest.mark.parametrize("store", [None, "memory:beats"])
async def test_a_heartbeat_is_dropped_while_the_listener_is_busy(stage, store):
    """It cannot start at once, so the beat is not queued for it."""
    module = example(23)
    free, begun = anyio.Event(), anyio.Event()
    if store is not None:
        store += str(id(free))  # another test's run is not to take the beat

    class Busy(module.Panel):
        @listen(event("heartbeat", key="machine", transient=True))
        async def show(self, beat: module.Beat):
            begun.set()
            await free.wait()

    async with EventBus(store=store) as bus:
        bus.register(Busy)
        await bus.send_async("switched on", {"machine": "press"})
        await bus.drain()
        beat = {"machine": "press", "load": 10}
        first = await bus.send_async("heartbeat", beat)
        await begun.wait()
        second = await bus.send_async("heartbeat", beat)
        free.set()
        await bus.drain()
        third = await bus.send_async("heartbeat", beat)
        await bus.drain()
    statuses = [each.status for each in (first, second, third)]
    assert statuses == ["accepted", "dropped", "accepted"]
    assert stage.order("started").count("show") == 2


class Watch(Flow[dict], evict_after=0):
    """Two steps wait for a heartbeat that nobody keeps."""

    @start()
    async def first(self):
        return await self.wait_for("heartbeat", transient=True, timeout=60)

    @start()
    async def second(self):
        return await self.wait_for("heartbeat", transient=True, timeout=60)


@pytest.mark.pattern(23)
async def test_the_step_that_waits_longest_takes_the_beat(stage, clock):
    """One each, oldest first; when nobody waits any more, the sender is told."""
    watch = Watch(store="memory:")
    await watch.kickoff_async()
    assert [watch.send("heartbeat", load) for load in (10, 20, 30)] == [
        True,
        True,
        False,
    ]
    assert stage.order() == ["first", "second"]
    assert watch.run.outputs == [10, 20]


@pytest.mark.pattern(23)
async def test_a_beat_before_the_wait_is_lost(stage, clock):
    """It is not found later: the step times out."""

    class Late(Flow[dict]):
        @start()
        async def begin(self):
            self.state["early"] = self.send("heartbeat", 10)

        @listen(begin)
        async def look(self):
            try:
                return await self.wait_for("heartbeat", transient=True, timeout=0)
            except TimeoutError:
                return "lost"

    late = Late()
    assert await late.kickoff_async() == "lost"
    assert late.state["early"] is False


@pytest.fixture
def opened(tmp_path):
    """Opens the same file anew, as another process would."""
    stores = []

    def open_bus():
        stores.append(SqliteStore(tmp_path / "orders.db"))
        bus = EventBus(store=stores[-1])
        bus.register(example(24).Order)
        return bus

    yield open_bus
    for store in stores:
        store.close()


ORDERED = {"order": 7, "euros": 30}


@pytest.mark.pattern(24)
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("restart", [True, False])
async def test_a_payment_counts_early_or_late(opened, early, restart):
    """The same result, and across a restart in between."""
    first, second = ("paid", {"euros": 30}), ("ordered", ORDERED)
    if not early:
        first, second = second, first
    run_ids = []
    bus = opened()
    async with bus:
        receipt = await bus.send_async(first[0], first[1], key="7")
        await bus.drain()
        run_ids += receipt.run_ids
        if not restart:
            receipt = await bus.send_async(second[0], second[1], key="7")
            await bus.drain()
            run_ids += receipt.run_ids
    if restart:
        async with opened() as bus:
            receipt = await bus.send_async(second[0], second[1], key="7")
            await bus.drain()
            run_ids += receipt.run_ids
    assert runs.get(run_ids[0], store=opened()._post.store).result == "paid in full"


@pytest.mark.pattern(24)
async def test_payments_are_used_once_in_their_order_by_key(opened):
    """First come, first served for a name and a key; other keys are not affected."""
    results = {}
    async with opened() as bus:
        for euros, key in ((10, "7"), (20, "7"), (30, "8")):
            await bus.send_async("paid", {"euros": euros}, key=key)
        for name, order in (("a", 7), ("b", 7), ("c", 8), ("d", 7)):
            taken = await bus.send_async("ordered", {"order": order, "euros": 30})
            await bus.drain()
            results[name] = taken.runs[0]
        found = {name: run.result for name, run in results.items() if run.over}
    assert found == {
        "a": "20 euros are missing",
        "b": "10 euros are missing",
        "c": "paid in full",
    }
    assert results["d"].status == "waiting"


@pytest.mark.pattern(24)
async def test_the_same_message_twice_counts_once(opened):
    """By its id, also after a restart."""
    statuses = []
    for _ in range(2):
        async with opened() as bus:
            sent = await bus.send_async("paid", {"euros": 30}, key="7", id="bank-1")
            statuses.append(sent.status)
    assert statuses == ["accepted", "duplicate"]
    async with opened() as bus:
        one = await bus.send_async("ordered", ORDERED, id="one")
        await bus.drain()
        two = await bus.send_async("ordered", ORDERED, id="two")
        await bus.drain()
        assert one.runs[0].result == "paid in full"
        assert two.runs[0].status == "waiting"
