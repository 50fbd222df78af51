"""Dead letters of steps: what failed for good, and its next chance."""

from __future__ import annotations

import anyio
import pytest

from flowkit import Flow, Retry, RunError, listen, runs, start
from flowkit.runtime.clock import ManualClock, use_clock
from tests.runtime.stored import MemoryStore, flow_named


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


def failed(cls, store, **more):
    """A stored run of a class that has failed; its id."""
    flow = flow_named(cls)(store=store)
    with pytest.raises(Exception, match=r".*"):
        flow.kickoff(**more)
    return flow.run.id


def test_a_step_that_used_up_its_attempts_is_listed(clock) -> None:
    """With what, where, and the cure; requeued it has all its attempts again."""
    seen = []

    class Shop(Flow):
        broken = True

        @start()
        def reserve(self):
            seen.append("reserve")
            return "reserved"

        @listen(reserve, retry=Retry(2, first=0))
        def charge(self):
            seen.append("charge")
            if type(self).broken:
                raise OSError("gateway away")
            return "charged"

    store = MemoryStore("memory:test")
    id = failed(Shop, store)
    (letter,) = runs.dead(store=store)
    assert letter == runs.DeadStep(
        run=id,
        flow=f"{__name__}:Shop",
        step="charge",
        firing=2,
        kind="failed",
        attempts=2,
        at=1_000.0,
        error="OSError: gateway away",
        cure="Mend what the error says. Then requeue the run.",
    )
    assert runs.requeue(id, store=store).status == "failed"
    assert seen == ["reserve", *["charge"] * 4]
    assert len(runs.dead(store=store)) == 1
    Shop.broken = False
    found = runs.requeue(id, store=store)
    assert (found.status, found.result) == ("completed", "charged")
    assert seen.count("reserve") == 1
    assert runs.dead(store=store) == []


def test_a_failure_that_was_heard_is_no_dead_letter() -> None:
    """Only what holds its run up is."""

    class Heard(Flow):
        @start()
        def one(self):
            raise OSError("one")

        @listen(one.failed)
        def two(self):
            raise KeyError("two")

    store = MemoryStore("memory:test")
    failed(Heard, store)
    assert [each.step for each in runs.dead(store=store)] == ["two"]


def test_a_collecting_run_has_several() -> None:
    """Newest first."""

    class Many(Flow, on_error="collect"):
        @start()
        def one(self):
            raise OSError("one")

        @start()
        def two(self):
            raise OSError("two")

        @start()
        def three(self):
            return 3

    store = MemoryStore("memory:test")
    failed(Many, store)
    told = {(each.step, each.error) for each in runs.dead(store=store)}
    assert told == {("one", "OSError: one"), ("two", "OSError: two")}


def test_what_could_not_be_undone_is_listed() -> None:
    """The step whose work is still there."""

    class Undoes(Flow, on_error="compensate"):
        def undo(self, made):
            raise OSError("desk closed")

        @start(undo=undo)
        def book(self):
            return "booked"

        @listen(book)
        def pay(self):
            raise KeyError("x")

    store = MemoryStore("memory:test")
    failed(Undoes, store)
    (letter,) = runs.dead(store=store)
    assert (letter.step, letter.kind) == ("book", "not undone")
    assert letter.error == "the work of book could not be undone"
    assert letter.cure == (
        "Undo it by hand, or mend its undo step. Then requeue the run."
    )


async def test_a_run_that_was_not_in_time_is_listed(clock) -> None:
    """Requeued, it has its whole time again."""

    class Late(Flow, deadline="30s"):
        @start()
        async def waits(self):
            await anyio.sleep_forever()

    store = MemoryStore("memory:test")
    flow = flow_named(Late)(store=store)
    async with anyio.create_task_group() as group:

        async def go():
            with pytest.raises(TimeoutError):
                await flow.kickoff_async()

        group.start_soon(go)
        await anyio.wait_all_tasks_blocked()
        clock.advance(31)
        await anyio.wait_all_tasks_blocked()
    (letter,) = runs.dead(store=store)
    assert (letter.step, letter.kind) == ("", "overdue")
    assert letter.cure == (
        "Find out what it waited for. Requeued, it has its whole time again."
    )


def test_only_what_failed_is_requeued() -> None:
    """Any other status is refused."""

    class Fine(Flow):
        @start()
        def one(self):
            return 1

    store = MemoryStore("memory:test")
    flow = flow_named(Fine)(store=store)
    flow.kickoff()
    with pytest.raises(RunError) as caught:
        runs.requeue(flow.run.id, store=store)
    assert str(caught.value) == (
        f"Run {flow.run.id!r} of {__name__}:Fine is completed; only a run that failed "
        f"is requeued. flowkit.runs.dead() lists what failed."
    )
