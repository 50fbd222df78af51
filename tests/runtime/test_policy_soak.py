"""Many calls of a step that fails at random rates: counts add up, nothing is left."""

from __future__ import annotations

import gc
import random
from collections import Counter

import anyio
import pytest

from flowkit import Breaker, Bulkhead, Flow, Rate, Retry, listen, start
from flowkit.core.records import StepDeferred
from flowkit.runtime.run import Run
from flowkit.runtime.shared import _shared
from tests.conftest import PROVE

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


@pytest.mark.prove
@pytest.mark.timeout(0 if PROVE else 120)
async def test_many_calls_add_up_and_leave_nothing() -> None:
    """Every call ends in one way, every attempt is a record, every place is free."""
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
    gc.collect()
    left = [each for each in gc.get_objects() if type(each) is Run]
    assert [each for each in left if each.net.definition.name == "Soaked"] == []
