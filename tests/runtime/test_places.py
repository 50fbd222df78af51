"""Places in a store: of two processes, under any order of their moves."""

from __future__ import annotations

import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkit import Admission, Bulkhead, EventBus, Flow, runs, signals, start
from flowkit.errors import BulkheadFullError, RunError, StoreError
from flowkit.journal.codec import decode
from flowkit.journal.memory import MemoryStore
from flowkit.journal.rows import Owner
from flowkit.journal.urls import open_store
from flowkit.runtime.clock import ManualClock, now, use_clock
from flowkit.runtime.places import Places, StoredPlaces
from tests.runtime.liner import Lined
from tests.runtime.sharer import RUNS

SHARER = Path(__file__).with_name("sharer.py")
ROOT = SHARER.parents[2]


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


async def until(condition):
    """Wait for what a thread has a part in."""
    while not condition():  # noqa: ASYNC110 - nobody tells
        await anyio.sleep(0.001)


class Elsewhere(StoredPlaces):
    """The places as another process sees them."""

    def __init__(self, value, name, owner):
        super().__init__(value, name)
        self.owner = owner
        self.numbers = count()

    def key(self, store):
        return f"{self.owner}/{next(self.numbers)}"


class Interrupted:
    """A store in which others move between a process's look and its change."""

    def __init__(self):
        self.store = MemoryStore("memory:")
        self.between = []
        self.refused = 0

    def __getattr__(self, name):
        return getattr(self.store, name)

    def __hash__(self):
        return id(self)

    def swap(self, name, old, new):
        moves, self.between = self.between, []
        for move in moves:
            move()
        done = self.store.swap(name, old, new)
        self.refused += not done
        return done


MOVES = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["enter", "leave", "look"]),
        st.integers(0, 4),
        st.booleans(),
    ),
    max_size=60,
)


@given(most=st.integers(1, 3), queue=st.none() | st.integers(0, 3), moves=MOVES)
def test_no_interleaving_gives_more_places_than_there_are(most, queue, moves) -> None:
    """Two processes that read, decide and write, each in the midst of the other."""
    store = Interrupted()
    value = Bulkhead(most, queue, name="two", shared="store")
    sides = {each: Elsewhere(value, "two", each) for each in "ab"}
    for each in "ab":
        store.beat(Owner(each, float("inf"), "elsewhere", 1))
    inside: set[str] = set()
    line: set[str] = set()

    def act(side, move, number) -> None:
        key = f"{side}/{number}"
        places = sides[side]
        if move == "enter" and key not in inside | line:
            entered = places.enter(store, key)
            if entered == "inside":
                inside.add(key)
            elif entered == "waits":
                line.add(key)
            else:
                assert (entered, queue is None) == ("full", False)
        elif move == "leave":
            inside.discard(key)
            line.discard(key)
            places.leave(store, key)
        elif key in line and places.is_inside(store, key):
            line.discard(key)
            inside.add(key)

    def settle() -> None:
        for key in [*line]:
            if sides[key[0]].is_inside(store, key):
                line.discard(key)
                inside.add(key)

    amidst: list = []
    for side, move, number, amid in moves:
        if amid:
            amidst.append((side, move, number))
            continue
        for each in amidst:  # of the other process, in the midst of this move
            if each[0] == side:
                act(*each)
            else:
                store.between.append(lambda each=each: act(*each))
        amidst.clear()
        act(side, move, number)
        known = set(sides["a"].state(store).inside)
        assert len(known) <= most
        assert inside <= known <= inside | line
        rest, store.between = store.between, []  # it wrote nothing
        for each in rest:
            each()
    settle()
    assert set(sides["a"].state(store).inside) == inside
    assert len(inside) == most or not line
    for key in [*inside, *line]:
        act(key[0], "leave", int(key[2:]))
        settle()
    assert sides["b"].state(store).owners() == set()


def test_what_a_process_held_that_is_gone_is_free(clock) -> None:
    """Its places and its places in the line, as soon as its time is over."""
    store = MemoryStore("memory:test")
    value = Bulkhead(1, name="one", shared="store")
    here, gone = StoredPlaces(value, "one"), Elsewhere(value, "one", "gone")
    store.beat(Owner("gone", now() + 30, "elsewhere", 1))
    keys = [gone.key(store) for _ in range(2)]
    assert [gone.enter(store, key) for key in keys] == ["inside", "waits"]
    mine = here.key(store)
    assert here.enter(store, mine) == "waits"
    clock.advance(29)
    assert not here.is_inside(store, mine)
    clock.advance(1)
    assert here.is_inside(store, mine)
    assert here.state(store).owners() == {mine.partition("/")[0]}


