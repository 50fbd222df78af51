"""``run.cancel()`` of a stored run that rests does what ``runs.cancel(id)`` does."""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio import to_thread

from flowkit import Flow, event, listen, runs, start
from flowkit.errors import FencedError
from flowkit.journal.queries import Query
from tests.journal.databases import KINDS, database

pytestmark = pytest.mark.anyio


class Body(Flow[dict], evict_after=0):
    """Evicted while it waits in the body of a step."""

    @start()
    async def waits(self):
        return await self.wait_for("go")


class Thread(Flow[dict], evict_after=0):
    """The same in a plain step."""

    @start()
    def waits(self):
        return self.wait_for("go")


class Listens(Flow[dict]):
    """It waits for an event that a listener takes."""

    @start()
    def begin(self): ...

    @listen(event("go"))
    def then(self): ...


class Calls(Flow[dict], evict_after=0):
    """It waits for a run that it has called."""

    @start()
    async def calls(self):
        return await self.call(Body, {})


class Works(Flow[dict], evict_after=0):
    """After its wait it works until it is let."""

    begun: threading.Event
    free: threading.Event

    @start()
    async def waits(self):
        return await self.wait_for("go")

    @listen(waits)
    def works(self):
        Works.begun.set()
        Works.free.wait(20)


@pytest.fixture(params=KINDS)
def opened(request, tmp_path, anyio_backend_name):
    """Opens a database as another process would."""
    with database(request.param, tmp_path, anyio_backend_name) as opened:
        yield opened


def left(store, id):
    """What the store has of a run, and of those that it has called."""
    row = store.run(id)
    kinds = [each.kind for each in store.entries(id)]
    called = [each for each in store.runs(Query()) if each.parent == id]
    below = [(each.status, each.error, each.owner) for each in called]
    waits = [wait for each in [row, *called] for wait in store.waits(run=each.id)]
    return row.status, row.error, row.owner, row.due, kinds, below, waits


@pytest.mark.parametrize("flow", [Body, Thread, Listens, Calls])
async def test_a_resting_run_is_cancelled_in_its_store(opened, flow):
    """Record for record as by its id; nobody goes on with it afterwards."""
    store = opened()
    rests = flow(store=store)
    await rests.kickoff_async(id="by handle")
    await flow(store=store).kickoff_async(id="by id")
    assert rests.run.status == "waiting"
    rests.run.cancel("enough")
    assert runs.cancel("by id", "enough", store=store)
    seen = left(opened(), "by handle")
    assert seen == left(store, "by id")
    assert seen[:4] == ("cancelled", "enough", None, None)
    assert seen[-1] == []
    assert rests.run.status == "cancelled"
    again = flow(store=opened())
    assert await again.kickoff_async(id="by handle") is None
    assert again.run.status == "cancelled"


async def test_a_run_that_others_have_moved_on_is_cancelled_where_it_stands(opened):
    """The handle catches up first."""
    mine, theirs = Works(store=opened()), Works(store=opened())
    Works.begun, Works.free = threading.Event(), threading.Event()
    await mine.kickoff_async(id="r")
    await theirs.kickoff_async(id="r")

    async def send() -> None:
        with pytest.raises(FencedError):
            await to_thread.run_sync(theirs.send, "go")

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        assert await to_thread.run_sync(Works.begun.wait, 20)
        try:
            mine.run.cancel("enough")
        finally:
            Works.free.set()
        assert (mine.run.status, len(mine.run.pending)) == ("cancelled", 0)
    status, error, owner, _, kinds, *_ = left(opened(), "r")
    assert (status, error, owner) == ("cancelled", "enough", None)
    assert kinds[:4] == ["start", "ask", "answer", "done"]
    assert kinds[-1] == "cancel"
    assert isinstance(theirs.run.lost, FencedError)


async def test_a_run_that_others_have_ended_stays_as_it_is(opened):
    """The handle says so, and the run is nobody's afterwards."""
    mine, theirs = Body(store=opened()), Body(store=opened())
    await mine.kickoff_async(id="r")
    await theirs.kickoff_async(id="r")
    assert await to_thread.run_sync(theirs.send, "go", "done")
    mine.run.cancel("too late")
    assert (mine.run.status, mine.run.result) == ("completed", "done")
    assert left(opened(), "r")[:4] == ("completed", "", None, None)
