"""A store that fails under a run: the run halts, is intact, and goes on later."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from functools import partial

import anyio
import pytest

from flowkit import Flow, listen, start
from flowkit.errors import StoreError
from flowkit.journal.codec import decode
from flowkit.journal.memory import MemoryStore
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.folding import effective
from tests.acceptance import flows
from tests.acceptance.killer import MODES, comparable, unkilled
from tests.acceptance.processes import PROVE

NAME = "run-1"


class Lossy:
    """A store whose write of a given number raises, before or after it is done."""

    def __init__(self, inner, *, at: int, after: bool) -> None:
        self.inner = inner
        self.at, self.after = at, after
        self.count = 0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def append(self, hold, entry):
        """One record."""
        return self._write(partial(self.inner.append, hold, entry))

    def commit(self, moves):
        """Many moves."""
        return self._write(partial(self.inner.commit, moves))

    def _write(self, write):
        self.count += 1
        if self.count != self.at:
            return write()
        if self.after:
            write()
        raise StoreError("The connection was lost.")


def kick(kind: str, store, mode: str):
    """Kick a run off, or on, until it waits for nothing near; the flow object."""
    flow = flows.KINDS[kind](store=store)
    if mode == "blocking":
        flow.kickoff({"seed": 1}, id=NAME)
    else:

        async def main():
            await flow.kickoff_async({"seed": 1}, id=NAME)

        anyio.run(main, backend=mode)
    return flow


def ended(kind: str, store, mode: str) -> int:
    """Bring the run to its end; how often the store failed meanwhile."""
    failures = 0
    end = time.monotonic() + 20
    while True:
        assert time.monotonic() < end, store.run(NAME)
        try:
            flow = kick(kind, store, mode)
            if flow.run.status == "waiting":
                flows.answer(flow)
        except StoreError as error:
            said = str(error)
            failures += 1
        else:
            said = ""
        assert said in {"", "The connection was lost."}
        assert flow_is_left(store)
        if flow_is_over(store):
            return failures
        time.sleep(0.001)


def flow_is_over(store) -> bool:
    row = store.run(NAME)
    return row is not None and row.status not in {"running", "waiting"}


def flow_is_left(store) -> bool:
    """What is stored has no gap, and is no failure of the run."""
    row = store.run(NAME)
    seqs = [each.seq for each in store.entries(NAME)]
    return seqs == list(range(1, len(seqs) + 1)) and (
        row is None or row.status in {"running", "waiting", "completed"}
    )


def check(kind: str, store, log) -> None:
    """As if nothing had failed."""
    row = store.run(NAME)
    assert row.status == "completed", row
    want, result = unkilled(kind, 1)
    assert comparable(decode(row.state)["s"]) == want
    assert decode(row.result) == result
    entries = effective(store.entries(NAME))
    ends = Counter(
        each.firing for each in entries if each.kind in {"done", "fail", "stop"}
    )
    assert set(ends.values()) == {1}
    at = {each.firing: each.at for each in entries if each.kind in {"done", "fail"}}
    for line in flows.lines(log):
        assert line.what != "start" or line.at <= at.get(line.firing, line.at)


@pytest.mark.prove
@pytest.mark.timeout(0 if PROVE else 120)
@pytest.mark.parametrize("after", [True, False], ids=["then", "instead"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", ["memory", "full", "normal"])
@pytest.mark.parametrize("kind", ["busy", "plain"])
def test_every_write_of_a_run_is_lost_once(tmp_path, kind, place, mode, after):
    """Committed, then raised (the acknowledgement is lost); or raised instead."""
    step = 1 if PROVE else 3 if place == "memory" else 8
    at, failures = 1, 1
    while failures:
        log = tmp_path / f"log-{at}"
        flows.log_to(log)
        if place == "memory":
            inner = MemoryStore(f"memory:{at}")
        else:
            inner = SqliteStore(tmp_path / f"{at}.db", synchronous=place)
        store = Lossy(inner, at=at, after=after)
        failures = ended(kind, store, mode)
        check(kind, store, log)
        inner.close()
        at += step
    assert at > 6


class Grows(Flow):
    """Its state grows by a page and more with each step."""

    @start()
    def one(self):
        with flows.logged(self):
            self.state["one"] = "x" * 30_000

    @listen(one)
    async def two(self):
        with flows.logged(self):
            self.state["two"] = "y" * 30_000

    @listen(two)
    def three(self):
        with flows.logged(self):
            self.state["three"] = "z" * 30_000
            return "done"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("synchronous", ["full", "normal"])
def test_a_full_disk_in_the_middle_of_a_run(tmp_path, synchronous, mode):
    """One clear error; the run is intact and goes on when there is room again."""
    store = SqliteStore(tmp_path / "journal.db", synchronous=synchronous)
    flows.log_to(tmp_path / "log")

    def kicked():
        flow = Grows(store=store)
        if mode == "blocking":
            return flow.kickoff(id=NAME)

        async def main():
            return await flow.kickoff_async(id=NAME)

        return anyio.run(main, backend=mode)

    ((pages,),) = store._writer.execute("PRAGMA page_count").fetchall()
    store._writer.execute(f"PRAGMA max_page_count = {pages + 14}").fetchall()
    with pytest.raises(StoreError) as caught:
        kicked()
    text = (
        f"The disk is full: the journal {store.path} could not be written, and nothing "
        "was. Free some space; the store goes on by itself."
    )
    assert str(caught.value) == text
    assert [each.kind for each in store.entries(NAME)] == ["start", "done"]
    assert store.run(NAME).status == "running"
    store._writer.execute("PRAGMA max_page_count = 1000000").fetchall()
    assert kicked() == "done"
    steps = [
        line.step for line in flows.lines(tmp_path / "log") if line.what == "start"
    ]
    assert steps == ["one", "two", "two", "three"]
    state = decode(store.run(NAME).state)["s"]
    assert {name: len(state[name]) for name in ("one", "two", "three")} == {
        "one": 30_000,
        "two": 30_000,
        "three": 30_000,
    }
    store.close()


@pytest.mark.prove
@pytest.mark.timeout(0 if PROVE else 120)
@pytest.mark.parametrize("kind", ["busy", "plain"])
def test_a_torn_log_gives_a_run_that_goes_on(tmp_path, kind):
    """Cut anywhere, the log gives a committed prefix: the run goes on from there."""
    flows.log_to(tmp_path / "log")
    path = tmp_path / "journal.db"
    store = SqliteStore(path)
    ended(kind, store, "blocking")
    log = (tmp_path / "journal.db-wal").read_bytes()
    whole = len(store.entries(NAME))
    lengths = set()
    cuts = [*range(0, len(log), 997 if PROVE else 19 * 997), len(log)]
    for number, cut in enumerate(cuts):
        torn = tmp_path / f"torn{number}.db"
        shutil.copy(path, torn)
        (tmp_path / f"{torn.name}-wal").write_bytes(log[:cut])
        flows.log_to(tmp_path / f"log{number}")
        again = SqliteStore(torn)
        for owner in again.owners():  # it lives: this process, in the whole file
            again.retire(owner.id)
        before = again.entries(NAME)
        lengths.add(len(before))
        assert before == store.entries(NAME)[: len(before)]
        finished = {each.firing for each in before if each.kind in {"done", "fail"}}
        ended(kind, again, "blocking")
        check(kind, again, tmp_path / f"log{number}")
        begun = {line.firing for line in flows.lines(tmp_path / f"log{number}")}
        assert not finished & begun
        again.close()
    store.close()
    assert {0, whole} <= lengths
    assert len(lengths) > 3
