"""A group that failed while its run collected failures: what a resume begins again."""

from __future__ import annotations

import anyio
import pytest

from flowkit import Flow, each, gather, listen, runs, start
from flowkit.runtime.resumption import resume, resume_async
from tests.runtime.stored import MemoryStore, flow_named


def collecting(bad, *, limit=None):
    """Instances of two steps, some of which fail; another branch ends later."""
    log = []

    class Collects(Flow, on_error="collect"):
        broken = frozenset(bad)

        @start()
        def items(self):
            return [1, 2, 3, 4]

        @listen(each(items, limit=limit))
        async def fetch(self, item):
            log.append(f"fetch {item}")
            return item

        @listen(fetch)
        async def parse(self, item):
            log.append(f"parse {item}")
            if item in type(self).broken:
                raise OSError(f"no {item}")
            return item * 10

        @listen(gather(parse))
        def total(self, found):
            log.append("total")
            return sum(found)

        @listen(items)
        async def beside(self):
            await anyio.sleep(0.01)
            return "beside"

        @listen(beside)
        def after(self):
            log.append("after")
            return "after"

    Collects.log = log
    return flow_named(Collects)


@pytest.mark.parametrize("limit", [None, 1, 2])
async def test_only_what_failed_or_was_cancelled_begins_again(limit) -> None:
    """What is finished, in the group or beside it, is not run again."""
    cls, store = collecting([2], limit=limit), MemoryStore("memory:test")
    flow = cls(store=store)
    with pytest.raises(ExceptionGroup):
        await flow.kickoff_async()
    first = [*cls.log]
    assert first[-1] == "after"
    with pytest.raises(ExceptionGroup, match="a step of"):
        await resume_async(flow.run.id, store=store)
    cls.broken = frozenset()
    assert await resume_async(flow.run.id, store=store) == 100
    assert runs.get(flow.run.id, store=store).status == "completed"
    assert cls.log.count("after") == cls.log.count("total") == 1
    for item in (1, 2, 3, 4):
        assert cls.log.count(f"fetch {item}") == 1
    assert cls.log.count("parse 2") == 3


async def test_failures_of_several_branches_begin_again_together() -> None:
    """A step on its own and a group."""
    log = []

    class Both(Flow, on_error="collect"):
        broken = True

        @start()
        def items(self):
            return [1, 2]

        @listen(each(items))
        def work(self, item):
            log.append(item)
            if type(self).broken and item == 2:
                raise OSError("two")
            return item

        @listen(gather(work))
        def total(self, found):
            return sum(found)

        @listen(items)
        def alone(self):
            log.append("alone")
            if type(self).broken:
                raise KeyError("alone")
            return "alone"

    cls, store = flow_named(Both), MemoryStore("memory:test")
    flow = cls(store=store)
    with pytest.raises(ExceptionGroup, match="2 steps of"):
        await flow.kickoff_async()
    cls.broken = False
    log.clear()
    await resume_async(flow.run.id, store=store)
    assert runs.get(flow.run.id, store=store).status == "completed"
    assert log.count("alone") == 1
    assert log.count(2) == 1
    done = [each for each in runs.history(flow.run.id, store) if each.step == "total"]
    assert [each.output for each in done] == [3]


@pytest.mark.parametrize(
    ("on_error", "told"),
    [
        ("collect", "ExceptionGroup: 2 steps of Last failed (2 sub-exceptions)"),
        ("fail_fast", "OSError: two"),
    ],
)
async def test_a_group_that_fails_last_is_in_the_stored_error(on_error, told) -> None:
    """The row is written before the failure is told, and counts it."""

    class Last(Flow, on_error=on_error):
        @start()
        def items(self):
            return [1, 2]

        @listen(each(items))
        async def work(self, item):
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            if item == 2:
                raise OSError("two")

        @listen(gather(work))
        def total(self, found):
            return found

        @listen(items)
        async def alone(self):
            if on_error == "collect":
                raise KeyError("alone")

    cls, store = flow_named(Last), MemoryStore("memory:test")
    flow = cls(store=store)
    with pytest.raises((ExceptionGroup, OSError)) as caught:
        await flow.kickoff_async()
    stored = runs.get(flow.run.id, store=store).error
    assert stored == f"{type(caught.value).__name__}: {caught.value}" == told


def test_a_group_that_bears_some_failures_keeps_their_errors() -> None:
    """More than it bears, and all of them begin again."""
    log = []

    class Bears(Flow, on_error="collect"):
        broken = True

        @start()
        def items(self):
            return [1, 2, 3, 4]

        @listen(each(items, max_failures=1, limit=1))
        def work(self, item):
            log.append(item)
            if type(self).broken and item < 3:
                raise OSError(f"no {item}")
            return item

        @listen(gather(work))
        def total(self, found):
            return found

    cls, store = flow_named(Bears), MemoryStore("memory:test")
    flow = cls(store=store)
    with pytest.raises(ExceptionGroup):
        flow.kickoff()
    assert log == [1, 2]
    cls.broken = False
    assert resume(flow.run.id, store=store) == [1, 2, 3, 4]
    assert sorted(log) == [1, 1, 2, 2, 3, 4]


def test_a_group_in_a_group_begins_again_where_it_stood() -> None:
    """Of the outer instance that has failed only what was not done."""
    log = []

    class Nested(Flow, on_error="collect"):
        broken = True

        @start()
        def rows(self):
            return [[1, 2], [3, 4]]

        @listen(each(rows))
        def row(self, row):
            log.append(f"row {row}")
            return row

        @listen(each(row, limit=1))
        def cell(self, cell):
            log.append(cell)
            if type(self).broken and cell == 4:
                raise OSError("four")
            return cell

        @listen(gather(cell))
        def sum_up(self, cells):
            return sum(cells)

        @listen(gather(sum_up))
        def total(self, sums):
            return sums

    cls, store = flow_named(Nested), MemoryStore("memory:test")
    flow = cls(store=store)
    with pytest.raises(ExceptionGroup):
        flow.kickoff()
    cls.broken = False
    first = [*log]
    assert resume(flow.run.id, store=store) == [3, 7]
    assert log.count(4) == 2
    for each_ in (1, 2, 3):
        assert log.count(each_) == 1, (first, log)
    assert log.count("row [3, 4]") == 1


async def test_what_a_failed_instance_had_given_counts_again() -> None:
    """Its result was handed in before another step of it failed."""

    class Gave(Flow, on_error="collect"):
        broken = True

        @start()
        def items(self):
            return [1, 2]

        @listen(each(items))
        async def work(self, item):
            return item

        @listen(work)
        async def give(self, item):
            return item * 10

        @listen(work)
        async def check(self, item):
            await anyio.sleep(0.01 * item)
            if type(self).broken and item == 2:
                raise OSError("two")

        @listen(gather(give))
        def total(self, found):
            return found

    cls, store = flow_named(Gave), MemoryStore("memory:test")
    flow = cls(store=store)
    with pytest.raises(ExceptionGroup):
        await flow.kickoff_async()
    cls.broken = False
    assert await resume_async(flow.run.id, store=store) == [10, 20]
