"""Groups, gates, turns and verbs in a runner: in memory, stored, cut off anywhere."""

from __future__ import annotations

from collections import Counter

import pytest
from anyio.lowlevel import checkpoint

from flowkit import Flow, each, gather, listen, resume, start
from flowkit.journal.entries import read
from flowkit.journal.memory import MemoryStore
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.opening import factories
from flowkit.runtime.presence import presence_in
from tests.runtime.group_flows import (
    ASKED,
    FLOWS,
    RAN,
    Acting,
    Mapped,
    Streamed,
    Until,
)
from tests.runtime.stored import crashed

EXPECTED = {
    "Mapped": [11, 21, 31, 41],
    "Nested": [6, 0, 6],
    "Streamed": [0, 1, 2, 3, 100],
    "PlainStream": [[0, 1], [2, 3], [4]],
    "Empty": [],
    "Until": ("last", [1, 2, 3]),
    "Earliest": [1, 2],
    "Collected": ["1", "two", "3"],
    "Gated": "done",
    "Turning": [0, 1, 2],
    "Acting": ("last", [0]),
    "Windowed": [1, 13],
    "Timed": ["late", "late"],
}
ENDS_LATER = {"Until"}  # instances that nobody waits for end after the last step


@pytest.fixture(autouse=True)
def nothing_ran():
    """Every test begins with an empty log."""
    RAN.clear()
    ASKED.clear()


@pytest.fixture(params=[None, "memory", "sqlite"])
def place(request, tmp_path):
    """No store, one in memory, one on disk."""
    if request.param is None:
        yield None
    elif request.param == "memory":
        yield MemoryStore()
    else:
        store = SqliteStore(tmp_path / "journal.db")
        yield store
        presence_in(store).retire()
        store.close()


def made(cls, place):
    return cls() if place is None else cls(store=place)


def is_right(flow, result):
    """Whether a run came out as it should, its late instances aside."""
    wanted = EXPECTED[type(flow).__name__]
    return result == wanted or (
        type(flow).__name__ in ENDS_LATER and wanted in flow.method_outputs
    )


@pytest.mark.parametrize("cls", FLOWS)
def test_it_runs_in_the_callers_thread(cls, place) -> None:
    """A blocking kickoff."""
    flow = made(cls, place)
    assert is_right(flow, flow.kickoff())
    assert flow.run.status == "completed"
    assert flow.run.stuck == []


@pytest.mark.parametrize("cls", FLOWS)
async def test_it_runs_on_both_loops(cls, place) -> None:
    """An awaited one."""
    flow = made(cls, place)
    assert is_right(flow, await flow.kickoff_async())
    assert flow.run.status == "completed"
    assert flow.run.stuck == []


ENDED = {"done", "turn", "fail"}


@pytest.fixture
def resumed(monkeypatch):
    """Resumes a run and gives it, whatever it comes to."""

    def go_on(cls, id, store):
        objects = []

        def make():
            objects.append(cls())
            return objects[-1]

        monkeypatch.setitem(factories, cls, make)
        resume(id, store=store)
        return objects[-1].run

    return go_on


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("cls", FLOWS)
def test_it_goes_on_after_a_crash_behind_any_record(
    cls, kind, tmp_path, resumed
) -> None:
    """P8: the same result, no finished step again, nothing yielded or spawned twice."""
    path = tmp_path / "journal.db"
    store = MemoryStore() if kind == "memory" else SqliteStore(path)
    whole = cls(store=store)
    whole.kickoff(id="whole")
    outputs = Counter(map(repr, whole.method_outputs))
    everything = Counter(RAN)
    entries = store.entries("whole")
    assert len(entries) > 2
    for cut in range(1, len(entries)):
        RAN.clear()
        run = resumed(cls, crashed(store, "whole", cut, f"cut-{cut}"), store)
        assert run.status == "completed", (cut, run.failures)
        assert is_right(run.flow, run.result), cut
        assert Counter(map(repr, run.outputs)) == outputs, cut
        ended = Counter(each.step for each in entries[:cut] if each.kind in ENDED)
        if cls is not Acting:  # there an instance waits, and starts again
            again = Counter(RAN) + Counter(
                {name: count for name, count in ended.items() if name in everything}
            )
            assert again == everything, cut
        log = store.entries(f"cut-{cut}")
        for verb in ("yield", "act"):
            ordinals = [
                (one.firing, read(one).record.ordinal)
                for one in log
                if one.kind == verb
            ]
            assert len(ordinals) == len(set(ordinals)), cut
    if kind == "sqlite":
        presence_in(store).retire()
        store.close()


