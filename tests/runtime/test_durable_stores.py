"""Flows on every store: what runs, waits and resumes does so on each of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial

import anyio
import pytest

from flowkit import EventBus
from flowkit.errors import StoreError, UnknownOutcomeError
from flowkit.journal.memory import MemoryStore
from flowkit.journal.queries import Query
from flowkit.journal.rows import Accept, Advance, Begin, Delivery
from flowkit.runtime.durable import flow_name
from flowkit.runtime.post import POLL
from flowkit.runtime.presence import presence_in
from tests.journal import postgres_server
from tests.runtime import durable_flows as flows
from tests.runtime.stored import kicked

STORES = ["memory", "full", "normal", "postgres"]
DURABLE = STORES[1:]


class Place:
    """One empty database; each ``open`` gives a store object of its own."""

    def __init__(self, kind, folder) -> None:
        self.kind = kind
        self.opened = []
        if kind == "memory":
            self.memory = MemoryStore()
        elif kind == "postgres":
            missing = postgres_server.missing()
            if missing:
                if os.environ.get("CI") == "true":
                    raise RuntimeError(f"CI runs every test, but {missing}")
                pytest.skip(f"PostgreSQL store: {missing}")
            self.url = postgres_server.PostgresPlace().url
        else:
            self.url = f"sqlite:///{folder / 'app.db'}?synchronous={kind}"

    def open(self):
        """A store object that knows nothing of the others, as in another process."""
        if self.kind == "memory":
            return self.memory
        if self.kind == "postgres":
            from flowkit.journal.postgres import PostgresStore

            store = PostgresStore(self.url)
        else:
            from flowkit.journal.sqlite.store import SqliteStore

            store = SqliteStore(self.url[10:].partition("?")[0], synchronous=self.kind)
        self.opened.append(store)
        return store

    def close(self) -> None:
        """Close what was opened."""
        for store in self.opened:
            presence_in(store).retire()
            store.close()


@pytest.fixture(params=STORES)
def place(request, tmp_path):
    """An empty database of each kind."""
    with_place = Place(request.param, tmp_path)
    yield with_place
    with_place.close()


@pytest.fixture(autouse=True)
def _nothing_ran():
    flows.RAN.clear()


def only(store):
    """The one run in a store."""
    (row,) = store.runs(Query())
    return row


def kinds(store, run):
    """What was recorded of a run, in order."""
    return [each.kind for each in store.entries(run)]


async def met(condition):
    """Let other tasks and threads work until something is true."""
    with anyio.fail_after(50):
        while not condition():  # noqa: ASYNC110 - threads work, too
            await anyio.sleep(0.005)


@pytest.mark.parametrize("form", ["blocking", "async"])
async def test_a_run_is_in_the_store_as_it_ended(place, form):
    """With a record a step, its state and its result; the same id runs nothing."""
    store = place.open()
    outcome = await kicked(flows.Three(store=store), form, id="r")
    assert outcome == [1, "r:2", 2, ["one"]]
    row = only(store)
    assert (row.id, row.status, row.owner) == ("r", "completed", None)
    assert kinds(store, "r") == ["start", "done", "done", "done"]
    again = flows.Three(store=place.open())
    assert await kicked(again, form, id="r") == outcome
    assert again.state.n == 2
    assert flows.RAN == ["one", "two", "three"]


@pytest.mark.parametrize("form", ["blocking", "async"])
async def test_branches_join_and_choose(place, form):
    """Steps side by side, in threads and on the loop, and a router behind them."""
    flow = flows.Forked(store=place.open())
    assert await kicked(flow, form) == ("small", 1, 2)
    assert flow.run.status == "completed"


async def test_many_runs_at_once_are_all_there(place):
    """Their moves share commits; none is lost, none mixes with another."""
    store = place.open()
    outcomes = []

    async def one(number) -> None:
        flow = flows.Forked(store=store)
        outcomes.append(await flow.kickoff_async(id=f"r{number}"))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(one, number)
    assert outcomes == [("small", 1, 2)] * 20
    rows = store.runs(Query())
    assert {row.status for row in rows} == {"completed"}
    assert {row.seq for row in rows} == {6}


@pytest.mark.parametrize("backend", ["blocking", "asyncio", "trio"])
@pytest.mark.parametrize("place", DURABLE, indirect=True)
def test_a_killed_process_leaves_a_run_that_goes_on(place, backend):
    """Its finished step does not run again, the one it was in does."""
    command = [sys.executable, "-m", "tests.runtime.durable_flows", place.url, backend]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "one\n"
        assert process.stdout.readline() == "two\n"
        process.kill()
    flow = flows.Three(store=place.open())
    if backend == "blocking":
        outcome = flow.kickoff(id="r")
    else:
        outcome = anyio.run(lambda: flow.kickoff_async(id="r"), backend=backend)
    assert outcome == [2, "r:2", 2, ["one"]]
    assert flows.RAN == ["two", "three"]


async def test_sleeps_pass_with_the_clock(place, clock):
    """In an async step and in a sync step; both are recorded."""
    store = place.open()
    flow = flows.Naps(store=store)
    async with anyio.create_task_group() as group:
        outcome = []

        async def run() -> None:
            outcome.append(await flow.kickoff_async(id="r"))

        group.start_soon(run)
        for number, seconds in enumerate((10, 20), 1):
            await met(lambda: kinds(store, "r").count("ask") == number)  # noqa: B023 - awaited here
            await met(lambda: flow.run.parked)
            clock.advance(seconds)
    assert outcome == ["slept twice"]
    assert kinds(store, "r") == [
        "start",
        "ask",
        "answer",
        "done",
        "ask",
        "answer",
        "done",
    ]


async def test_a_timer_fires_by_the_clock(place, clock):
    """A run that only waits for a time far away is left; a later kickoff finds it."""
    store = place.open()
    run = await flows.Late(store=store).kickoff_async(id="r")
    assert run.status == "waiting"
    await met(lambda: store.run("r").owner is None)
    row = store.run("r")
    assert (row.status, row.due) == ("waiting", clock.now() + 90)
    clock.advance(90)
    assert await flows.Late(store=place.open()).kickoff_async(id="r") == "late"


async def test_a_bus_goes_on_with_a_run_that_is_due(place, clock):
    """Whoever kicked it off is not needed."""
    store = place.open()
    await flows.Late(store=store).kickoff_async(id="r")
    bus = EventBus(store=place.open())
    bus.register(flows.Late)
    async with bus:
        await met(lambda: bus._post._deaf is not None or bus._post._woken is not None)
        clock.advance(90)
        await met(lambda: store.run("r").status == "completed")


async def test_events_begin_wake_and_end_runs(place):
    """An early event is found; the receipt names the run; no id counts twice."""
    store = place.open()
    bus = EventBus(store=store)
    bus.register(flows.Waits)
    async with bus:
        early = await bus.send_async("paid", 5, key="7", id="e1")
        assert early.kept
        receipt = await bus.send_async("order", {"no": "7"}, id="e2")
        await met(lambda: len(store.entries(receipt.run_ids[0])) >= 4)
        again = await bus.send_async("order", {"no": "7"}, id="e2")
        assert again.status == "duplicate"
        await bus.drain()
        sent = await bus.send_async("sent", {"by": "ship", "no": "7"}, id="e3")
        assert sent.run_ids == receipt.run_ids
        await bus.drain()
        await met(lambda: only(store).status != "running")
    row = only(store)
    assert row.id == receipt.run_ids[0]
    assert store.letters(row.id) == []
    assert store.entries(row.id)[-1].step == "send"


async def test_an_evicted_step_starts_again_with_its_answer(place, clock):
    """It gave its place in memory up; another store object's bus wakes it."""
    store = place.open()
    flow = flows.Long(store=store)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: flow.kickoff_async(id="r"))
        await met(lambda: (row := store.run("r")) and row.status == "waiting")
        await met(lambda: clock._calls)  # it waits, with what was recorded
        clock.advance(61)
    await met(lambda: store.run("r").owner is None)
    bus = EventBus(store=place.open())
    bus.register(flows.Long)
    async with bus:
        receipt = await bus.send_async("told", "news", key="k")
        assert receipt.run_ids == ["r"]
        await met(lambda: store.run("r").status == "completed")
    assert flows.RAN == ["ask", "ask"]


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
async def test_a_bus_hears_what_another_one_accepts(place):
    """By LISTEN and NOTIFY: a run at work here takes what comes there, at once."""
    one, two = (EventBus(store=place.open()) for _ in range(2))
    store = place.open()
    for bus in (one, two):
        bus.register(flows.Waits)
    async with one, two:
        for number, (here, there) in enumerate([(one, two), (two, one)]):
            key = str(number)
            receipt = await here.send_async("order", {"no": key})
            (run,) = receipt.run_ids
            await met(lambda: store.waits(run=run, name="paid"))  # noqa: B023 - awaited here
            await there.send_async("paid", 5, key=key)
            await met(lambda: "answer" in kinds(store, run))  # noqa: B023 - awaited here
            await there.send_async("sent", {"by": "ship", "no": key})
            await met(lambda: store.entries(run)[-1].step == "send")  # noqa: B023 - awaited here


