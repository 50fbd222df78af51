"""WCP-20: a run is taken back as a whole."""

from __future__ import annotations

import anyio
import pytest

from flowkit import Flow, listen, runs, start
from flowkit.journal.memory import MemoryStore
from tests.patterns.stage import example

MONTH = 31 * 86_400


@pytest.mark.pattern(20)
@pytest.mark.parametrize("by", ["a step", "its handle"])
async def test_the_case_is_cancelled_wherever_it_stands(stage, clock, by):
    """Nothing of it is left: no timer, and no event is taken any more."""
    module, store = example(20), MemoryStore()
    application = module.Application(store=store)
    await application.kickoff_async()
    run = application.run
    assert run.status == "waiting"
    assert [each.status for each in runs.list(store=store)] == ["waiting", "waiting"]
    if by == "a step":
        assert application.send("withdrawn", "found a cheaper loan")
        assert run.reason == "found a cheaper loan"
    else:
        run.cancel("asked by phone")
        await run_on(run)
        assert run.reason == "asked by phone"
    assert run.status == "cancelled"
    assert application.send("signed") is False
    clock.advance(MONTH)
    assert await module.Application.resume_all_async(store) == []
    assert stage.times("remind", "started") == []
    assert stage.times("pay_out", "started") == []


async def run_on(run):
    """Until a cancelled run is over."""
    with anyio.fail_after(50):
        while not run.over:  # noqa: ASYNC110 - another thread may move it
            await anyio.sleep(0.001)


@pytest.mark.pattern(20)
async def test_running_bodies_are_joined(stage):
    """When the kickoff comes back, every body has run its ``finally``."""
    closed = []

    class Case(Flow):
        @start()
        async def check(self):
            try:
                await stage.sleep(30)
            finally:
                closed.append("check")

        @start()
        async def decide(self):
            await stage.sleep(1)
            self.abort("withdrawn")

        @listen(check)
        async def after(self): ...

    run = await stage.play(Case())
    assert (run.status, closed, stage.now) == ("cancelled", ["check"], 1)
    assert stage.order("started") == ["check", "decide"]


@pytest.mark.pattern(20)
async def test_called_flows_are_cancelled_too(clock):
    """The credit report that was on its way is no longer waited for."""
    module, store = example(20), MemoryStore()
    application = module.Application(store=store)
    await application.kickoff_async()
    application.send("withdrawn", "enough")
    statuses = {each.flow: each.status for each in runs.list(store=store)}
    assert sorted(statuses.values()) == ["cancelled", "cancelled"]
