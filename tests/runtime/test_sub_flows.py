"""Flows called by steps: own state, waits through the levels, cancel, depth, join."""

from __future__ import annotations

import threading
import time

import anyio
import pytest
from pydantic import BaseModel

from flowkit import Flow, listen, runs, start
from flowkit.errors import CallError, InputError, RunawayError, RunError, StoreError
from flowkit.journal.memory import MemoryStore
from flowkit.journal.rows import Query
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.clock import ManualClock, use_clock
from flowkit.runtime.opening import store_for
from flowkit.runtime.presence import presence_in

STORES = ["none", "memory", "sqlite"]


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    """Nothing, or a store of this test's own."""
    if request.param == "none":
        return None
    if request.param == "memory":
        return MemoryStore("memory:test")
    return store_for(f"sqlite:///{tmp_path}/runs.db")


@pytest.fixture(params=STORES[1:])
def place(request, tmp_path):
    """A store of this test's own."""
    if request.param == "memory":
        return MemoryStore("memory:test")
    return store_for(f"sqlite:///{tmp_path}/runs.db")


def made(cls, store):
    return cls() if store is None else cls(store=store)


def rows_of(store, status=()):
    return store.runs(Query(status=status, limit=1_000))


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


def name_of(row):
    return row.flow.replace(":", ".").rpartition(".")[2]


class Leaf(Flow, evict_after=0):
    """Waits for an event."""

    @start()
    async def ask(self):
        return await self.wait_for("approved")


class Middle(Flow, evict_after=0):
    """The level between."""

    @start()
    async def pass_on(self):
        return f"middle {await self.call(Leaf)}"


class Root(Flow, evict_after=0):
    """Three levels."""

    @start()
    async def begin(self):
        return f"root {await self.call(Middle)}"

    @listen(begin)
    async def end(self, got):
        return f"{got}!"


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


async def test_stop_in_a_called_flow_ends_only_that_flow(store) -> None:
    """WCP-43 in a sub-flow: the caller goes on with what stop was given."""
    seen = []

    class Checks(Flow):
        @start()
        async def slow(self):
            try:
                await anyio.sleep_forever()
            finally:
                seen.append("slow ended")

        @start()
        async def fraud(self):
            self.stop("fraud proven")

    class Claim(Flow):
        @start()
        async def check(self):
            return await self.call(Checks)

        @listen(check)
        async def decide(self, found):
            return f"refused: {found}"

    claim = made(Claim, store)
    assert await claim.kickoff_async() == "refused: fraud proven"
    assert claim.run.status == "completed"
    assert seen == ["slow ended"]


async def test_an_aborted_called_run_is_an_error_of_its_caller(store) -> None:
    """There is no result, and silence would hide that."""

    class Check(Flow):
        @start()
        async def look(self):
            self.abort("no licence")

    class Order(Flow):
        @start()
        async def take(self):
            return await self.call(Check)

    with pytest.raises(CallError) as caught:
        await made(Order, store).kickoff_async()
    error = caught.value
    assert (error.status, error.reason) == ("cancelled", "no licence")
    assert str(error) == (
        f"Check, called as run {error.run}, ended as cancelled: no licence. It gives "
        f"no result: catch CallError where that may happen, or resume its caller once "
        f"the cause is mended."
    )


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


async def test_cancelling_the_root_reaches_the_waiting_leaves(store) -> None:
    """WCP-20: from the handle; nothing takes the event any more."""
    root = made(Root, store)
    await root.kickoff_async()
    root.run.cancel("withdrawn by the applicant")
    assert root.run.status == "cancelled"
    assert not root.send("approved", "late")
    if store is None:
        return
    rows = {name_of(row): row for row in rows_of(store)}
    assert {name: row.status for name, row in rows.items()} == dict.fromkeys(
        ["Root", "Middle", "Leaf"], "cancelled"
    )
    assert rows["Root"].error == "withdrawn by the applicant"
    assert rows["Leaf"].error == "the step that called it is over"
    assert store.waits(name="approved") == []


