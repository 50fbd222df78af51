"""Steps that wait: answers by position, drift, eviction, timers, on either loop."""

from __future__ import annotations

import asyncio
import warnings

import anyio
import pytest

from flowkit import Flow, event, listen, start, timer
from flowkit.errors import DriftError, FlowkitWarning, RunError
from flowkit.runtime.opening import store_for
from tests.runtime.stored import made
from tests.runtime.ticking import ticks

STORES = [None, "memory:"]


def place(store):
    """A store of this test's own, or none."""
    from flowkit.journal.memory import MemoryStore

    return None if store is None else MemoryStore("memory:test")


@pytest.mark.parametrize("store", STORES)
async def test_a_step_sleeps_until_its_time(clock, store) -> None:
    """Not a tick earlier, and the run says so meanwhile."""
    seen = []

    class Naps(Flow):
        @start()
        async def nap(self):
            await self.sleep("30s")
            seen.append("awake")
            return "done"

    flow = made(Naps, place(store))
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await ticks(clock, 29.9)
        assert (seen, flow.run.status) == ([], "waiting")
        await ticks(clock, 0.2)
    assert (seen, flow.run.result) == (["awake"], "done")


@pytest.mark.parametrize("store", STORES)
def test_an_event_wakes_the_step_that_waits(store) -> None:
    """Its payload comes back, evicted or not; code before it ran again."""
    begun = []

    class Paid(Flow, evict_after=0):
        @start()
        async def wait(self):
            begun.append(self.attempt)
            first = await self.wait_for("paid", key="a")
            second = await self.wait_any("shipped", "lost")
            return first, second.name, second.payload

    flow = made(Paid, place(store))
    assert flow.kickoff() is flow.run
    assert flow.run.awaits == ("paid",)
    assert flow.send("paid", 5) is False
    assert flow.send("paid", 5, key="a") is True
    assert flow.run.awaits == ("shipped", "lost")
    assert flow.send("lost", "at sea") is True
    assert flow.run.result == (5, "lost", "at sea")
    assert begun == [1, 1, 1]


def test_a_wait_that_is_not_answered_times_out(clock) -> None:
    """As TimeoutError in the step, which may go on."""

    class Late(Flow):
        @start()
        async def wait(self):
            try:
                await self.wait_for("paid", timeout="1m")
            except TimeoutError as error:
                return str(error)

    async def main():
        flow = Late()
        async with anyio.create_task_group() as group:
            group.start_soon(flow.kickoff_async)
            await ticks(clock, 61)
        return flow.run.result

    assert asyncio.run(main()) == (
        "No event 'paid' came within 1m. Give timeout= more time."
    )


def test_verbs_of_a_synchronous_step_block_and_give_the_value() -> None:
    """Alone in the caller's thread, and in a worker thread beside another step."""

    class Waits(Flow):
        @start()
        def nap(self):
            self.sleep(0.001)
            return "slept"

        @start()
        async def beside(self):
            await self.sleep(0.001)

    class Alone(Flow):
        @start()
        def nap(self):
            self.sleep(0.001)
            return self.idempotency_key.partition(":")[2]

    assert Alone().kickoff() == "1"
    flow = Waits()
    flow.kickoff()
    assert "slept" in flow.method_outputs


def test_another_question_at_a_position_is_drift() -> None:
    """What was asked before, what is asked now, and what to do."""
    verbs = ["wait_for", "sleep"]

    class Drifts(Flow, evict_after=0):
        @start()
        async def ask(self):
            if verbs.pop(0) == "wait_for":
                await self.wait_for("paid")
            await self.sleep(1)

    flow = Drifts()
    flow.kickoff()
    with pytest.raises(DriftError) as caught:
        flow.send("paid", 1)
    text = str(caught.value)
    assert "Drifts.ask asked wait_for('paid') as its question 1 before it" in text
    assert "and asks sleep() now" in text


def test_a_wait_that_nobody_awaits_warns() -> None:
    """Else the step would not wait, and nobody would know."""

    class Forgets(Flow):
        @start()
        async def nap(self):
            self.sleep("5m")
            return 1

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert Forgets().kickoff() == 1
    assert [each.category for each in caught] == [FlowkitWarning]
    assert "write `await self.sleep(..)` in an async step" in str(caught[0].message)


