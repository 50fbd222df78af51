"""The frames of called runs stand in their caller's stream, each within its step."""

from __future__ import annotations

import anyio
import pytest

from flowkit import EventBus, Flow, InputError, and_, listen, runs, start
from flowkit.journal.memory import MemoryStore
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.run import Run


@pytest.fixture(params=["none", "memory", "sqlite"])
def place(request, tmp_path):
    """Keywords for a flow: without a store, and with one or the other."""
    if request.param == "none":
        return {}
    if request.param == "memory":
        return {"store": MemoryStore()}
    return {"store": SqliteStore(tmp_path / "journal.db")}


class Word(Flow):
    """Tells tokens."""

    @start()
    async def write(self):
        for token in ("a", "b"):
            self.emit_item(token, channel="llm")
            await anyio.lowlevel.checkpoint()
        return "ab"


class Page(Flow):
    """Calls another flow, which calls none."""

    @start()
    async def fill(self):
        return await self.call(Word)


class Book(Flow):
    """Calls in its body, as a declared step, and not at all."""

    @start()
    async def begin(self):
        return "begun"

    @listen(begin)
    async def page(self):
        return await self.call(Page)

    @listen(page, flow=Word)
    def last(self, page):
        return {}

    @listen(last)
    def close(self):
        return "closed"


def told(frames):
    """The kind and place of each."""
    return [
        (frame.type.removeprefix("method_execution_"), "/".join(frame.namespace))
        for frame in frames
        if frame.type not in {"method_execution_paused", "method_execution_resumed"}
    ]


BOOK = [
    ("flow_started", "Book"),
    ("started", "Book/begin"),
    ("finished", "Book/begin"),
    ("started", "Book/page"),
    ("flow_started", "Book/page/Page"),
    ("started", "Book/page/Page/fill"),
    ("flow_started", "Book/page/Page/fill/Word"),
    ("started", "Book/page/Page/fill/Word/write"),
    ("item", "Book/page/Page/fill/Word/write"),
    ("item", "Book/page/Page/fill/Word/write"),
    ("finished", "Book/page/Page/fill/Word/write"),
    ("flow_finished", "Book/page/Page/fill/Word"),
    ("finished", "Book/page/Page/fill"),
    ("flow_finished", "Book/page/Page"),
    ("finished", "Book/page"),
    ("started", "Book/last"),
    ("flow_started", "Book/last/Word"),
    ("started", "Book/last/Word/write"),
    ("item", "Book/last/Word/write"),
    ("item", "Book/last/Word/write"),
    ("finished", "Book/last/Word/write"),
    ("flow_finished", "Book/last/Word"),
    ("finished", "Book/last"),
    ("started", "Book/close"),
    ("finished", "Book/close"),
    ("flow_finished", "Book"),
]


async def test_called_runs_are_told_within_their_step(place):
    """On every level, in their own order; the result is the caller's."""
    stream = Book(**place).stream()
    frames = [frame async for frame in stream]
    assert told(frames) == BOOK
    assert stream.result == "closed"


def test_blocking_code_reads_the_same(place):
    """By ``stream_events``."""
    with Book(**place).stream_events() as stream:
        frames = [*stream]
    assert told(frames) == BOOK


async def test_each_run_numbers_its_own_frames(place):
    """From 1 without a gap, and each frame says whose it is."""
    frames = [frame async for frame in Book(**place).stream()]
    numbers = {}
    for frame in frames:
        numbers.setdefault(frame.run_id, []).append(frame.seq)
        assert frame.id == f"{frame.run_id}:{frame.seq}"
    assert len(numbers) == 4
    assert all(each == [*range(1, len(each) + 1)] for each in numbers.values())
    known = {frame.id: frame for frame in frames}
    begun = {
        "/".join(frame.namespace): known[frame.parent_id].namespace
        for frame in frames
        if frame.type == "flow_started" and frame.parent_id
    }
    assert begun == {
        "Book/page/Page": ("Book", "page"),
        "Book/page/Page/fill/Word": ("Book", "page", "Page", "fill"),
        "Book/last/Word": ("Book", "last"),
    }


async def test_tokens_of_a_called_run_come_while_it_runs(place):
    """Not at its end: the reader lets it go on."""
    gate = anyio.Event()

    class Slow(Flow):
        @start()
        async def write(self):
            self.emit_item("first", channel="llm")
            await gate.wait()
            self.emit_item("second", channel="llm")

    class Asks(Flow):
        @start()
        async def ask(self):
            await self.call(Slow)

    seen = []
    async for frame in Asks(**place).stream().llm:
        seen.append(frame.item)
        gate.set()
    assert seen == ["first", "second"]


async def test_every_reader_gets_the_same(place):
    """Beside the session, and after its end."""
    flow = Book(**place)
    stream, frames, beside = flow.stream(), [], []

    async def read():
        async for frame in runs.stream(flow.run):
            beside.append(frame)  # noqa: PERF401 - seen as it comes

    async with anyio.create_task_group() as tasks:
        async for frame in stream:
            frames += [frame]
            if len(frames) == 1:
                tasks.start_soon(read)
    assert told(beside) == BOOK
    assert [each.id for each in beside] == [each.id for each in frames]
    later = [*runs.stream(flow.run)]
    assert [each.id for each in later] == [each.id for each in frames]
    assert [each.parent_id for each in later] == [each.parent_id for each in frames]


