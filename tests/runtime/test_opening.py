"""Kickoffs that meet another one of the same run or state."""

from __future__ import annotations

import pytest

from flowkit import Flow, signals, start
from flowkit.errors import RunError
from flowkit.journal.memory import MemoryStore
from flowkit.journal.queries import Query
from flowkit.journal.rows import Begin, Owner, RunRow
from flowkit.runtime.clock import now
from flowkit.runtime.durable import flow_name


class Count(Flow):
    """Counts its runs on one state."""

    @start()
    def one(self):
        self.state["runs"] = self.state.get("runs", 0) + 1
        return self.state["runs"]


class Leaving(Flow):
    """Gives its state another id."""

    @start()
    def one(self):
        self.state["id"] = "elsewhere"
        return "left"


class Racing(MemoryStore):
    """Another process is a moment earlier at each of the first begins."""

    def __init__(self, *others) -> None:
        super().__init__()
        self.others = list(others)

    def commit(self, moves):
        if isinstance(moves[0], Begin) and self.others:
            self.others.pop(0)(self)
        return super().commit(moves)


def elsewhere(flow, state_id="s"):
    """A run of a living process somewhere else."""

    def begin(store) -> None:
        store.beat(Owner("other", now() + 60))
        row = RunRow("met", flow_name(flow), state_id, owner="other", created=now())
        MemoryStore.commit(store, [Begin(row)])

    return begin


async def kicked(flow, form, inputs):
    """The outcome of a kickoff, awaited or not."""
    if form == "async":
        return await flow.kickoff_async(inputs)
    return flow.kickoff(inputs)


@pytest.mark.parametrize("form", ["async", "blocking"])
async def test_a_state_that_another_process_begins_on_is_its_own(form):
    """Its run is named, as if it had been there before; no signal tells of a run."""
    store = Racing(elsewhere(Count))
    told = []
    with signals.run_failed.connected_to(lambda *_, **more: told.append(more)):
        with pytest.raises(RunError) as caught:
            await kicked(Count(store=store), form, {"id": "s"})
    assert str(caught.value).startswith(
        "Run 'met' is being moved by another process. Wait until it is done"
    )
    assert [row.id for row in store.runs(Query())] == ["met"]
    assert told == []


@pytest.mark.parametrize("form", ["async", "blocking"])
async def test_a_run_on_the_same_state_that_ended_meanwhile_is_followed(form):
    """Its state is what the next run begins on: no count is lost."""
    store = Racing()
    await kicked(Count(store=store), form, {"id": "s"})
    store.others.append(lambda _: Count(store=store).kickoff({"id": "s"}))
    second = Count(store=store)
    assert await kicked(second, form, {"id": "s"}) == 3


@pytest.mark.parametrize("form", ["async", "blocking"])
async def test_a_state_that_a_run_has_left_begins_anew(form):
    """The run of its first id is elsewhere; nothing is in the way of another."""
    store = MemoryStore()
    assert await kicked(Leaving(store=store), form, {"id": "s"}) == "left"
    assert await kicked(Leaving(store=store), form, {"id": "s"}) == "left"
    assert len(store.runs(Query())) == 2