def test_verbs_belong_to_steps() -> None:
    """Outside of one they say so."""

    class Empty(Flow):
        @start()
        def begin(self):
            return None

    with pytest.raises(RunError) as caught:
        Empty().sleep(1)
    assert str(caught.value) == (
        "Empty.sleep works within a step; no step of this object runs. Use it in a "
        "method that is a step."
    )


@pytest.mark.parametrize("store", STORES)
async def test_a_timer_starts_its_listener_when_its_time_comes(clock, store) -> None:
    """After a step's end; the listener gets the time it was due."""

    class Reminds(Flow):
        @start()
        def bill(self):
            return "billed"

        @listen(timer(after=bill, delay="30s"))
        def remind(self, due):
            return due

    flow = made(Reminds, place(store))
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        with anyio.move_on_after(50):
            # a thread of ours gets there by itself
            while flow.run is None or flow.run.status != "waiting":  # noqa: ASYNC110
                await anyio.sleep(0.001)
        await ticks(clock, 31)
    assert flow.run.result == 1_030.0


def test_a_stored_wait_survives_its_process() -> None:
    """Another flow object on the store goes on behind the recorded answers."""
    store = place("memory:")
    seen = []

    class Orders(Flow, evict_after=0):
        @start()
        async def take(self):
            seen.append("start")
            self.state["paid"] = await self.wait_for("paid")
            self.state["sent"] = await self.wait_for("sent")

        @listen(take)
        def close(self):
            return self.state["paid"], self.state["sent"]

    first = Orders(store=store)
    first.kickoff(id="order-1")
    first.send("paid", 7)
    second = Orders(store=store)
    assert second.kickoff(id="order-1") is second.run
    assert second.run.awaits == ("sent",)
    second.send("sent", "today")
    assert second.run.result == (7, "today")
    assert store.run("order-1").status == "completed"
    assert len(seen) == 3


def test_a_call_is_answered_once() -> None:
    """The called flow runs once, however often its caller starts again."""
    store = place("memory:")
    ran = []

    class Price(Flow):
        @start()
        def look_up(self):
            ran.append(self.state["item"])
            return 20

    class Order(Flow, evict_after=0):
        @start()
        async def take(self):
            price = await self.call(Price, {"item": "lamp"})
            await self.wait_for("paid")
            return price

    order = Order(store=store)
    order.kickoff()
    order.send("paid", 1)
    assert order.run.result == 20
    assert ran == ["lamp"]


def test_a_called_flow_that_waits_wakes_its_caller() -> None:
    """Its end is an event for the step that called it."""
    store = place("memory:")

    class Approval(Flow):
        @start()
        def ask(self):
            return None

        @listen(event("approved"))
        def note(self, by):
            self.stop(by)

    class Order(Flow, evict_after=0):
        @start()
        async def take(self):
            return await self.call(Approval)

    order = Order(store=store)
    order.kickoff(id="parent")
    (child,) = [row for row in store.runs(_query()) if row.parent == "parent"]
    approval = Approval(store=store)
    approval.kickoff(id=child.id)
    approval.send("approved", "Ann")
    again = Order(store=store)
    assert again.kickoff(id="parent") == "Ann"


def _query():
    from flowkit.journal.queries import Query

    return Query()


def test_stores_are_shared_by_url() -> None:
    """The same place is the same store."""
    assert store_for("memory:one") is store_for("memory:one")


def test_a_kickoff_leaves_the_stored_run_that_waits() -> None:
    """The same object: the same id goes on with it, another one begins anew."""
    store = place("memory:")

    class Orders(Flow):
        @start()
        def take(self):
            return "taken"

        @listen(event("paid"))
        def pay(self, amount):
            self.stop(amount)

    flow = Orders(store=store)
    first = flow.kickoff(id="one")
    assert flow.kickoff(id="one").id == first.id == "one"
    assert flow.kickoff(id="two").id == "two"
    assert store.run("one").status == "waiting"
    assert flow.send("paid", 5)
    assert [store.run(each).status for each in ("one", "two")] == [
        "waiting",
        "completed",
    ]