async def test_a_reader_goes_on_at_its_places(place):
    """After any frame: all that is behind it, once, by its ``positions``."""
    flow = Book(**place)
    stream = flow.stream()
    frames = [frame async for frame in stream]
    for count in range(len(frames)):
        places = {frame.run_id: frame.seq for frame in frames[:count]}
        rest = [*runs.stream(flow.run, after=places)]
        assert [each.id for each in rest] == [each.id for each in frames[count:]]
    assert [*runs.stream(flow.run, after=stream.positions)] == []


async def test_a_number_alone_counts_the_caller_s_frames(place):
    """A call that was under way is told again, one that was over is not."""
    flow = Book(**place)
    frames = [frame async for frame in flow.stream()]
    own = [frame for frame in frames if frame.run_id == flow.run.id]
    page = next(
        each
        for each in own
        if each.type.endswith("finished") and "page" in each.namespace
    )
    rest = [*runs.stream(flow.run, after=page.seq)]
    assert told(rest) == BOOK[BOOK.index(("finished", "Book/page")) + 1 :]
    start = next(each for each in own if "page" in each.namespace)
    rest = [*runs.stream(flow.run, after=start.seq)]
    assert told(rest) == BOOK[BOOK.index(("started", "Book/page")) + 1 :]


async def test_without_called_runs(place):
    """``nested=False``: the run's own frames, numbered without a gap."""
    flow = Book(**place)
    frames = [frame async for frame in flow.stream(nested=False)]
    assert [each.seq for each in frames] == [*range(1, len(frames) + 1)]
    assert {each.run_id for each in frames} == {flow.run.id}
    assert len([*runs.stream(flow.run, nested=False)]) == len(frames)


async def test_calls_side_by_side(place):
    """Each stands within its own step."""

    class Both(Flow):
        @start()
        async def left(self):
            return await self.call(Word)

        @start()
        async def right(self):
            return await self.call(Page)

        @listen(and_(left, right))
        def join(self):
            return "joined"

    flow = Both(**place)
    for frames in ([f async for f in flow.stream()], [*runs.stream(flow.run)]):
        kinds = told(frames)
        for step, first, last in (
            ("left", "Both/left/Word", "Both/left/Word"),
            ("right", "Both/right/Page", "Both/right/Page/fill/Word/write"),
        ):
            begin = kinds.index(("started", f"Both/{step}"))
            end = kinds.index(("finished", f"Both/{step}"))
            inside = [n for n, each in enumerate(kinds) if each[1].startswith(first)]
            assert begin < min(inside) <= max(inside) < end
            assert any(each[1] == last for each in kinds)
        assert kinds[-1] == ("flow_finished", "Both")


async def test_a_failed_call_is_told_and_then_raised(place):
    """Its own frames, its step's, its run's."""

    class Bad(Flow):
        @start()
        def work(self):
            raise ValueError("no")

    class Asks(Flow):
        @start()
        async def ask(self):
            await self.call(Bad)

    stream, frames = Asks(**place).stream(), []
    with pytest.raises(ValueError, match="no"):
        async for frame in stream:
            frames += [frame]
    assert told(frames)[-4:] == [
        ("failed", "Asks/ask/Bad/work"),
        ("flow_failed", "Asks/ask/Bad"),
        ("failed", "Asks/ask"),
        ("flow_failed", "Asks"),
    ]


class Waits(Flow, evict_after=0):
    """Waits for an event in the called run."""

    @start()
    def ask(self):
        self.emit_item("asked")
        return self.wait_for("paid")


class Outer(Flow, evict_after=0):
    """Calls what waits."""

    @start()
    async def order(self):
        return await self.call(Waits)


async def test_a_called_run_that_waits_is_followed(tmp_path):
    """Past the end of its caller's kickoff, and where another bus goes on with it."""
    store = SqliteStore(tmp_path / "journal.db")
    flow = Outer(store=store)
    stream = flow.stream(id="outer")
    frames = [frame async for frame in stream]
    assert told(frames)[-1] == ("flow_paused", "Outer")
    assert ("item", "Outer/order/Waits/ask") in told(frames)
    bus = EventBus(store=store)
    bus.register(Outer, Waits)
    reader, sent = runs.stream("outer", store=store, after=stream.positions), []

    async def read():
        async for frame in reader:
            sent.append(frame)  # noqa: PERF401 - seen as it comes

    with anyio.fail_after(30):
        async with bus, anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            assert bus.send("paid", 7)
            await bus.drain()
    assert ("finished", "Outer/order/Waits/ask") in told(sent)
    assert told(sent)[-2:] == [("finished", "Outer/order"), ("flow_finished", "Outer")]
    ids = [each.id for each in (*frames, *sent)]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {each.id for each in runs.stream("outer", store=store)}


def test_a_watched_call_is_an_ordinary_run_again():
    """Once nobody reads its caller any more; while it is read it is another class."""
    kinds, children = [], []

    class Deep(Flow):
        @start()
        def work(self):
            children.append(self.run)
            kinds.append(type(self.run))

    class Asks(Flow):
        @start()
        def ask(self):
            return self.call(Deep)

    with Asks().stream_events() as stream:
        assert told([*stream])[-1] == ("flow_finished", "Asks")
    assert [each is Run for each in kinds] == [False]
    assert type(children[0]) is Run
    Asks().kickoff()
    assert kinds[1] is Run


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (
            {"r": -1},
            "after=-1 is no number of a frame. Give the `seq` of the last frame that was read, or 0 for all of them.",
        ),
        (
            {1: 1},
            "after={1: 1} has the key 1. Give the `positions` of the stream that was read: the number of the last frame by run id.",
        ),
    ],
)
def test_places_are_numbers_by_run(after, text):
    """Anything else is refused before something begins."""
    with pytest.raises(InputError) as caught:
        Book().stream(after=after)
    assert str(caught.value) == text
