"""Stored runs compensated from outside: at rest, left behind, failed, cut off."""

from __future__ import annotations

import anyio
import pytest

from flowkit import Flow, Policy, Retry, RunError, listen, runs, start
from flowkit.errors import BusyError, NotFoundError
from flowkit.runtime.clock import ManualClock, use_clock
from flowkit.runtime.resumption import resume
from tests.runtime.stored import MemoryStore, crashed, flow_named, opened


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


def trip(*, waits=True, fails=(), **more):
    """A flow that books twice and then waits, or fails; what it did, in order."""
    log = []

    class Trip(Flow, evict_after=0, **more):
        def cancel(self, booking):
            log.append(f"cancel {booking}")
            if f"cancel {booking}" in fails:
                raise OSError("away")

        @start(undo=cancel)
        def flight(self):
            log.append("book flight")
            return "flight"

        @listen(flight, undo=cancel)
        async def hotel(self):
            log.append("book hotel")
            return "hotel"

        @listen(hotel)
        async def pay(self):
            log.append("pay")
            if waits:
                await self.wait_for("paid")
            raise ValueError("refused")

    return flow_named(Trip), log


def begun(cls, store):
    """The id of a run of it, waiting or failed."""
    flow = cls(store=store)
    try:
        flow.kickoff()
    except ValueError:
        pass
    return flow.run.id


BOOKED = ["book flight", "book hotel", "pay"]
UNDONE = ["cancel hotel", "cancel flight"]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("waits", [True, False])
def test_a_run_that_waits_or_has_failed_is_undone(kind, waits, tmp_path) -> None:
    """The newest first; what had failed does not start again, and the reason is kept."""
    store = opened(kind, tmp_path)
    cls, log = trip(waits=waits)
    run = begun(cls, store)
    found = runs.compensate(run[:20], "sold out", store=store)
    assert log == [*BOOKED, *UNDONE]
    assert (found.id, found.status, found.error) == (run, "compensated", "sold out")
    assert [each.status for each in runs.list(store=store)] == ["compensated"]
    told = [(each.step, each.outcome) for each in runs.history(run, store)]
    outcome = "cancelled" if waits else "failed"
    assert told[:3] == [("flight", "done"), ("hotel", "done"), ("pay", outcome)]
    assert told[-2:] == [("cancel", "done"), ("cancel", "done")]


async def test_it_may_be_called_where_an_event_loop_runs() -> None:
    """As any blocking form: in a thread of its own."""
    store = MemoryStore("memory:test")
    cls, log = trip()
    with anyio.fail_after(20):
        await cls(store=store).kickoff_async()
        (row,) = runs.list(store=store)
        assert runs.compensate(row.id, store=store).status == "compensated"
    assert log == [*BOOKED, *UNDONE]


def test_cut_off_anywhere_it_is_gone_on_with(clock) -> None:
    """Each undo once more at most, and never after its record."""
    store = MemoryStore("memory:test")
    cls, log = trip()
    run = begun(cls, store)
    before = runs.get(run, store).records
    runs.compensate(run, "sold out", store=store)
    kinds = [each.kind for each in store.entries(run)]
    assert kinds[before:] == ["undo", "done", "done"]
    for length in range(1, len(kinds)):
        log.clear()
        copy = crashed(store, run, length, f"cut{length}")
        if length > before:
            resume(copy, store)
            undone = UNDONE[length - before - 1 :]
        else:
            runs.compensate(copy, "sold out", store=store)
            undone = UNDONE[max(0, 2 - kinds[:length].count("done")) :]
        assert runs.get(copy, store).status == "compensated"
        assert log == undone


def test_an_undo_that_is_tried_again_later_waits(clock) -> None:
    """The run waits; whoever resumes it when it is due undoes the rest."""
    store, fails = MemoryStore("memory:test"), ["cancel hotel"]
    retry = Retry(2, on=OSError, first="1h", jitter="none")
    cls, log = trip(fails=fails, defaults=Policy(retry=retry))
    run = begun(cls, store)
    found = runs.compensate(run, store=store)
    assert (found.status, log) == ("waiting", [*BOOKED, "cancel hotel"])
    fails.clear()
    clock.advance(3_600)
    resume(run, store)
    assert runs.get(run, store).status == "compensated"
    assert log == [*BOOKED, "cancel hotel", *UNDONE]


def test_what_could_not_be_undone_is_undone_by_the_next(clock) -> None:
    """All the rest is; the run failed, and says what is left."""
    store, fails = MemoryStore("memory:test"), ["cancel hotel"]
    cls, log = trip(fails=fails)
    run = begun(cls, store)
    found = runs.compensate(run, store=store)
    assert (found.status, found.error) == ("failed", "OSError: away")
    assert [(each.step, each.kind) for each in runs.dead(store=store)] == [
        ("hotel", "not undone")
    ]
    log.clear()
    fails.clear()
    assert runs.compensate(run, store=store).status == "compensated"
    assert log == ["cancel hotel"]


def test_a_run_without_anything_done_ends_at_once() -> None:
    """There is nothing to undo; it is compensated."""

    class Early(Flow, evict_after=0):
        def back(self):
            raise AssertionError

        @start()
        def ask(self):
            self.wait_for("go")

        @listen(ask, undo=back)
        def act(self):
            return "done"

    store = MemoryStore("memory:test")
    run = begun(flow_named(Early), store)
    assert runs.compensate(run, store=store).status == "compensated"


def test_a_run_that_is_over_is_refused() -> None:
    """Completed, cancelled, or compensated before."""
    store = MemoryStore("memory:test")
    cls, log = trip()
    run = begun(cls, store)
    runs.compensate(run, store=store)
    with pytest.raises(RunError) as caught:
        runs.compensate(run, store=store)
    assert str(caught.value) == (
        f"Run {run!r} of {__name__}:Trip is compensated, and only one that is under "
        f"way or failed is compensated. Take back what it did by another run."
    )
    assert log == [*BOOKED, *UNDONE]
    with pytest.raises(NotFoundError):
        runs.compensate("nowhere", store=store)


def test_a_flow_that_undoes_nothing_is_refused() -> None:
    """Before it is touched: it waits as it did."""

    class Plain(Flow, evict_after=0):
        @start()
        def ask(self):
            self.wait_for("go")

    store = MemoryStore("memory:test")
    run = begun(flow_named(Plain), store)
    with pytest.raises(RunError) as caught:
        runs.compensate(run, store=store)
    assert str(caught.value) == (
        f"Run {run!r} is of {__name__}:Plain, no step of which says how its work is "
        f"undone. Name a method as undo= of its steps, or end the run with "
        f"flowkit.runs.cancel()."
    )
    assert runs.get(run, store).status == "waiting"


async def test_a_run_at_work_is_refused() -> None:
    """Here or in another process: it is at its steps."""
    store, told = MemoryStore("memory:test"), []

    class Works(Flow):
        def back(self):
            raise AssertionError

        @start(undo=back)
        async def work(self):
            with pytest.raises(BusyError) as caught:
                runs.compensate(self.run.id, store=store)
            told.append(str(caught.value))
            return "done"

    flow = flow_named(Works)(store=store)
    assert await flow.kickoff_async() == "done"
    assert told == [
        f"Run {flow.run.id!r} is being moved by this process just now. Call "
        f"self.compensate() in one of its steps, or wait until it waits or is over."
    ]
