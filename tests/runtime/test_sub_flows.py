"""Flows called by steps: own state, waits through the levels, depth, join."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from flowkit import Flow, listen, start
from flowkit.errors import InputError, RunawayError, RunError
from tests.runtime.stored import STORES, made, name_of, opened, rows_of
from tests.runtime.three_levels import Leaf, Root


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    """Nothing, or a store of this test's own."""
    return opened(request.param, tmp_path)


@pytest.fixture(params=STORES[1:])
def place(request, tmp_path):
    """A store of this test's own."""
    return opened(request.param, tmp_path)


class Summary(Flow):
    """Halves a text until a half is short; each level has its own state."""

    @start()
    async def summarize(self):
        words = self.state["words"]
        self.state["seen"] = len(words)
        if len(words) == 1:
            return words[0][0]
        half = len(words) // 2
        parts = await self.join(
            [
                self.call(Summary, {"words": words[:half]}),
                self.call(Summary, {"words": words[half:]}),
            ]
        )
        assert self.state["seen"] == len(words)
        return "".join(parts)


async def test_recursion_of_depth_five_gives_the_right_value(store) -> None:
    """WCP-22: 63 runs, each with the state of its own level."""
    words = [chr(97 + index % 26) + "x" for index in range(32)]
    summary = made(Summary, store)
    result = await summary.kickoff_async({"words": words})
    assert result == "".join(word[0] for word in words)
    if store is not None:
        assert len(rows_of(store, ("completed",))) == 63


def test_recursion_in_synchronous_steps(store) -> None:
    """The same with steps that block; joined calls run one after the other."""

    class Sum(Flow):
        @start()
        def add(self):
            numbers = self.state["numbers"]
            if len(numbers) == 1:
                return numbers[0]
            half = len(numbers) // 2
            parts = [numbers[:half], numbers[half:]]
            return sum(self.join([self.call(Sum, {"numbers": p}) for p in parts]))

    assert made(Sum, store).kickoff({"numbers": list(range(8))}) == 28


async def test_a_recursion_without_end_is_an_error_that_names_the_chain(store) -> None:
    """At the depth that the called class allows, and a deeper one if it says so."""

    class Endless(Flow, max_depth=3):
        @start()
        async def dig(self):
            return await self.call(Endless)

    class Outer(Flow):
        @start()
        async def begin(self):
            return await self.call(Endless)

    with pytest.raises(RecursionError) as caught:
        await made(Outer, store).kickoff_async()
    assert type(caught.value) is RunawayError
    assert str(caught.value) == (
        "Endless.dig called Endless 4 levels deep, and Endless allows 3: Outer -> "
        "Endless (4 times). Give the recursion an end, or raise the bound: "
        "class Endless(Flow, max_depth=6)."
    )


@pytest.mark.parametrize("most", [50, 120])
async def test_calls_nest_as_deep_as_the_class_allows(store, most) -> None:
    """The interpreter's own bound does not come first."""

    class Deep(Flow, max_depth=most):
        @start()
        async def dig(self):
            left = self.state["left"]
            return 0 if not left else 1 + await self.call(Deep, {"left": left - 1})

    assert await made(Deep, store).kickoff_async({"left": most}) == most


def test_blocking_calls_nest_as_deep_as_the_class_allows(store) -> None:
    """The same in synchronous steps."""

    class Deep(Flow, max_depth=120):
        @start()
        def dig(self):
            left = self.state["left"]
            return 0 if not left else 1 + self.call(Deep, {"left": left - 1})

    assert made(Deep, store).kickoff({"left": 120}) == 120


async def test_a_called_run_fails_as_itself_and_names_the_path(store) -> None:
    """The caller can catch it; uncaught it comes out with the way it took."""

    class Charge(Flow):
        @start()
        async def pay(self):
            raise ValueError("card refused")

    class Order(Flow):
        @start()
        async def take(self):
            return await self.call(Charge)

    order = made(Order, store)
    with pytest.raises(ValueError, match="card refused") as caught:
        await order.kickoff_async()
    child, called, parent = caught.value.__notes__
    assert child.startswith("flowkit: step Charge.pay, attempt 1, run ")
    child_id = child.rpartition(" ")[2]
    assert called == (
        f"flowkit: Order.take of run {order.run.id} called Charge, run {child_id}"
    )
    assert parent == f"flowkit: step Order.take, attempt 1, run {order.run.id}"


async def test_a_wait_below_makes_every_level_wait(place) -> None:
    """Three rows that nobody owns; the event goes to the leaf and wakes the rest."""
    root = Root(store=place)
    await root.kickoff_async(id="root")
    rows = rows_of(place)
    assert [(row.status, row.owner) for row in rows] == [("waiting", None)] * 3
    leaf = Leaf(store=place)
    await leaf.kickoff_async(id=rows[0].id)
    leaf.send("approved", "by Ann")
    assert {row.status for row in rows_of(place)} >= {"completed"}
    again = Root(store=place)
    result = await again.kickoff_async(id="root")
    assert result == "root middle by Ann!"
    assert {row.status for row in rows_of(place)} == {"completed"}