def test_a_predicate_that_was_not_recorded_is_asked_again(resumed) -> None:
    """Its outcome is a record; without it nobody knows."""
    store = MemoryStore()
    Until(store=store).kickoff(id="whole")
    kinds = [each.kind for each in store.entries("whole")]
    judged = kinds.index("judge")
    ASKED.clear()
    run = resumed(Until, crashed(store, "whole", judged, "before"), store)
    assert (3, 4) in ASKED
    assert ("last", [1, 2, 3]) in run.outputs
    ASKED.clear()
    resumed(Until, crashed(store, "whole", judged + 1, "after"), store)
    assert ASKED == []


def test_a_predicate_that_raises_ends_the_run() -> None:
    """With its own error."""

    class Bad(Flow):
        @start()
        def split(self):
            return [1, 2]

        @listen(each(split))
        def read(self, page):
            return page

        @listen(gather(read, until=lambda done, total: 1 / 0))
        def report(self, pages):
            return pages

    flow = Bad()
    with pytest.raises(ZeroDivisionError):
        flow.kickoff()
    assert flow.run.status == "failed"


def test_a_predicate_is_not_asked_of_a_group_that_has_ended() -> None:
    """The last result ends the group: there is nothing left to say."""
    asked = []

    class All(Flow):
        @start()
        def split(self):
            return [1, 2]

        @listen(each(split))
        def read(self, page):
            return page

        @listen(gather(read, until=lambda done, total: asked.append(len(done))))
        def report(self, pages):
            return pages

    assert All().kickoff() == [1, 2]
    assert asked == [1]


class Endless:
    """Counts how far a source was driven."""

    given = 0


async def test_a_source_waits_for_room() -> None:
    """Memory stays flat: no more than the limit and one are there."""
    Endless.given = 0
    most = 0

    class Flat(Flow):
        @start()
        async def leads(self):
            for number in range(200):
                Endless.given += 1
                yield number

        @listen(each(leads, limit=3))
        async def work(self, lead):
            nonlocal most
            most = max(most, Endless.given - lead, len(self.run.marking.live))
            for _ in range(3):
                await checkpoint()
            return lead

        @listen(gather(work))
        def end(self, leads):
            return len(leads)

    assert await Flat().kickoff_async() == 200
    assert most <= 6


@pytest.mark.parametrize("rest", ["ignore", "cancel"])
async def test_a_source_ends_when_nobody_wants_more(rest) -> None:
    """The gather has fired: the generator is closed, and the run ends."""
    closed = []

    class Enough(Flow):
        @start()
        async def leads(self):
            try:
                number = 0
                while True:
                    yield number
                    number += 1
            finally:
                closed.append("closed")

        @listen(each(leads, limit=2))
        async def work(self, lead):
            await checkpoint()
            return lead

        @listen(gather(work, n=3, rest=rest))
        def end(self, leads):
            return len(leads)

    flow = Enough()
    await flow.kickoff_async()
    assert 3 in flow.method_outputs
    assert closed == ["closed"]
    assert flow.run.status == "completed"


async def test_a_source_hears_that_its_group_is_sealed_while_lanes_go_on() -> None:
    """It waited for room that nobody will make."""
    ended = []

    class Sealed(Flow):
        @start()
        async def leads(self):
            for number in range(9):
                yield number
            ended.append("all")

        @listen(leads)
        def source_ended(self, _):
            ended.append("source")

        @listen(each(leads, limit=2))
        async def work(self, lead):
            return lead

        @listen(work)
        async def slow(self, lead):
            while not ended:
                await checkpoint()

        @listen(gather(work, n=2, rest="cancel"))
        def end(self, leads):
            return leads

    await Sealed().kickoff_async()
    assert ended == ["source"]


