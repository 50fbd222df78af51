"""Transient events never wait in line, whatever keeps their listener from starting."""

from __future__ import annotations

import anyio
import pytest

from flowkit import EventBus, Flow, event, listen, start
from flowkit.journal.memory import MemoryStore
from flowkit.journal.sqlite.store import SqliteStore

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
                await anyio.sleep(0.001)
        assert sent.run_ids == [run]