@pytest.mark.parametrize("place", ["full", "normal"], indirect=True)
async def test_a_bus_that_cannot_hear_looks_now_and_then(place, clock):
    """A run that waits in memory here takes what came in another process."""
    one, two = (EventBus(store=place.open()) for _ in range(2))
    store = place.open()
    for bus in (one, two):
        bus.register(flows.Waits)
    async with one, two:
        receipt = await one.send_async("order", {"no": "7"})
        (run,) = receipt.run_ids
        await met(lambda: store.waits(run=run, name="paid"))
        await two.send_async("paid", 5, key="7")
        await met(lambda: not two.open_runs)
        clock.advance(POLL)
        await met(lambda: "answer" in kinds(store, run))


@pytest.mark.parametrize("kind", [Accept, Begin, Advance])
async def test_what_was_lost_in_a_commit_is_written_once_and_goes_on(kind):
    """The store says "unknown outcome" for what it has written."""

    class Lossy(MemoryStore):
        lost = 0

        def commit(self, moves):
            outcomes = super().commit(moves)
            if self.lost == 0 and any(type(move) is kind for move in moves):
                self.lost = 1
                self.known = dict(zip(moves, outcomes, strict=True))
                raise UnknownOutcomeError("lost")
            if self.lost == 1:
                self.lost = 2  # as PostgresStore does; an Accept is a duplicate
                for n, move in enumerate(moves):
                    if type(move) is not Accept:
                        outcomes[n] = self.known.get(move, outcomes[n])
            return outcomes

    store = Lossy()
    if kind is Accept:
        bus = EventBus(store=store)
        bus.register(flows.Waits)
        async with bus:
            receipt = await bus.send_async("order", {"no": "7"}, id="e1")
            assert store.lost == 2
            assert receipt.status == "accepted"
            await met(lambda: store.waits(run=receipt.run_ids[0], name="paid"))
            assert (await bus.send_async("order", {"no": "7"}, id="e1")).status == (
                "duplicate"
            )
            assert len(store.runs(Query())) == 1
    else:
        assert await flows.Forked(store=store).kickoff_async() == ("small", 1, 2)
        assert store.lost == 2
    assert len(store.runs(Query())) == 1


