"""A stored run is ended from outside, by a process that does not move it."""

from __future__ import annotations

import pytest

from flowkit import Flow, NotFoundError, event, listen, runs, start
from flowkit.errors import BusyError, FencedError, RunEndedError
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.clock import now
from flowkit.runtime.presence import presence_in
from tests.runtime.stored import MemoryStore, crashed, flow_named


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """An empty store."""
    if request.param == "memory":
        return MemoryStore()
    return SqliteStore(tmp_path / "journal.db")


class Parcel(Flow):
    """Waits for its payment."""

    @start()
    def pack(self):
        self.state["packed"] = True

    @listen(event("paid"))
    def ship(self):
        return "shipped"


flow_named(Parcel)


async def test_a_waiting_run_is_cancelled(store):
    """It is over, waits for nothing, and keeps its state and the reason."""
    await Parcel(store=store).kickoff_async(id="p1")
    found = runs.cancel("p1", "sold out", store=store)
    assert (found.status, found.error, found.waits) == ("cancelled", "sold out", ())
    assert runs.state_at("p1", found.records, store)["packed"] is True
    assert store.run("p1").owner is None


def test_an_interrupted_run_is_cancelled_without_starting_again(store):
    """What it stood at gets no further attempt."""
    Parcel(store=store).kickoff(id="p1")
    crashed(store, "p1", 1, "cut")
    assert runs.cancel("cut", store=store).status == "cancelled"
    [pack] = runs.history("cut", store)
    assert (pack.step, pack.outcome, pack.attempt) == ("pack", "cancelled", 1)


def test_a_run_that_is_over_cannot_be_cancelled(store):
    """There is nothing to end."""
    Parcel(store=store).kickoff(id="p1")
    runs.cancel("p1", store=store)
    with pytest.raises(RunEndedError) as caught:
        runs.cancel("p1", store=store)
    assert str(caught.value) == (
        "Run 'p1' is over already (cancelled); there is nothing to end."
    )


def test_a_run_that_is_not_there_cannot_be_cancelled(store):
    """The error is one of things not found."""
    with pytest.raises(NotFoundError) as caught:
        runs.cancel("nobody", store=store)
    assert isinstance(caught.value, LookupError)
    assert str(caught.value) == (
        f"There is no run 'nobody' in {store.url}. Look at the ids with "
        f"`runs.list()`, or check which store is meant."
    )


def owned_elsewhere(store, id):
    """As if a living process moved the run; gives its right to write."""
    from flowkit.journal.rows import Owner

    store.beat(Owner("other", now() + 60))
    _, hold = store.claim(id, "other", now())
    return hold


def test_a_run_that_a_living_process_moves_is_left_to_it(store):
    """Unless it is taken by force."""
    Parcel(store=store).kickoff(id="p1")
    owned_elsewhere(store, "p1")
    with pytest.raises(BusyError) as caught:
        runs.cancel("p1", store=store)
    assert str(caught.value) == (
        "Run 'p1' is being moved by another process. Wait until it is done or waits; "
        "if that process is gone, the run is free within 30 seconds."
    )
    assert store.run("p1").status == "waiting"


def test_force_takes_the_run_from_a_living_process(store):
    """That one's next write is refused."""
    Parcel(store=store).kickoff(id="p1")
    hold = owned_elsewhere(store, "p1")
    assert runs.cancel("p1", force=True, store=store).status == "cancelled"
    from flowkit.journal.rows import Advance

    [refused] = store.commit([Advance(hold, (), now(), status="running")])
    assert isinstance(refused, FencedError)
    assert presence_in(store).moving == set()


def test_cancel_works_inside_a_running_loop(store):
    """It blocks, and drives the run in a thread of its own."""
    import anyio

    async def work():
        await Parcel(store=store).kickoff_async(id="p2")
        return runs.cancel("p2", store=store).status

    assert anyio.run(work) == "cancelled"