async def test_a_stored_run_is_cancelled_by_its_id(place) -> None:
    """From anywhere that has the store, and only once."""
    await Root(store=place).kickoff_async(id="root")
    assert runs.cancel("root", "mistake", store=place)
    assert {row.status for row in rows_of(place)} == {"cancelled"}
    assert not runs.cancel("root", store=place)


async def test_cancelling_the_root_reaches_the_running_leaves(store) -> None:
    """Their bodies are cancelled and joined, finally blocks run, on every level."""
    seen = []
    begun = anyio.Event()

    class Leaf(Flow):
        @start()
        async def work(self):
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                seen.append("leaf")

    class Middle(Flow):
        @start()
        async def work(self):
            try:
                return await self.call(Leaf)
            finally:
                seen.append("middle")

    class Root(Flow):
        @start()
        async def work(self):
            return await self.call(Middle)

    root = made(Root, store)
    async with anyio.create_task_group() as group:
        group.start_soon(root.kickoff_async)
        await begun.wait()
        root.run.cancel()
    assert seen == ["leaf", "middle"]
    assert root.run.status == "cancelled"
    if store is not None:
        assert {row.status for row in rows_of(store)} == {"cancelled"}


async def test_a_failing_sibling_cancels_what_the_others_called(store) -> None:
    """In the caller's run: the branch's called run goes with the branch."""
    begun = anyio.Event()

    class Search(Flow):
        @start()
        async def look(self):
            begun.set()
            await anyio.sleep_forever()

    class Order(Flow):
        @start()
        async def search(self):
            return await self.call(Search)

        @start()
        async def pay(self):
            await begun.wait()
            raise ValueError("no money")

    with pytest.raises(ValueError, match="no money"):
        await made(Order, store).kickoff_async()
    if store is not None:
        found = {name_of(row): row.status for row in rows_of(store)}
        assert found == {"Order": "failed", "Search": "cancelled"}


async def test_stop_takes_the_called_runs_of_other_steps_along(store) -> None:
    """The run that stops is completed; what it had called is cancelled."""
    begun = anyio.Event()

    class Search(Flow):
        @start()
        async def look(self):
            begun.set()
            await anyio.sleep_forever()

    class Order(Flow):
        @start()
        async def search(self):
            return await self.call(Search)

        @start()
        async def enough(self):
            await begun.wait()
            self.stop("enough")

    order = made(Order, store)
    assert await order.kickoff_async() == "enough"
    assert order.run.status == "completed"
    if store is not None:
        found = {name_of(row): row.status for row in rows_of(store)}
        assert found == {"Order": "completed", "Search": "cancelled"}


async def test_the_first_failure_of_a_join_cancels_the_other_calls(store) -> None:
    """It is raised as it is, and the step may go on without them."""
    begun = anyio.Event()
    seen = []

    class Slow(Flow):
        @start()
        async def look(self):
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                seen.append("cancelled")

    class Bad(Flow):
        @start()
        async def look(self):
            await begun.wait()
            raise KeyError("lost")

    class Order(Flow):
        @start()
        async def ask_both(self):
            try:
                await self.join([self.call(Slow), self.call(Bad)])
            except KeyError as error:
                return f"without {error}"

    assert await made(Order, store).kickoff_async() == "without 'lost'"
    assert seen == ["cancelled"]
    if store is not None:
        found = {name_of(row): row.status for row in rows_of(store)}
        assert found == {"Order": "completed", "Bad": "failed", "Slow": "cancelled"}


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


async def test_a_lifetime_ends_the_called_run_and_tells_its_caller(
    clock, place
) -> None:
    """The caller gets a CallError, not silence."""

    class Offer(Flow, lifetime="7d", evict_after=0):
        @start()
        async def wait(self):
            return await self.wait_for("accepted")

    class Sale(Flow, evict_after=0):
        @start()
        async def sell(self):
            try:
                return await self.call(Offer)
            except CallError as error:
                return error.status

    await Sale(store=place).kickoff_async(id="sale")
    clock.advance(8 * 86_400)
    (sale,) = await Sale.resume_all_async(store=place)
    assert sale.result == "expired"


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