def test_who_was_taken_for_gone_stands_in_line_again(clock) -> None:
    """It never believes in a place that another has now."""
    store = MemoryStore("memory:test")
    value = Bulkhead(1, name="one", shared="store")
    here, slow = StoredPlaces(value, "one"), Elsewhere(value, "one", "slow")
    store.beat(Owner("slow", now() + 30, "elsewhere", 1))
    mine = here.key(store)
    assert here.enter(store, mine) == "inside"
    late = slow.key(store)
    assert slow.enter(store, late) == "waits"
    clock.advance(31)
    here.enter(store, here.key(store))  # who looks takes the slow one out
    store.beat(Owner("slow", now() + 30, "elsewhere", 1))
    assert not slow.is_inside(store, late)
    assert slow.state(store).ahead(late) == 0
    here.leave(store, mine)
    assert slow.is_inside(store, late)


def test_a_place_is_given_back_when_the_store_works_again(clock, caplog) -> None:
    """With the next change; it is told meanwhile."""

    class Fails(MemoryStore):
        fails = False

        def swap(self, name, old, new):
            if self.fails:
                raise StoreError("the disk is full")
            return super().swap(name, old, new)

    store = Fails("memory:test")
    places = StoredPlaces(Bulkhead(1, name="one", shared="store"), "one")
    first, second = places.key(store), places.key(store)
    places.enter(store, first)
    store.fails = True
    places.leave(store, first)
    assert caplog.messages == [
        "a place of 'one' was not given back yet: the disk is full"
    ]
    store.fails = False
    assert places.enter(store, second) == "inside"
    assert list(places.owed) == []


async def test_a_bulkhead_in_the_store_lets_no_more_in(clock) -> None:
    """Runs wait for those of other processes, and are told and noted."""
    store = MemoryStore("memory:test")
    value = Bulkhead(1, queue=1, name="crm", shared="store")
    other = Elsewhere(value, "crm", "other")
    store.beat(Owner("other", now() + 1_000, "elsewhere", 1))
    theirs = other.key(store)
    other.enter(store, theirs)
    told = []

    class Calls(Flow):
        @start(bulkhead=value)
        async def call(self):
            return "called"

    def hear(sender, run, **said):
        told.append(said)

    flow = Calls(store=store)
    outcomes = []

    async def go():
        outcomes.append(await flow.kickoff_async())

    with (
        signals.step_queued.connected_to(hear, sender=Calls),
        signals.step_admitted.connected_to(hear, sender=Calls),
    ):
        async with anyio.create_task_group() as group:
            group.start_soon(go)
            await until(lambda: told)
            with pytest.raises(BulkheadFullError, match="'crm' allows 1 at once, 1 in"):
                await Calls(store=store).kickoff_async()
            clock.advance(3)
            await anyio.sleep(0.01)
            assert outcomes == []
            other.leave(store, theirs)
            while not outcomes:
                clock.advance(0.5)  # it looks now and then
                await anyio.sleep(0.001)
    waited = told[1]["waited"]
    assert waited >= 3
    said = {"step": "call", "firing": 1, "attempt": 1, "limit": "bulkhead"}
    assert told == [
        {**said, "name": "crm"},
        {**said, "name": "crm", "waited": waited},
    ]
    (call,) = runs.history(flow.run.id, store=store)
    (limit,) = call.limits
    assert (limit.limit, limit.name, limit.what) == ("bulkhead", "crm", "waited")
    assert limit.seconds == waited
    text = store.cell("limit:Bulkhead:crm")
    assert text is not None
    assert decode(text)[:3] == [{}, [], []]


def test_a_bulkhead_in_the_store_needs_one() -> None:
    """A run in memory is told so."""

    class Calls(Flow):
        @start(bulkhead=Bulkhead(1, name="nowhere", shared="store"))
        def call(self): ...

    with pytest.raises(RunError) as caught:
        Calls().kickoff()
    assert str(caught.value) == (
        "Calls.call shares its Bulkhead 'nowhere' through the store, and this run has "
        "none. Give the flow a store."
    )


async def test_a_waiter_whose_loop_is_gone_hands_its_place_on() -> None:
    """Else it would be nobody's."""
    places = Places(Bulkhead(1), "one")
    keys = [places.key(None) for _ in range(3)]
    for key in keys:
        places.enter(None, key)

    def gone():
        raise RuntimeError("Event loop is closed")

    woken = []
    places.waiters = {keys[1]: gone, keys[2]: lambda: woken.append(1)}
    places.leave(None, keys[0])
    assert woken == [1]
    assert list(places.state(None).inside) == [keys[2]]


