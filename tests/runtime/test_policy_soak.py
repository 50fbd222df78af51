"""Many calls of a step that fails at random rates: counts add up, nothing is left."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import random
import threading
from collections import Counter

import anyio
import pytest

from flowkit import (
    Admission,
    Breaker,
    Bulkhead,
    Flow,
    Hedge,
    Rate,
    Retry,
    listen,
    runs,
    start,
)
from flowkit.core.records import StepDeferred, StepHedged
from flowkit.errors import AdmissionFullError
from flowkit.runtime.kinds import known
from flowkit.runtime.run import Run
from flowkit.runtime.shared import _shared
from tests.conftest import PROVE
from tests.runtime.stored import MemoryStore, flow_named, rows_of

CALLS = 100_000 if PROVE else 1_500
BATCH = 100
CHANCE = random.Random(11)


class Soaked(Flow[dict]):
    """A call that fails as often as it is told, behind every limit there is."""

    tried: Counter[str] = Counter()

    @start(
        retry=Retry(4, on=ConnectionError, first="1ms"),
        timeout="60s",
        rate=Rate(1_000_000, name="soak"),
        bulkhead=Bulkhead(20, name="soak"),
        breaker=Breaker(share=0.9, calls=50, open_for="1ms", name="soak"),
        fallback={KeyError: "fallback"},
    )
    async def call(self):
        self.tried["attempts"] += 1
        await anyio.lowlevel.checkpoint()
        drawn = CHANCE.random()
        if drawn < self.state["rate"]:
            error = CHANCE.choice([ConnectionError, ConnectionError, KeyError])
            self.tried[error.__name__] += 1
            raise error("soaked")
        self.tried["well"] += 1
        return "well"

    @listen(call)
    def use(self, got):
        return got


async def all_gone(flow: type) -> None:
    """No run of that class is left; what is due in a moment may hold one until then."""
    with anyio.fail_after(50):
        while _left(flow):  # noqa: ASYNC110 - nobody tells
            await anyio.sleep(0.01)


def _left(flow: type) -> bool:
    gc.collect()
    runs = [each for each in gc.get_objects() if type(each) is Run]
    return any(type(each.flow) is flow for each in runs)


@pytest.mark.prove
@pytest.mark.timeout(0 if PROVE else 120)
async def test_many_calls_add_up_and_leave_nothing(caplog) -> None:
    """Every call ends in one way, every attempt is a record, every place is free."""
    caplog.set_level(logging.CRITICAL + 1, logger="flowkit")
    Soaked.tried.clear()
    outcomes: Counter[str] = Counter()
    deferred: Counter[str] = Counter()

    async def go(rate):
        flow = Soaked()
        try:
            outcomes[await flow.kickoff_async({"rate": rate})] += 1
        except Exception as error:
            outcomes[type(error).__name__] += 1
        for record in flow.run.records:
            if type(record) is StepDeferred:
                name = type(record.error).__name__ if record.error else ""
                deferred[record.why, name] += 1

    for _ in range(CALLS // BATCH):
        rate = CHANCE.choice([0, 0.1, 0.5, 0.95])
        async with anyio.create_task_group() as group:
            for _ in range(BATCH):
                group.start_soon(go, rate)

    tried = Soaked.tried
    assert sum(outcomes.values()) == CALLS // BATCH * BATCH
    assert outcomes["well"] == tried["well"]
    assert outcomes["fallback"] == tried["KeyError"] == deferred["fallback", "KeyError"]
    failed = tried["ConnectionError"]
    assert failed == outcomes["ConnectionError"] + deferred["retry", "ConnectionError"]
    assert set(outcomes) <= {"well", "fallback", "ConnectionError", "BreakerOpenError"}
    assert tried["attempts"] == tried["well"] + tried["KeyError"] + failed
    assert failed > 0 < tried["KeyError"]
    for (_, name), shared in _shared.items():
        if name == "soak" and hasattr(shared, "waiters"):
            state = shared.state(None)
            assert (state.inside, state.unnamed, state.waiting) == ({}, 0, 0)
            assert shared.waiters == {}
    await all_gone(Soaked)


MIXED = 10_000 if PROVE else 300


class Mixed(Flow[dict], admission=Admission(30, queue=40, name="mixed")):
    """A call made twice if it takes long, behind places that all processes share."""

    tried: Counter[str] = Counter()

    @start(
        retry=Retry(3, on=ConnectionError, first="1ms"),
        hedge=Hedge("2ms", most=2),
        bulkhead=Bulkhead(20, name="mixed", shared="store"),
        breaker=Breaker(share=0.95, calls=50, open_for="1ms", name="mixed"),
        fallback={KeyError: "fallback"},
    )
    async def call(self):
        self.tried["begun"] += 1
        ended = "cut"
        try:
            while self.state.get("alone") and self.tried["begun"] < 2:  # noqa: ASYNC110
                await anyio.sleep(0.001)
            for _ in range(CHANCE.choice([1, 1, 400])):
                await anyio.lowlevel.checkpoint()
            ended = "well"
            if CHANCE.random() < self.state["rate"]:
                error = CHANCE.choice([ConnectionError, KeyError])
                ended = error.__name__
                raise error("soaked")
        finally:
            self.tried[ended] += 1
        return "well"

    @listen(call)
    async def use(self, got):
        return got


flow_named(Mixed)


@pytest.mark.prove
@pytest.mark.timeout(0 if PROVE else 120)
async def test_hedged_admitted_and_stored_calls_add_up_and_leave_nothing(
    caplog,
) -> None:
    """Every call that begins ends; no place, row, thread, process or run is left."""
    # pytest keeps what is logged, with the tracebacks of calls that failed late.
    caplog.set_level(logging.CRITICAL + 1, logger="flowkit")
    store = MemoryStore("memory:mixed")
    Mixed.tried.clear()
    outcomes: Counter[str] = Counter()
    hedged = 0

    async def go(rate, **more):
        nonlocal hedged
        flow = Mixed(store=store)
        try:
            outcomes[await flow.kickoff_async({"rate": rate, **more})] += 1
        except AdmissionFullError:
            outcomes["full"] += 1
            return
        except Exception as error:
            outcomes[type(error).__name__] += 1
        hedged += sum(type(each) is StepHedged for each in flow.run.records)

    async def batch(number):
        rate = CHANCE.choice([0, 0.3, 0.9])
        async with anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(go, rate)

    await go(0, alone=True)  # its first call waits for the second
    await batch(9)  # what is started once for all
    threads = set(threading.enumerate())
    for _ in range(MIXED // BATCH):
        await batch(BATCH)

    tried, calls = Mixed.tried, MIXED // BATCH * BATCH + 10
    assert sum(outcomes.values()) == calls
    assert outcomes["full"] == MIXED // BATCH * (BATCH - 70)
    ends = ("well", "fallback", "ConnectionError", "BreakerOpenError", "full")
    assert set(outcomes) <= set(ends)
    assert outcomes["well"] > 0 < hedged
    assert tried["well"] >= outcomes["well"]
    assert tried["begun"] == sum(tried.values()) - tried["begun"]
    rows = rows_of(store) if calls < 1_000 else runs.list(store=store, limit=calls)
    assert len(rows) == calls - outcomes["full"]
    completed = outcomes["well"] + outcomes["fallback"]
    ended = Counter(each.status for each in rows)
    assert (ended["completed"], ended.total()) == (completed, len(rows))
    assert ended["failed"] == len(rows) - completed
    for (_, name), shared in _shared.items():
        if name == "mixed" and hasattr(shared, "waiters"):
            for place in (None, store) if not shared.polls else (store,):
                state = shared.state(place)
                assert (state.inside, state.unnamed, state.waiting) == ({}, 0, 0)
            assert (shared.waiters, [*shared.owed]) == ({}, [])
    assert known[Mixed].admission.places.state(None).inside == {}
    assert len(store.owners()) == 1
    assert set(threading.enumerate()) <= threads
    assert multiprocessing.active_children() == []
    await all_gone(Mixed)