async def test_a_call_that_its_step_gives_up_ends_with_the_step(store) -> None:
    """A scope of the step's own cancels it; the step goes on without."""
    seen = []
    scope = anyio.CancelScope()

    class Search(Flow):
        @start()
        async def look(self):
            scope.cancel()
            try:
                await anyio.sleep_forever()
            finally:
                seen.append("given up")

    class Order(Flow):
        @start()
        async def take(self):
            with scope:
                await self.call(Search)
            return "without"

    assert await made(Order, store).kickoff_async() == "without"
    assert seen == ["given up"]
    if store is not None:
        found = {name_of(row): row.status for row in rows_of(store)}
        assert found == {"Order": "completed", "Search": "cancelled"}


async def test_cancelling_reaches_the_blocking_steps_of_called_runs(store) -> None:
    """A thread cannot be cancelled: its run is over, and what it gives is dropped."""
    begun, go_on = threading.Event(), threading.Event()
    after = []

    class Leaf(Flow):
        @start()
        def work(self):
            begun.set()
            go_on.wait(10)

        @listen(work)
        def more(self):
            after.append("ran")

    class Root(Flow):
        @start()
        async def work(self):
            return await self.call(Leaf)

    root = made(Root, store)
    async with anyio.create_task_group() as group:
        group.start_soon(root.kickoff_async)
        await anyio.to_thread.run_sync(begun.wait)
        root.run.cancel()
    go_on.set()
    assert root.run.status == "cancelled"
    assert after == []
    if store is not None:
        assert {row.status for row in rows_of(store)} == {"cancelled"}


def test_a_cancelled_handle_of_a_thread_takes_called_runs_along(store) -> None:
    """``flow.start()`` moves it in a thread; blocking calls below see the end."""
    begun, go_on = threading.Event(), threading.Event()
    after = []

    class Leaf(Flow):
        @start()
        def work(self):
            begun.set()
            go_on.wait(10)

        @listen(work)
        def more(self):
            after.append("ran")

    class Root(Flow):
        @start()
        def work(self):
            return self.call(Leaf)

        @start()
        async def beside(self):
            await anyio.sleep_forever()

    root = made(Root, store)
    if store is not None:
        thread = threading.Thread(target=root.kickoff)
        thread.start()
    else:
        root.start()
    begun.wait(10)
    root.run.cancel()
    for _ in range(2_000):
        if root.run.over:
            break
        time.sleep(0.005)
    go_on.set()
    root.run.wait(10)
    assert root.run.status == "cancelled"
    if store is not None:
        thread.join(10)
        for _ in range(2_000):
            if {row.status for row in rows_of(store)} == {"cancelled"}:
                break
            time.sleep(0.005)
        assert {row.status for row in rows_of(store)} == {"cancelled"}
    assert after == []


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


async def test_another_process_loses_what_is_cancelled(tmp_path) -> None:
    """All levels are taken from it; what it still does is not recorded."""
    url = f"sqlite:///{tmp_path}/runs.db"
    store = store_for(url)
    begun, go_on = anyio.Event(), anyio.Event()
    after = []

    class Leaf(Flow):
        @start()
        async def work(self):
            begun.set()
            await go_on.wait()

        @listen(work)
        async def more(self):
            after.append("ran")

    class Root(Flow):
        @start()
        async def work(self):
            return await self.call(Leaf)

    root = Root(store=store)

    async def move():
        with pytest.raises(StoreError):
            await root.kickoff_async(id="root")

    async with anyio.create_task_group() as group:
        group.start_soon(move)
        await begun.wait()
        other = SqliteStore(tmp_path / "runs.db")
        assert presence_in(other).id != presence_in(store).id
        assert runs.cancel("root", "stopped by the operator", store=other)
        assert {row.status for row in rows_of(other)} == {"cancelled"}
        go_on.set()
    assert after == []
    found = {name_of(row): row.error for row in rows_of(other)}
    assert found["Root"] == "stopped by the operator"
    other.close()