async def test_what_waits_in_a_cancelled_lane_runs_its_finally() -> None:
    """Bodies are cancelled and joined before the run ends."""
    log = []

    class Race(Flow):
        @start()
        def split(self):
            return [0, 1, 2]

        @listen(each(split))
        async def read(self, page):
            try:
                for _ in range(5):
                    await checkpoint()
                while page:
                    await checkpoint()
                return page
            finally:
                log.append(page)

        @listen(gather(read, n=1, rest="cancel"))
        def report(self, pages):
            return pages

    assert await Race().kickoff_async() == [0]
    assert sorted(log) == [0, 1, 2]


async def test_a_failing_instance_cancels_the_bodies_of_the_others() -> None:
    """``fail_fast``: the error comes out, and nobody is left at work."""
    log = []

    class Fails(Flow):
        @start()
        def split(self):
            return [0, 1]

        @listen(each(split))
        async def read(self, page):
            if page == 0:
                for _ in range(5):
                    await checkpoint()
                raise ValueError("zero")
            try:
                while True:
                    await checkpoint()
            finally:
                log.append("finally")

    flow = Fails()
    with pytest.raises(ValueError, match="zero"):
        await flow.kickoff_async()
    assert log == ["finally"]
    assert flow.run.status == "failed"
    assert len(flow.run.failures) == 1


async def test_an_instance_that_completes_its_group_ends_itself() -> None:
    """It is spared; what is behind its verb still runs."""
    log = []

    class Decides(Flow):
        @start()
        def split(self):
            return [0, 1]

        @listen(each(split))
        async def read(self, page):
            await checkpoint()
            if page == 0:
                assert self.complete(Decides.read)
                await checkpoint()
                log.append("behind")
                return "unheard"
            while True:
                await checkpoint()

        @listen(read)
        def after(self, page):
            log.append(page)

        @listen(gather(read))
        def report(self, pages):
            return pages

    flow = Decides()
    await flow.kickoff_async()
    assert log == ["behind"]
    assert [] in flow.method_outputs
    assert flow.run.status == "completed"


async def test_many_lanes_at_once() -> None:
    """Both kinds of step, in one flow."""
    assert await Mapped().kickoff_async() == [11, 21, 31, 41]
    assert await Streamed().kickoff_async() == [0, 1, 2, 3, 100]


@pytest.mark.parametrize("blocking", [True, False])
async def test_verbs_of_plain_steps_reach_the_run_from_their_thread(blocking) -> None:
    """Spawn, seal, complete and cancel, from a synchronous step."""
    log = []

    class Plain(Flow):
        @start()
        def split(self):
            return [1, 2]

        @listen(each(split))
        def read(self, page):
            if page == 1:
                log.append(self.spawn(Plain.read, 3))
                log.append(self.seal("read"))
                log.append(self.spawn(Plain.read, 4))
            return page

        @listen(gather(read))
        def report(self, pages):
            log.append(self.cancel("other"))
            return sorted(pages)

        @listen(report, region="other")
        def other(self): ...

    flow = Plain()
    if blocking:
        from anyio.to_thread import run_sync

        await run_sync(flow.kickoff)
    else:
        await flow.kickoff_async()
    assert [1, 2, 3] in flow.method_outputs
    assert log == [True, True, False, False]


async def test_thousands_of_items_leave_no_more_than_the_limit_in_memory() -> None:
    """Firings, lanes and tasks: as many as are at work, whatever the source gives."""
    most: list[int] = [0, 0, 0]

    class Stream(Flow):
        @start()
        async def items(self):
            for number in range(2_000):
                yield number

        @listen(each(items, limit=10))
        async def work(self, item):
            if not item % 97:
                marking = self.run.marking
                (group,) = marking.lanes.groups.values()
                now = len(marking.live), len(group.lanes), len(group.items)
                most[:] = map(max, most, now)
                await checkpoint()

        @listen(work)
        def after(self, _):
            return None

    flow = Stream()
    await flow.kickoff_async()
    assert flow.run.status == "completed"
    assert most[0] <= 10 + 2
    assert most[1] <= 10
    assert most[2] <= 1 + 1
    assert flow.run.marking.rounds == {}
