"""The clock is set forward and back while runs wait: nothing fires twice, or never."""

from __future__ import annotations

import random
import threading

import pytest

from flowkit import Flow, listen, start, timer
from flowkit.journal.memory import MemoryStore
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.clock import ManualClock, use_clock
from tests.acceptance.processes import until

BEGIN = 1_800_000_000.0


class SetClock(ManualClock):
    """One that somebody can also set back."""

    def set(self, at: float) -> None:
        """To any time; what is due then is called."""
        if at < self.now():
            with self._lock:
                self._at = at
        else:
            self.advance(at - self.now())


@pytest.fixture
def clock():
    """Stands still until a test moves it."""
    manual = SetClock(BEGIN)
    before = use_clock(manual)
    yield manual
    use_clock(before)


class Times(Flow, evict_after=0.0):
    """A sleep, a timer after it, and a timer from the start."""

    @start()
    async def one(self):
        await self.sleep(60)
        self.state["trail"] = [*self.state.get("trail", []), "slept"]

    @listen(timer(after=one, delay=30))
    def two(self):
        self.state["trail"] = [*self.state.get("trail", []), "rang"]

    @listen(timer(200))
    def three(self):
        self.state["trail"] = [*self.state.get("trail", []), "late"]


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """Where it waits."""
    if request.param == "memory":
        made = MemoryStore("memory:jumps")
    else:
        made = SqliteStore(tmp_path / "journal.db", synchronous="normal")
    yield made
    made.close()


def trail(store) -> list[str]:
    """What the run has done so far."""
    entries = store.entries("r")
    return [each.step for each in entries if each.kind == "done"]


def test_a_stored_run_waits_through_jumps(clock, store):
    """Back, and it is not due; forward, and it is, once."""
    Times(store=store).kickoff(id="r")
    assert store.next_due([store.run("r").flow]) == BEGIN + 60
    for at, done in [
        (BEGIN + 59, []),
        (BEGIN - 86_400, []),
        (BEGIN + 59.9, []),
        (BEGIN + 60, ["one"]),
        (BEGIN - 3_600, ["one"]),
        (BEGIN + 60, ["one"]),
        (BEGIN + 89, ["one"]),
        (BEGIN + 91, ["one", "two"]),
        (BEGIN, ["one", "two"]),
        (BEGIN + 1e9, ["one", "two", "three"]),
        (BEGIN, ["one", "two", "three"]),
    ]:
        clock.set(at)
        Times.resume_all(store=store)
        Times.resume_all(store=store)
        assert trail(store) == done
    assert store.run("r").status == "completed"


@pytest.mark.parametrize("seed", range(20))
def test_random_jumps(clock, store, seed):
    """Wherever the clock goes: each once, none before its time."""
    chance = random.Random(seed)
    Times(store=store).kickoff(id="r")
    latest = clock.now()
    for _ in range(25):
        clock.set(BEGIN + chance.uniform(-100, 300))
        latest = max(latest, clock.now())
        Times.resume_all(store=store)
        done = trail(store)
        assert len(done) == len(set(done))
        assert ("one" in done) == (latest >= BEGIN + 60)
        assert ("three" in done) == (latest >= BEGIN + 200)
    for _ in range(3):
        clock.set(BEGIN + 10_000)
        Times.resume_all(store=store)
        clock.set(BEGIN)
    assert sorted(trail(store)) == ["one", "three", "two"]
    assert store.run("r").status == "completed"


class Stays(Flow, evict_after="1h"):
    """Waits in memory."""

    @start()
    async def one(self):
        await self.sleep(60)
        return "slept"


@pytest.mark.parametrize("kept", [True, False])
def test_a_run_that_waits_in_memory_sees_jumps(clock, kept):
    """Set back, it sleeps on; forward, it wakes, once."""
    store = MemoryStore("memory:stays") if kept else None
    flow = Stays(store=store) if kept else Stays()
    results = []
    thread = threading.Thread(
        target=lambda: results.append(flow.kickoff()), daemon=True
    )
    thread.start()
    until(lambda: clock._calls, "it never slept")
    clock.set(BEGIN - 1_000)
    clock.set(BEGIN + 59)
    assert results == []
    clock.set(BEGIN + 1e6)
    thread.join(20)
    assert results == ["slept"]
