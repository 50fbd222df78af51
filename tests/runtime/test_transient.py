"""Transient events never wait in line, whatever keeps their listener from starting."""

from __future__ import annotations

import threading
import time

import anyio
import pytest
from anyio.lowlevel import checkpoint

from flowkit import EventBus, Flow, event, listen, start
from flowkit.journal.memory import MemoryStore
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.receipt import LOST, Receipt
from tests.journal.databases import KINDS, database
from tests.runtime.stored import flow_named

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["none", "memory", "sqlite"])
def store(request, tmp_path):
    """No store, and two kinds."""
    if request.param == "none":
        yield None
        return
    made = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "db")
    yield made
    made.close()


class Watch(Flow):
    """One listener of beats, which takes as long as a test says."""

    @start(on=event("on"))
    async def begin(self): ...

    @listen(event("beat", transient=True))
    async def show(self, beat: int):
        self.state["shown"] = [*self.state.get("shown", ()), beat]
        await gates[0].wait()

    @listen(event("off"))
    async def end(self):
        self.stop(self.state.get("shown", []))


class Both(Watch):
    """Beside it one that keeps all beats."""

    @listen(event("beat"))
    async def keep(self, beat: int):
        self.state["kept"] = [*self.state.get("kept", ()), beat]
        came[beat].set()

    @listen(event("off"))
    async def end(self):
        self.stop((self.state.get("shown", []), self.state.get("kept", [])))


gates: list[anyio.Event] = []
came: dict[int, anyio.Event] = {}


@pytest.fixture
def gate():
    """Opens for the listener that is at work."""
    gates[:] = [anyio.Event()]
    return gates[0]


async def test_of_beats_at_once_one_is_taken(store, gate):
    """The second finds the first one not even begun, and its sender is told."""
    async with EventBus(store=store) as bus:
        bus.register(Watch)
        await bus.send_async("on")
        await bus.drain()
        sent = [await bus.send_async("beat", beat) for beat in (1, 2, 3)]
        assert [each.status for each in sent] == ["accepted", "dropped", "dropped"]
        reason = "It is transient, and no run could take it at once."
        assert sent[1].reason == reason
        gate.set()
        await bus.drain()
        assert (await bus.send_async("beat", 4)).status == "accepted"
        await bus.drain()
        off = await bus.send_async("off")
        await bus.drain()
        assert off.runs or off.run_ids


async def test_a_busy_listener_gets_none_that_another_one_takes(store, gate):
    """The event is accepted for the other, and not kept for the busy one."""
    async with EventBus(store=store) as bus:
        bus.register(Both)
        run = (await bus.send_async("on")).runs[0]
        await bus.drain()
        for beat in (1, 2, 3):
            came[beat] = anyio.Event()
            assert (await bus.send_async("beat", beat)).status == "accepted"
            await came[beat].wait()
        gate.set()
        await bus.drain()
        await bus.send_async("off")
        await bus.drain()
        assert run.result == ([1], [1, 2, 3])


async def test_a_beat_counts_again_after_a_crash(gate, tmp_path):
    """A listener that was cut off is busy until it has ended anew."""
    url = f"sqlite:///{tmp_path}/beats.db"
    with pytest.raises(BaseExceptionGroup):
        async with EventBus(store=url) as bus:
            bus.register(Watch)
            run = (await bus.send_async("on")).run_ids[0]
            await bus.drain()
            await bus.send_async("beat", 1)
            raise RuntimeError("the process dies")
    async with EventBus(store=url) as bus:
        bus.register(Watch)
        assert (await bus.send_async("beat", 2)).status == "dropped"
        gate.set()
        with anyio.fail_after(50):
            while True:
                sent = await bus.send_async("beat", 3)
                if sent.status == "accepted":
                    break
                await checkpoint()
        assert sent.run_ids == [run]


class Two(Flow[dict], evict_after=0):
    """A step that waits for one beat, and tells it."""

    @start(on=event("on"))
    async def begin(self):
        return await self.wait_for("beat", transient=True)


class Heard(Flow[dict]):
    """A listener of one beat."""

    @start(on=event("on"))
    async def begin(self): ...

    @listen(event("beat", transient=True))
    async def show(self, beat):
        self.stop(beat)


@pytest.fixture(params=KINDS)
def opened(request, tmp_path, anyio_backend_name):
    """A bus on one database, as another process would have it."""
    with database(request.param, tmp_path, anyio_backend_name) as store:

        def open_bus(flow):
            bus = EventBus(store=store())
            bus.register(flow)
            return bus

        yield open_bus


@pytest.mark.parametrize("flow", [Two, Heard])
async def test_of_two_senders_at_once_one_is_told_it_is_heard(opened, flow):
    """Each from a process of its own, before the run has taken either."""
    async with opened(flow) as bus:
        run = (await bus.send_async("on")).run_ids[0]
        await bus.drain()
    parts = []
    for bus in (opened(flow), opened(flow)):
        receipt = Receipt("beat", None, None)
        parts.append((bus, receipt, *bus._hand_in(receipt, 1)))
    for bus, receipt, ticket, _ in parts:
        outcome = bus._post.writer.wait(ticket)
        receipt.run_ids += [each.run for each in outcome.fates if each.how == "run"]
        receipt.kept = any(each.how == "kept" for each in outcome.fates)
        bus._conclude(receipt, 1)
    assert sorted(each[1].taken for each in parts) == [False, True]
    lost = next(each[1] for each in parts if not each[1].taken)
    assert repr(lost) == f"<Receipt of 'beat': dropped: {LOST}>"
    async with opened(flow) as bus:
        with anyio.fail_after(20):
            while bus._post.store.run(run).status != "completed":
                await checkpoint()


@pytest.mark.parametrize("store", [None, "memory:two"])
def test_of_two_threads_that_send_at_once_one_is_told_it_is_heard(store):
    """To a run that is at work here, by ``flow.send``."""
    begun, meet = threading.Event(), threading.Barrier(2)

    class Waits(Flow[dict]):
        @start()
        async def first(self):
            begun.set()
            return await self.wait_for("beat", transient=True)

        @start()
        async def stays(self):
            await self.wait_for("off")

    flow = Waits(store=store and f"{store}{id(begun)}")
    run = flow.start()
    begun.wait()
    while not run.wants("beat", None) or not run.wants("off", None):
        time.sleep(0.001)
    told = []

    def send():
        meet.wait()
        told.append(flow.send("beat", 1))

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [False, True]
    flow.send("off")
    while not run.over:
        time.sleep(0.001)
    assert run.outputs[0] == 1


async def test_what_was_kept_is_no_answer_to_a_transient_wait(opened):
    """It came before the wait: it stays kept, and the wait goes on."""

    class Late(Flow[dict], evict_after=0):
        @start(on=event("on"))
        async def begin(self):
            return await self.wait_for("beat", transient=True)

    flow_named(Late)
    async with opened(Late) as bus:
        assert (await bus.send_async("beat", "early")).kept
        run = (await bus.send_async("on")).runs[0]
        await bus.drain()
        assert run.status == "waiting"
        assert await bus.send_async("beat", "now")
        await bus.drain()
        assert run.result == "now"
        assert bus.kept == 1
