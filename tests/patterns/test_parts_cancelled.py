"""WCP-19, WCP-25 to WCP-27: a step, a region, a group is withdrawn or completed."""

from __future__ import annotations

import pytest

from flowkit import Flow, Region, all_active, and_, each, event, gather, listen, start
from tests.patterns.stage import example


@pytest.mark.pattern(19)
async def test_a_step_that_waits_is_withdrawn(stage):
    """Its answer is no longer wanted, its successor never runs, the run goes on."""
    search = example(19).Search(store="memory:")
    await search.kickoff_async()
    assert search.send("found", "the original")
    assert stage.order("cancelled") == ["search_archive"]
    assert search.send("archive answered", "a copy") is False
    assert stage.times("copy", "started") == []
    assert (search.run.status, search.run.result) == ("completed", "read the original")


@pytest.mark.pattern(19)
async def test_after_its_commit_there_is_nothing_to_cancel(stage):
    """The archive was quicker: what it gave stays."""
    search = example(19).Search(store="memory:")
    await search.kickoff_async()
    search.send("archive answered", "the file")
    assert stage.order("cancelled") == []
    assert search.run.result == "read a copy of the file"


@pytest.mark.pattern(19)
@pytest.mark.parametrize("moment", ["before it starts", "while it runs"])
async def test_a_step_that_is_ready_or_runs_is_withdrawn(stage, moment):
    """Once, with its ``finally``, and without a successor."""
    closed = []

    class Search(Flow):
        @start()
        async def ask(self): ...

        @start()
        async def use_reader(self):
            await stage.sleep(9 if moment == "before it starts" else 0)

        @listen(ask, mutex="reader")
        async def hold_reader(self):
            if moment == "before it starts":
                await stage.sleep(9)

        @listen(hold_reader)
        async def other(self): ...

        @listen(ask, mutex="reader")
        async def search(self):
            try:
                await stage.sleep(30)
            finally:
                closed.append(stage.now)

        @listen(search)
        async def copy(self): ...

        @listen(ask)
        async def find(self):
            await stage.sleep(2)

        @listen(find, cancels=[search])
        async def use_found(self): ...

    run = await stage.play(Search())
    assert stage.order("cancelled") == ["search"]
    assert closed == ([2] if moment == "while it runs" else [])
    assert stage.times("copy", "started") == []
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(25)
async def test_a_region_is_emptied_and_begins_clean(stage):
    """Waits and parked tokens inside are gone; the second alarm needs both anew."""
    hospital = example(25).Hospital(store="memory:")
    await hospital.kickoff_async()
    hospital.send("alarm")
    assert stage.order() == ["admit", "free_beds"]
    hospital.send("calm")
    assert stage.order("cancelled") == ["call_staff"]
    assert hospital.send("staff there") is False
    hospital.send("alarm")
    assert stage.order().count("open_ward") == 0
    hospital.send("staff there", "two doctors")
    assert stage.order().count("open_ward") == 1
    hospital.send("end of day")
    assert hospital.run.status == "completed"


@pytest.mark.pattern(25)
async def test_running_and_queued_work_of_a_region_goes_and_no_other(stage):
    """What runs, what stands in line and what is parked; a step outside runs on."""
    part = Region("part")

    class Mixed(Flow):
        @start()
        async def begin(self): ...

        @listen(begin, region=part, mutex="desk")
        async def runs(self):
            await stage.sleep(30)

        @listen(begin, region=part, mutex="desk")
        async def queues(self): ...

        @listen(begin, region=part)
        async def done(self): ...

        @listen(and_(runs, done), region=part)
        async def joined(self): ...

        @listen(begin)
        async def outside(self):
            await stage.sleep(5)

        @listen(begin)
        async def wait(self):
            await stage.sleep(2)

        @listen(wait, cancels=[part])
        async def leave(self): ...

    run = await stage.play(Mixed())
    assert sorted(stage.order("cancelled")) == ["queues", "runs"]
    assert stage.times("outside") == [5]
    assert stage.times("joined", "started") == []
    assert (stage.now, run.status, run.stuck) == (5, "completed", [])


@pytest.mark.pattern(26)
async def test_a_withdrawn_group_does_not_count_as_done(stage):
    """What had come in is dropped, the rest cancelled, and its gather never fires."""
    module = stage.enter(26, North=1, East=30, South=30, check=5)
    run = await stage.play(module.Purchase())
    assert stage.times("request") == [1]
    assert stage.times("request", "cancelled") == [5, 5]
    assert stage.times("compare", "started") == []
    assert (stage.now, run.status, run.stuck) == (5, "completed", [])


@pytest.mark.pattern(26)
async def test_a_join_behind_a_withdrawn_group_does_not_wait_for_it(stage):
    """Its input is dead from then on."""
    module = stage.enter(26, North=1, East=30, South=30, check=5)

    class Joined(module.Purchase):
        @listen(all_active(module.Purchase.compare, module.Purchase.check_list))
        async def go_on(self, check_list=None, compare=None):
            return check_list, compare

    run = await stage.play(Joined())
    assert stage.times("go_on", "started") == [5]
    assert run.result == ("the list is last year's", None)


@pytest.mark.pattern(27)
async def test_a_completed_group_goes_on_with_what_is_there(stage):
    """One report, of the finished pages only, at that moment."""
    module = stage.enter(27, parties=1, price=3, appendix=30, patience=5)
    run = await stage.play(module.Review())
    assert stage.times("report", "started") == [5]
    assert stage.times("read_page", "cancelled") == [5]
    assert run.result == "parties read, price read"
    assert (stage.now, run.status, run.stuck) == (5, "completed", [])


@pytest.mark.pattern(27)
async def test_no_instance_starts_after_it(stage):
    """Neither those that the limit kept waiting, nor what the source gives later."""

    class Slow(Flow):
        @start()
        async def pages(self):
            for page in range(10):
                yield page
                await stage.sleep(1)

        @listen(each(pages, limit=2))
        async def read(self, page):
            await stage.sleep(3)
            return page

        @listen(event("enough", optional=True))
        async def unused(self): ...

        @start()
        async def enough(self):
            await stage.sleep(5)
            self.complete(Slow.read)

        @listen(gather(read))
        async def report(self, pages):
            return pages

    run = await stage.play(Slow())
    assert stage.times("report", "started") == [5]
    assert [0, 1] in run.outputs
    assert max(stage.times("read", "started")) <= 5
    assert run.stuck == []
