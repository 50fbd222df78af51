"""What ends with what: cancel, stop, abort, failures and lifetimes across levels."""

from __future__ import annotations

import threading
import time

import anyio
import pytest

from flowkit import Flow, listen, runs, start
from flowkit.errors import CallError, StoreError
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.opening import store_for
from flowkit.runtime.presence import presence_in
from tests.runtime.stored import STORES, made, name_of, opened, rows_of
from tests.runtime.three_levels import Root


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    """Nothing, or a store of this test's own."""
    return opened(request.param, tmp_path)


@pytest.fixture(params=STORES[1:])
def place(request, tmp_path):
    """A store of this test's own."""
    return opened(request.param, tmp_path)


def hanging():
    """A flow that works until it is cancelled, what tells of its begin, and its end."""
    begun, seen = anyio.Event(), []

    class Search(Flow):
        @start()
        async def look(self):
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                seen.append("cancelled")

    return Search, begun, seen


def blocking(begun, go_on, after):
    """A flow with a thread that waits, and a step that notes in ``after`` that it ran."""

    class Leaf(Flow):
        @start()
        def work(self):
            begun.set()
            go_on.wait(50)

        @listen(work)
        def more(self):
            after.append("ran")

    return Leaf


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
    search, begun, _ = hanging()

    class Order(Flow):
        @start()
        async def search(self):
            return await self.call(search)

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
    search, begun, _ = hanging()

    class Order(Flow):
        @start()
        async def search(self):
            return await self.call(search)

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
    search, begun, seen = hanging()

    class Bad(Flow):
        @start()
        async def look(self):
            await begun.wait()
            raise KeyError("lost")

    class Order(Flow):
        @start()
        async def ask_both(self):
            try:
                await self.join([self.call(search), self.call(Bad)])
            except KeyError as error:
                return f"without {error}"

    assert await made(Order, store).kickoff_async() == "without 'lost'"
    assert seen == ["cancelled"]
    if store is not None:
        found = {name_of(row): row.status for row in rows_of(store)}
        assert found == {"Order": "completed", "Bad": "failed", "Search": "cancelled"}


async def test_what_else_fails_in_a_join_is_in_the_notes(store) -> None:
    """No failure is lost: the second is told with the first."""
    both = anyio.Event()

    async def first() -> None:
        await both.wait()
        raise KeyError("lost")

    async def second() -> None:
        both.set()
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("in its cleaning up")

    class Order(Flow):
        @start()
        async def ask_both(self):
            await self.join([first(), second()])

    with pytest.raises(KeyError) as caught:
        await made(Order, store).kickoff_async()
    assert (
        "flowkit: meanwhile another part failed: ValueError: in its cleaning up"
        in caught.value.__notes__
    )


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
    begun, go_on, after = threading.Event(), threading.Event(), []
    leaf = blocking(begun, go_on, after)

    class Root(Flow):
        @start()
        async def work(self):
            return await self.call(leaf)

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
    begun, go_on, after = threading.Event(), threading.Event(), []
    leaf = blocking(begun, go_on, after)

    class Root(Flow):
        @start()
        def work(self):
            return self.call(leaf)

        @start()
        async def beside(self):
            await anyio.sleep_forever()

    root = made(Root, store)
    if store is not None:
        thread = threading.Thread(target=root.kickoff)
        thread.start()
    else:
        root.start()
    begun.wait(50)
    root.run.cancel()
    for _ in range(2_000):
        if root.run.over:
            break
        time.sleep(0.005)
    go_on.set()
    root.run.wait(50)
    assert root.run.status == "cancelled"
    if store is not None:
        thread.join(50)
        for _ in range(2_000):
            if {row.status for row in rows_of(store)} == {"cancelled"}:
                break
            time.sleep(0.005)
        assert {row.status for row in rows_of(store)} == {"cancelled"}
    assert after == []


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


async def test_a_step_that_another_cancels_takes_its_called_run_along(store) -> None:
    """``self.cancel(step)``: the run goes on, what the step had called does not."""
    begun = anyio.Event()

    class Search(Flow):
        @start()
        async def look(self):
            begun.set()
            await anyio.sleep_forever()

    class Order(Flow):
        search = start(flow=Search)

        @start()
        async def found(self):
            await begun.wait()
            assert self.cancel("search")
            return "turned up"

        @listen(search.cancelled)
        async def note(self):
            return "search given up"

    order = made(Order, store)
    assert await order.kickoff_async() == "search given up"
    assert order.run.status == "completed"
    if store is not None:
        found = {name_of(row): row.status for row in rows_of(store)}
        assert found == {"Order": "completed", "Search": "cancelled"}
