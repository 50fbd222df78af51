"""Timers of the graph go off while steps run, whatever kind these are."""

from __future__ import annotations

import time

import anyio
import pytest

from flowkit import Flow, each, listen, start, timer

pytestmark = pytest.mark.anyio


class Async(Flow[dict]):
    """A step that would take a minute, and a timer that ends it."""

    @start()
    async def search(self):
        await anyio.sleep(60)

    @listen(timer(0.02))
    def enough(self):
        self.state["enough"] = True
        self.cancel("search")


class Sync(Flow[dict]):
    """A step in a thread that waits for what the timer's listener does."""

    @start()
    def search(self):
        until = time.monotonic() + 30
        while not seen and time.monotonic() < until:
            time.sleep(0.001)
        return list(seen)

    @listen(timer(0.02))
    async def enough(self):
        seen.append("timer")


seen: list[str] = []


@pytest.mark.parametrize("stored", [False, True], ids=["memory", "stored"])
async def test_a_timer_goes_off_while_an_async_step_runs(tmp_path, stored):
    """Its listener cancels the step."""
    given = {"store": f"sqlite:///{tmp_path}/x.db"} if stored else {}
    flow = Async(**given)
    with anyio.fail_after(50):
        await flow.kickoff_async()
    assert flow.run.status == "completed"
    assert flow.state["enough"]
    assert [step for step, _, _ in flow.run.history] == ["enough"]


@pytest.mark.parametrize("stored", [False, True], ids=["memory", "stored"])
async def test_a_timer_goes_off_while_a_thread_runs(tmp_path, stored):
    """The step in the thread sees what the listener did."""
    seen.clear()
    given = {"store": f"sqlite:///{tmp_path}/x.db"} if stored else {}
    flow = Sync(**given)
    await flow.kickoff_async()
    assert flow.run.outputs == [None, ["timer"]]


def test_a_timer_goes_off_in_a_blocking_kickoff():
    """Blocking code is no different."""
    seen.clear()
    flow = Sync()
    assert flow.kickoff() == ["timer"]


class Armed(Flow):
    """A step in a thread sets a timer, and its end begins what the timer cuts short."""

    @start()
    def tender(self):
        while self.run.alarm is None:  # the runner does not watch the time yet
            time.sleep(0.001)
        return ["north", "south"]

    @listen(each(tender))
    async def ask(self, carrier):
        await anyio.sleep(60)

    @listen(timer(after=tender, delay=0.02))
    async def deadline(self):
        self.cancel("ask")
        return "in time"


async def test_a_thread_may_set_a_timer():
    """The runner hears of it on its own loop, and begins what else there is."""
    flow = Armed()
    with anyio.fail_after(50):
        assert await flow.kickoff_async() == "in time"
    assert flow.run.status == "completed"
