"""The whole chain of recovery: more time, a kept result, a person, then less."""

from __future__ import annotations

import anyio
import pytest

from flowkit import Flow, Policy, Retry, TryAgain, listen, runs, start, tasks
from flowkit.runtime.clock import ManualClock, use_clock
from tests.runtime.stored import MemoryStore, flow_named


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


async def ticks(clock, seconds, times=1):
    """Let time pass, and what is due then happen."""
    for _ in range(times):
        await anyio.wait_all_tasks_blocked()
        clock.advance(seconds)
    await anyio.wait_all_tasks_blocked()


def report():
    """A report whose figures hang: longer, cached, asked, degraded."""
    log = []

    class Report(Flow):
        kept: str | None = None
        service = "hangs"

        def cached(self):
            log.append("cached")
            if type(self).kept is None:
                raise LookupError("nothing kept")
            return type(self).kept

        async def ask_the_desk(self, error):
            log.append(f"ask {type(error).__name__}")
            answer = await self.ask_async(
                f"No figures: {error}", options=["retry", "skip", "abort"]
            )
            if answer == "retry":
                raise TryAgain
            if answer == "abort":
                self.abort("the desk gave up")
            raise LookupError("skipped")

        def without(self, error):
            log.append(f"without: {error}")
            return "no figures"

        @start(
            timeout="5s",
            retry=Retry(2, first=0),
            fallback=[Policy(timeout="30s"), cached, ask_the_desk, without],
        )
        async def figures(self):
            log.append(self.attempt)
            if type(self).service == "well":
                return "figures"
            await anyio.sleep_forever()

        @listen(figures)
        def write(self, text):
            return f"report with {text}"

    Report.log = log
    return flow_named(Report)


async def run(cls, clock, *answers):
    """A run of it, its result, and whether its figures are degraded."""
    flow = cls(store=MemoryStore("memory:test"))
    store = flow._flowkit.options["store"]
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await ticks(clock, 5, times=9)
        for answer in answers:
            (task,) = tasks.list(store=store)
            tasks.answer(task.token, answer, store=store)
            await ticks(clock, 5, times=9)
    (figures, *_) = runs.history(flow.run)
    return flow.run, figures.degraded


LONGER = [1, 2, 3]  # two attempts of 5 s, one of 30 s


async def test_the_last_link_degrades_and_says_so(clock) -> None:
    """Each link has its turn, once; the result is marked."""
    cls = report()
    done, degraded = await run(cls, clock, "skip")
    assert cls.log == [*LONGER, "cached", "ask LookupError", "without: skipped"]
    assert (done.status, done.result) == ("completed", "report with no figures")
    assert degraded
    assert done.degraded == ("figures",)


async def test_a_kept_result_asks_nobody(clock) -> None:
    """It is marked, too."""
    cls = report()
    cls.kept = "last week's"
    done, degraded = await run(cls, clock)
    assert cls.log == [*LONGER, "cached"]
    assert done.result == "report with last week's"
    assert degraded


async def test_a_person_may_begin_it_anew(clock) -> None:
    """With all its attempts; a step that ends well by itself is not degraded."""
    cls = report()
    flow = cls(store=MemoryStore("memory:test"))
    store = flow._flowkit.options["store"]
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await ticks(clock, 5, times=9)
        cls.service = "well"
        (task,) = tasks.list(store=store)
        tasks.answer(task.token, "retry", store=store)
        await ticks(clock, 5)
    assert flow.run.result == "report with figures"
    assert flow.run.degraded == ()
    assert not runs.history(flow.run)[0].degraded


async def test_a_person_may_end_the_run(clock) -> None:
    """As cancelled, with a reason; nothing after that runs."""
    cls = report()
    done, _ = await run(cls, clock, "abort")
    assert cls.log == [*LONGER, "cached", "ask LookupError"]
    assert (done.status, done.reason) == ("cancelled", "the desk gave up")


async def test_nobody_else_is_asked_after_a_crash(clock) -> None:
    """A chain that waits for a person goes on from its record."""
    from flowkit.runtime.resumption import resume_async
    from tests.runtime.stored import crashed

    cls = report()
    done, _ = await run(cls, clock, "skip")
    store = done.journal.store
    entries = store.entries(done.id)
    asked = next(each.seq for each in entries if each.kind == "answer")
    cls.log.clear()
    copy = crashed(store, done.id, asked, "copy")
    assert await resume_async(copy, store=store) == "report with no figures"
    assert cls.log == ["ask LookupError", "without: skipped"]