async def test_a_wait_below_is_answered_in_memory() -> None:
    """Without a store the called object's own end moves its callers on."""
    root = Root()
    assert await root.kickoff_async() is root.run
    assert root.run.status == "waiting"
    middle = root.run.children.runs[1][0]
    leaf = middle.children.runs[1][0]
    leaf.flow.send("approved", "by Ann")
    assert root.run.result == "root middle by Ann!"
    assert [leaf.status, middle.status, root.run.status] == ["completed"] * 3


async def test_a_join_of_waits_gives_its_place_up_as_one(place) -> None:
    """Each call is answered in its turn; the step starts again with both."""
    ran = []

    class Vote(Flow, evict_after=0):
        @start()
        async def ask(self):
            ran.append(self.state["who"])
            return await self.wait_for(f"vote of {self.state['who']}")

    class Motion(Flow, evict_after=0):
        @start()
        async def ask_both(self):
            who = ["ann", "ben"]
            return await self.join([self.call(Vote, {"who": each}) for each in who])

    motion = Motion(store=place)
    await motion.kickoff_async(id="motion")
    votes = {row.id: row for row in rows_of(place) if row.id != "motion"}
    assert sorted(votes) == ["motion:1:0", "motion:1:1"]
    for name, id_ in [("ben", "motion:1:1"), ("ann", "motion:1:0")]:
        vote = Vote(store=place)
        await vote.kickoff_async({"who": name}, id=id_)
        vote.send(f"vote of {name}", f"{name} says yes")
    assert motion.run.result == ["ann says yes", "ben says yes"]


async def test_a_time_below_wakes_the_callers_when_it_has_come(clock, place) -> None:
    """Only the root's class is asked to go on, and it goes down to the leaf."""

    class Rest(Flow, evict_after=0):
        @start()
        async def nap(self):
            await self.sleep("30d")
            return "rested"

    class Day(Flow, evict_after=0):
        @start()
        async def live(self):
            return await self.call(Rest)

    class Week(Flow, evict_after=0):
        @start()
        async def live(self):
            return await self.call(Day)

    await Week(store=place).kickoff_async(id="week")
    assert await Week.resume_all_async(store=place) == []
    clock.advance(31 * 86_400)
    (week,) = await Week.resume_all_async(store=place)
    assert week.result == "rested"
    assert {row.status for row in rows_of(place)} == {"completed"}


async def test_a_failed_call_is_made_again_when_its_caller_is_resumed(place) -> None:
    """The failed step of the called run starts again, not what had ended there."""
    ran = []
    broken = [True]

    class Charge(Flow):
        @start()
        async def reserve(self):
            ran.append("reserve")

        @listen(reserve)
        async def pay(self):
            ran.append("pay")
            if broken[0]:
                raise ValueError("card refused")
            return "paid"

    class Order(Flow):
        @start()
        async def take(self):
            return await self.call(Charge)

    with pytest.raises(ValueError, match="card refused"):
        await Order(store=place).kickoff_async(id="order")
    broken[0] = False
    assert await Order(store=place).kickoff_async(id="order") == "paid"
    assert ran == ["reserve", "pay", "pay"]


async def test_a_join_of_waits_in_memory_is_answered_in_any_order() -> None:
    """Also while one of them is still at work."""

    class Vote(Flow, evict_after=0):
        @start()
        async def ask(self):
            return await self.wait_for("vote")

    class Motion(Flow, evict_after=0):
        @start()
        async def ask_all(self):
            return await self.join([self.call(Vote), self.call(Vote)])

    motion = Motion()
    await motion.kickoff_async()
    first, second = (motion.run.children.runs[1][at] for at in (0, 1))
    second.flow.send("vote", "no")
    assert motion.run.status == "waiting"
    first.flow.send("vote", "yes")
    assert motion.run.result == ["yes", "no"]


async def test_values_go_in_and_out_and_are_never_shared(store) -> None:
    """DP-2, DP-10, DP-11: neither sees what the other does to a list of its own."""

    class Sort(Flow):
        @start()
        async def work(self):
            self.state["items"].append("added below")
            return self.state["items"]

    class Order(Flow):
        @start()
        async def take(self):
            self.state["items"] = ["lamp"]
            got = await self.call(Sort, {"items": self.state["items"]})
            got.append("added above")
            again = await self.call(Sort, {"items": []})
            return self.state["items"], got, again

    items, got, again = await made(Order, store).kickoff_async()
    assert items == ["lamp"]
    assert got == ["lamp", "added below", "added above"]
    assert again == ["added below"]


async def test_a_call_of_what_is_no_flow_is_refused() -> None:
    """With what was given."""

    class Order(Flow):
        @start()
        async def take(self):
            return await self.call(3)

    with pytest.raises(RunError) as caught:
        await Order().kickoff_async()
    assert str(caught.value) == (
        "Order.call(..) runs a flow: give a Flow class or object, not 3."
    )


async def test_inputs_that_do_not_fit_are_an_error_of_the_call(store) -> None:
    """The same again after a restart: nothing was begun."""

    class State(BaseModel):
        count: int = 0

    class Below(Flow[State]):
        @start()
        async def work(self):
            return self.state.count

    class Above(Flow):
        @start()
        async def take(self):
            try:
                return await self.call(Below, {"count": "many"})
            except InputError as error:
                return str(error)

    told = await made(Above, store).kickoff_async()
    assert "Below does not take them as State: count" in told
    if store is not None:
        assert [name_of(row) for row in rows_of(store)] == ["Above"]
