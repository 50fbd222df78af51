"""The times of a run and of its steps go on where nothing of it is in memory."""

from __future__ import annotations

import anyio
import pytest

from flowkit import EventBus, Flow, Retry, event, listen, runs, start
from flowkit.runtime.clock import ManualClock, use_clock
from flowkit.runtime.resumption import resume_async
from tests.runtime.stored import MemoryStore, flow_named


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


async def ticks(clock, seconds, times=1):
    """Let time pass, and what is due then happen."""
    for _ in range(times):
        await anyio.wait_all_tasks_blocked()
        clock.advance(seconds)
    await anyio.wait_all_tasks_blocked()


def evicted(**more):
    """A step that waits for an event, out of memory after a minute."""

    class Waits(Flow, evict_after=60):
        @start(**more)
        async def go(self):
            return await self.wait_for("paid")

        @listen(go.timeout)
        def late(self, error):
            return f"late by {error.limit}"

    return flow_named(Waits)


async def begun(cls, store, clock):
    """A run of it that has left memory; its id."""
    flow = cls(store=store)
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await ticks(clock, 61)
    assert flow.run.status == "waiting"
    return flow.run.id


@pytest.mark.parametrize("limit", ["timeout", "total_timeout"])
async def test_a_step_out_of_memory_runs_out_of_its_time(clock, limit) -> None:
    """Its row says when; whoever looks at it then ends the attempt."""
    store = MemoryStore("memory:test")
    cls = evicted(**{limit: "1h"})
    id = await begun(cls, store, clock)
    assert runs.get(id, store=store).due == 4_600.0
    clock.advance(3_600)
    assert await resume_async(id, store=store) == f"late by {limit}"


async def test_an_attempt_out_of_memory_is_tried_again_in_time(clock) -> None:
    """The next one has its whole time."""
    store = MemoryStore("memory:test")
    cls = evicted(timeout="1h", retry=Retry(2, first=0))
    id = await begun(cls, store, clock)
    clock.advance(3_600)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: resume_async(id, store=store))
        await ticks(clock, 61)
    row = runs.get(id, store=store)
    assert (row.status, row.due) == ("waiting", 4_661.0 + 3_600.0)


async def test_a_step_that_starts_again_has_the_time_it_had(clock) -> None:
    """What it waited out of memory counts."""
    ended = []

    class Slow(Flow, evict_after=60):
        @start(timeout="1h")
        async def go(self):
            await self.wait_for("paid")
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(clock.now())

    cls, store = flow_named(Slow), MemoryStore("memory:test")
    await begun(cls, store, clock)
    clock.advance(3_000 - 61)
    async with EventBus(store=store) as bus:
        bus.register(cls)
        await bus.send_async("paid", {})
        await ticks(clock, 100, times=20)
        await bus.drain()
    assert ended == [4_600.0]


async def test_whoever_serves_a_store_fails_a_run_at_its_deadline(clock) -> None:
    """While nothing of it is in memory."""

    class Late(Flow, deadline="2h", evict_after=60):
        @start()
        def begin(self):
            return None

        @listen(event("paid"))
        def paid(self, payload):
            return payload

    cls, store = flow_named(Late), MemoryStore("memory:test")
    flow = cls(store=store)
    await flow.kickoff_async()
    assert runs.get(flow.run.id, store=store).due == 1_000 + 7_200
    clock.advance(7_199)
    assert await cls.resume_all_async(store) == []
    clock.advance(1)
    (run,) = await cls.resume_all_async(store)
    assert run.status == runs.get(run.id, store=store).status == "failed"