class Slow(MemoryStore):
    """Makes moves that consume a letter wait until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.durable = True  # so that a writer's thread commits
        self.came = threading.Event()
        self.on = threading.Event()

    def commit(self, moves):
        if any(type(move) is Advance and move.consumed for move in moves):
            self.came.set()
            assert self.on.wait(50)
        return super().commit(moves)


async def test_a_letter_whose_use_is_under_way_is_not_used_again(monkeypatch):
    """The next letter comes while the commit that consumes the first goes on."""
    monkeypatch.setattr("flowkit.journal.writer.QUICK", 0.0)  # else the loop commits
    store = Slow()
    bus = EventBus(store=store)
    bus.register(flows.Open)
    async with bus:
        receipt = await bus.send_async("begin", 0)
        (run,) = receipt.run_ids
        await met(lambda: store.waits(run=run))
        await bus.send_async("more", 1)
        await met(store.came.is_set)
        name = flow_name(flows.Open)
        another = Accept("more", None, None, 1.0, (Delivery(name, "2"),))
        MemoryStore.commit(store, [another])  # as another process does
        bus._post.wake(run)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        store.on.set()
        await met(lambda: not store.letters(run))
        await bus.drain()
    assert kinds(store, run).count("event") == 2


class Failing(MemoryStore):
    """Fails once where it is told to."""

    def __init__(self, *names) -> None:
        super().__init__()
        for name in names:
            setattr(self, name, self.failing(name))

    def failing(self, name):
        def call(*arguments, **more):
            delattr(self, name)
            raise StoreError(f"{name} failed")

        return call


@pytest.mark.parametrize("where", ["listen", "next_due", "letters", "done", "kept"])
async def test_a_bus_outlives_a_store_that_fails(where, clock, caplog):
    """What failed is told in the log, and tried again."""
    store = Failing(where)
    bus = EventBus(store=store)
    bus.register(flows.Late)
    bus.register(flows.Waits)
    heard = []
    bus.on("order", heard.append)
    async with bus:
        await bus.send_async("order", {"no": "7"})
        await met(lambda: store.waits(name="paid"))
        clock.advance(POLL)
        await bus.send_async("paid", 1, key="7")
        await met(lambda: len(store.entries(store.runs(Query())[0].id)) >= 4)
        await flows.Late(store=store).kickoff_async(id="r")
        clock.advance(100)
        await met(lambda: store.run("r").status == "completed")
    assert heard == [{"no": "7"}]
    assert where not in vars(store)
    assert f"{where} failed" in caplog.text


@pytest.mark.parametrize("form", ["entered", "thread"])
async def test_a_bus_that_ends_leaves_its_waiting_runs(place, form):
    """It does not wait for them; the next one goes on where they are."""
    store = place.open()
    bus = EventBus(store=store)
    bus.register(flows.Waits)
    if form == "entered":
        async with bus:
            receipt = await bus.send_async("order", {"no": "7"})
            await met(lambda: store.waits(name="paid"))
    else:
        send = partial(bus.send, "order", {"no": "7"})
        receipt = await anyio.to_thread.run_sync(send)
        await met(lambda: store.waits(name="paid"))
        await anyio.to_thread.run_sync(bus.close)
    (run,) = receipt.run_ids
    await met(lambda: store.run(run).owner is None)
    other = EventBus(store=place.open())
    other.register(flows.Waits)
    async with other:
        await other.send_async("paid", 5, key="7")
        await met(lambda: "answer" in kinds(store, run))


async def test_a_run_cancelled_while_it_begins_is_left_to_others(place):
    """It is stored and nobody's: another process goes on with it."""
    store = place.open()
    flow = flows.Forked(store=store)
    with anyio.move_on_after(0):
        await flow.kickoff_async(id="r")
    row = store.run("r")
    assert row is None or row.owner is None
    again = flows.Forked(store=place.open())
    assert await again.kickoff_async(id="r") == ("small", 1, 2)