@pytest.fixture
def started():
    """Begins processes of their own; none is left behind."""
    processes = []

    def start_one(script, *given, **env):
        process = subprocess.Popen(
            [sys.executable, str(script), *map(str, given)],
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT), "PATH": "", **env},
            text=True,
        )
        processes.append(process)
        return process

    yield start_one
    for each in processes:
        each.kill()
        each.wait()
        each.stdout.close()


@pytest.mark.parametrize("what", ["bulkhead", "admission"])
def test_two_processes_never_have_more_places_than_there_are(
    what, tmp_path, started
) -> None:
    """In one SQLite store; each line of their log is one that comes or goes."""
    url, log = f"sqlite:///{tmp_path}/two.db", tmp_path / "log"
    open_store(url).close()
    both = [started(SHARER, url, log, what) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    lines = log.read_text().split()
    inside, most = 0, 0
    for line in lines:
        inside += 1 if line == "+" else -1
        most = max(most, inside)
    assert (len(lines), inside) == (4 * RUNS, 0)
    assert most <= 2


def test_the_place_of_a_killed_process_comes_back(tmp_path, started) -> None:
    """At once, where it is seen to be gone: on one host."""
    url, log = f"sqlite:///{tmp_path}/killed.db", tmp_path / "log"
    open_store(url).close()
    held = [started(SHARER, url, log, "bulkhead", "stays") for _ in range(2)]
    for each in held:
        assert each.stdout.readline() == "inside\n"
    done = threading.Event()

    class Waits(Flow):
        @start(bulkhead=Bulkhead(2, name="two", shared="store"))
        def call(self):
            done.set()

    run = threading.Thread(target=Waits(store=url).kickoff)
    run.start()
    store = open_store(url)
    while '"' not in str(decode(store.cell("limit:Bulkhead:two"))[2]).replace("'", '"'):
        threading.Event().wait(0.01)
    assert not done.is_set()
    held[0].kill()
    held[0].wait()
    assert done.wait(20)
    run.join()


def test_what_was_accepted_survives_its_process_in_line(tmp_path, started) -> None:
    """Killed with one run inside and four in line: another process runs all five."""
    url = f"sqlite:///{tmp_path}/line.db"
    process = started(SHARER.with_name("liner.py"), url, LINER="1")
    said = sorted(process.stdout.readline() for _ in range(2))
    assert said == ["accepted\n", "inside\n"]
    process.kill()
    process.wait()
    Lined.done.clear()
    with EventBus(store=url) as bus:
        bus.register(Lined)
        while len(Lined.done) < 5:
            threading.Event().wait(0.01)
    assert sorted(Lined.done) == [0, 1, 2, 3, 4]
    found = runs.list(store=url)
    assert [each.status for each in found] == ["completed"] * 5


def test_an_admission_is_a_limit_like_others() -> None:
    """It says what it allows in the words of a bulkhead."""
    assert str(Admission(2, queue=3)) == str(Bulkhead(2, queue=3))


async def test_one_looks_for_all_that_wait_in_a_process(clock) -> None:
    """However many they are; and the next one does when he has his place."""
    looks = []

    class Counts(MemoryStore):
        def cell(self, name):
            looks.append(name)
            return super().cell(name)

    store = Counts("memory:test")
    value = Bulkhead(2, name="two", shared="store")
    here, other = StoredPlaces(value, "two"), Elsewhere(value, "two", "other")
    store.beat(Owner("other", now() + 1_000, "elsewhere", 1))
    theirs = [other.key(store) for _ in range(2)]
    for key in theirs:
        other.enter(store, key)
    inside = []

    async def come(number):
        key = here.key(store)
        here.enter(store, key)
        await here.wait(store, key)
        inside.append(number)
        here.leave(store, key)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(come, number)
        await until(lambda: len(here.waiters) == 20)
        for _ in range(4):
            clock.advance(0.5)
            await anyio.sleep(0.002)
        looks.clear()
        for _ in range(4):
            clock.advance(0.5)
            await anyio.sleep(0.002)
        assert 0 < len(looks) <= 4
        for key in theirs:
            other.leave(store, key)
        for _ in range(40):
            clock.advance(0.5)
            await anyio.sleep(0.001)
    assert sorted(inside) == [*range(20)]
