"""Reading a run while it runs, and later: frames, readers, resumption, early ends."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pydantic import BaseModel

from flowkit import (
    Flow,
    InputError,
    UnstorableError,
    event,
    listen,
    router,
    runs,
    start,
)
from flowkit.journal.memory import MemoryStore
from flowkit.runtime.run import Run
from tests.runtime.stored import crashed


class Count(BaseModel):
    """A state with one number."""

    n: int = 0


class Talk(Flow[Count]):
    """Tells items from a synchronous and an async step."""

    @start()
    def begin(self):
        self.state.n += 1
        for word in ("good", "day"):
            self.emit_item(word, channel="llm")
        return "begun"

    @listen(begin)
    async def middle(self, _):
        self.emit_item({"done": 0.5})
        await checkpoint()
        self.emit_item({"done": 1.0})
        return "half"

    @listen(middle)
    def end(self, given):
        self.state.n += 1
        return given.upper()


TOLD = [
    ("flow_started", None),
    ("method_execution_started", "begin"),
    ("item", "begin"),
    ("item", "begin"),
    ("method_execution_finished", "begin"),
    ("method_execution_started", "middle"),
    ("item", "middle"),
    ("item", "middle"),
    ("method_execution_finished", "middle"),
    ("method_execution_started", "end"),
    ("method_execution_finished", "end"),
    ("flow_finished", None),
]


def told(frames):
    """Type and step of each."""
    return [(frame.type, frame.data.get("step")) for frame in frames]


@pytest.fixture(params=["memory", "stored", "sqlite"])
def place(request, tmp_path):
    """Keywords for a flow: without a store, and with one or the other."""
    if request.param == "memory":
        return {}
    if request.param == "stored":
        return {"store": MemoryStore()}
    return {"store": f"sqlite:///{tmp_path}/runs.db"}


async def test_a_run_is_read_while_it_runs(place):
    """Frames in order, numbered without a gap; then the result is there."""
    flow = Talk(**place)
    stream = flow.stream({"n": 4})
    frames = [frame async for frame in stream]
    assert told(frames) == TOLD
    assert [frame.seq for frame in frames] == list(range(1, 13))
    assert stream.result == "HALF"
    assert flow.state.n == 6
    assert stream.frames == frames


async def test_frames_carry_what_belongs_to_them(place):
    """State deltas, items with their step, inputs and result; each names its parent."""
    frames = [frame async for frame in Talk(**place).stream({"n": 4})]
    first, begun, word, _, done, *_, last = frames
    assert dict(first.data, run_id=0) == {
        "flow": "Talk",
        "run_id": 0,
        "inputs": {"n": 4},
        "event": None,
    }
    assert (word.channel, word.item, word.namespace) == (
        "llm",
        "good",
        ("Talk", "begin"),
    )
    assert done.data["changed"] == {"n": 5}
    assert done.data["output"] == "begun"
    assert last.data == {"result": "HALF"}
    assert (first.parent_id, first.previous_id) == (None, None)
    assert (begun.parent_id, word.parent_id, done.parent_id) == (
        first.id,
        begun.id,
        begun.id,
    )
    assert [frame.previous_id for frame in frames[1:]] == [
        frame.id for frame in frames[:-1]
    ]
    assert len({frame.id for frame in frames}) == len(frames)
    assert first.timestamp <= last.timestamp
    assert first.timestamp.tzinfo is not None


def test_blocking_code_reads_the_same(place):
    """``stream_events``: the run goes on in a thread, and nothing of it is left."""
    before = threading.active_count()
    session = Talk(**place).stream_events({"n": 4})
    assert told(session) == TOLD
    assert session.result == "HALF"
    for thread in threading.enumerate():
        if thread.name == "flowkit-run":
            thread.join(50)
    assert not any(each.name == "flowkit-run" for each in threading.enumerate())
    assert threading.active_count() <= before + 2  # pooled or presence, not of the run


async def test_every_reader_gets_the_same_frames(place):
    """Beside the session, in its middle and after its end, async and blocking."""
    stream = Talk(**place).stream()
    seen, others = [], []

    async def read(after):
        others.append([frame async for frame in runs.stream(stream.run, after=after)])

    async with anyio.create_task_group() as group:
        async for frame in stream:
            seen.append(frame)
            if frame.seq in {1, 4}:
                group.start_soon(read, 0)
            if frame.seq == 6:
                group.start_soon(read, 6)
    assert sorted(map(len, others)) == [6, 12, 12]
    for each in others:
        assert each == seen[-len(each) :]
    assert list(runs.stream(stream.run)) == seen
    assert list(runs.stream(stream.run, after=10)) == seen[10:]


def test_a_watched_run_is_an_ordinary_one_again():
    """Only while somebody reads a run is its class another one."""
    flow = Talk()
    session = flow.stream_events()
    next(session.events)
    assert type(session.run) is not Run
    list(session)
    assert type(flow.run) is Run


def test_items_cost_nothing_where_nobody_reads():
    """Without a store and a reader they are kept with the records, and told later."""
    flow = Talk()
    assert flow.kickoff() == "HALF"
    assert type(flow.run) is Run
    frames = list(runs.stream(flow.run))
    assert told(frames) == TOLD
    assert frames[4].data["changed"] == {}  # nobody was there to keep the value for
    assert frames[4].data["unknown"] == ["n"]


def test_a_stored_run_is_told_by_its_id():
    """Also when it was never watched; the class need not be there."""
    store = MemoryStore()
    flow = Talk(store=store)
    flow.kickoff({"n": 1})
    frames = list(runs.stream(flow.run.id, store=store))
    assert told(frames) == TOLD
    assert frames[4].data["changed"] == {"n": 2}
    assert list(runs.stream(flow.run.id[:30], after=7, store=store)) == frames[7:]


class Bad(Flow):
    """Fails in its second step."""

    @start()
    def begin(self):
        return 1

    @listen(begin)
    def fall(self, _):
        raise LookupError("no such thing")


async def test_a_failure_is_told_and_then_raised(place):
    """The frames first, then the step's own exception; the result raises it again."""
    stream = Bad(**place).stream()
    with pytest.raises(LookupError, match="no such thing") as caught:
        async for _ in stream:
            pass
    assert told(stream.frames)[-2:] == [
        ("method_execution_failed", "fall"),
        ("flow_failed", None),
    ]
    assert str(stream.frames[-1].data["error"]) == "no such thing"
    with pytest.raises(LookupError) as again:
        _ = stream.result
    assert again.value is caught.value
    assert [frame async for frame in stream] == []
    others = list(runs.stream(stream.run))  # an onlooker is told, not hit
    assert told(others) == told(stream.frames)


async def test_inputs_that_do_not_fit_are_raised_at_the_first_frame(place):
    """Nothing begins, so there is no frame."""
    stream = Talk(**place).stream({"n": "many"})
    with pytest.raises(InputError):
        await anext(stream.events)
    assert stream.frames == []


class Slow(Flow):
    """Waits for ever in its second step."""

    ended = ""

    @start()
    def begin(self):
        return 1

    @listen(begin)
    async def hang(self, _):
        self.emit_item("hanging")
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            self.ended = type(error).__name__
            raise


async def test_closing_cancels_the_run(place):
    """At once; the step is cancelled and joined."""
    flow = Slow(**place)
    async with flow.stream() as stream:
        async for frame in stream:
            if frame.type == "item":
                break
    assert (stream.is_cancelled, stream.is_completed) == (True, True)
    assert flow.ended in {"CancelledError", "Cancelled"}
    assert flow.run.status == "cancelled"
    with pytest.raises(RuntimeError) as caught:
        _ = stream.result
    assert str(caught.value) == (
        "The stream of Slow was closed before its end: there is no result."
    )
    assert [frame async for frame in stream] == []
    await stream.aclose()


def test_closing_a_blocking_session_cancels_the_run(place):
    """The same from blocking code; a synchronous step is left to itself."""
    flow = Slow(**place)
    with flow.stream_events() as session:
        for frame in session:
            if frame.type == "item":
                break
    assert session.is_cancelled
    assert flow.ended in {"CancelledError", "Cancelled"}
    assert flow.run.status == "cancelled"


def test_a_synchronous_step_does_not_hold_the_close_back():
    """It goes on in its thread, and its result does not count."""
    going, may_end = threading.Event(), threading.Event()

    class Stubborn(Flow):
        later = False

        @start()
        def hold(self):
            going.set()
            may_end.wait(30)

        @listen(hold)
        def after(self):
            self.later = True

    flow = Stubborn()
    session = flow.stream_events()
    for frame in session:
        if frame.type == "method_execution_started":
            break
    assert going.wait(30)
    session.close()
    assert flow.run.status == "cancelled"
    may_end.set()
    assert not flow.later


async def test_a_cancelled_reader_cancels_the_run():
    """As a cancelled kickoff_async does: joined before the cancellation goes on."""
    flow = Slow()
    with anyio.CancelScope() as scope:
        async for frame in flow.stream():
            if frame.type == "item":
                scope.cancel()
    assert scope.cancelled_caught
    assert flow.run.status == "cancelled"
    assert flow.ended


async def test_a_cancelled_reader_leaves_a_stored_run_to_be_resumed():
    """As a cancelled kickoff_async does, too."""
    store = MemoryStore()
    flow = Slow(store=store)
    with anyio.CancelScope() as scope:
        async for frame in flow.stream():
            if frame.type == "item":
                scope.cancel()
    assert flow.ended
    assert store.run(flow.run.id).status == "running"


async def test_a_slow_reader_does_not_hold_the_run_back(place):
    """The run ends while its reader has taken one frame; then it takes the rest."""
    flow = Talk(**place)
    stream = flow.stream()
    await anext(stream.events)
    with anyio.fail_after(50):
        while not flow.run.told:
            await checkpoint()
    assert not stream.is_completed
    with pytest.raises(RuntimeError) as caught:
        _ = stream.result
    assert str(caught.value) == (
        "The stream of Talk has not ended. Iterate it to its end, then read its result."
    )
    assert len([frame async for frame in stream]) == 11
    assert stream.result == "HALF"


async def test_a_session_nobody_iterates_leaves_nothing_behind(place):
    """No run, no thread, no task."""
    flow = Talk(**place)
    before = threading.active_count()
    stream, session = flow.stream(), flow.stream_events()
    assert flow.run is None
    session.close()
    await stream.aclose()
    assert session.is_cancelled
    assert stream.is_cancelled
    assert flow.run is None
    assert threading.active_count() == before


async def test_two_streams_of_one_object_are_refused():
    """One object, one run at a time; the first goes on."""
    flow = Slow()
    async with flow.stream() as first:
        await anext(first.events)
        second = flow.stream()
        with pytest.raises(Exception, match="This Slow object runs already"):
            await anext(second.events)
        assert flow.run.status == "running"


class Order(Flow[Count]):
    """Waits for an event between two steps."""

    @start()
    def take(self):
        self.state.n = 1

    @listen(event("paid"))
    def ship(self, payment):
        self.state.n += payment
        self.stop(self.state.n)


async def test_a_run_that_waits_ends_the_session_and_not_the_reader(place):
    """The session as a kickoff does; ``runs.stream`` follows until the run is over."""
    flow = Order(**place)
    stream = flow.stream()
    frames = [frame async for frame in stream]
    assert told(frames)[-1] == ("flow_paused", None)
    assert frames[-1].data == {"events": ("paid",)}
    assert stream.result is flow.run
    more = []

    async def follow():
        more.extend([f async for f in runs.stream(flow.run, after=frames[-1].seq)])

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        while not place and type(flow.run) is Run:
            await checkpoint()  # the reader begins
        flow.send("paid", 5)
    assert told(more) == [
        ("event_received", None),
        ("method_execution_started", "ship"),
        ("flow_resumed", None),
        ("method_execution_finished", "ship"),
        ("flow_finished", None),
    ]
    assert more[3].data["changed"] == {"n": 6}


def test_what_is_there_can_be_read_without_waiting(place):
    """``follow=False`` ends with the last record of a run that goes on."""
    flow = Order(**place)
    flow.kickoff()
    frames = list(runs.stream(flow.run, follow=False))
    assert told(frames)[-1] == ("flow_paused", None)
    assert list(runs.stream(flow.run, after=frames[-1].seq, follow=False)) == []


async def test_a_removed_field_is_named(place):
    """A state's field that a step deletes is no new value."""

    class Tidy(Flow):
        @start()
        def fill(self):
            self.state["a"] = [1]
            self.state["b"] = 2

        @listen(fill)
        def clear(self):
            del self.state["b"]
            self.state["a"].append(3)

    frames = [frame async for frame in Tidy(**place).stream()]
    done = [f.data for f in frames if f.type == "method_execution_finished"]
    assert done[0]["changed"] == {"a": [1], "b": 2}
    assert "removed" not in done[0]
    assert done[1]["changed"] == {"a": [1, 3]}
    assert done[1]["removed"] == ["b"]


class Choice(Flow):
    """A router, two branches of which one is cancelled, a stop."""

    @start()
    @router(emit=["left"])
    def pick(self):
        return "left"

    @listen("left")
    async def hang(self):
        await anyio.sleep_forever()

    @listen("left")
    async def decide(self):
        await checkpoint()
        self.stop("enough")


async def test_labels_and_what_a_stop_cancels_are_told(place):
    """A stop ends its own step well and cancels the other."""
    stream = Choice(**place).stream()
    frames = [frame async for frame in stream]
    assert frames[2].data["labels"] == ("left",)
    assert told(frames)[-3:] == [
        ("method_execution_finished", "decide"),
        ("method_execution_cancelled", "hang"),
        ("flow_finished", None),
    ]
    assert stream.result == "enough"
    assert frames[-1].data == {"result": "enough"}


async def test_items_of_threads_and_side_by_side_steps_keep_their_order(place):
    """Each step's items stand between its start and its end, in their order."""

    class Many(Flow):
        @start()
        def one(self):
            for number in range(50):
                self.emit_item(number)

        @start()
        def two(self):
            for number in range(50):
                self.emit_item(number)

        @start()
        async def three(self):
            for number in range(50):
                self.emit_item(number)
                await checkpoint()

    frames = [frame async for frame in Many(**place).stream()]
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    for step in ("one", "two", "three"):
        mine = [frame for frame in frames if frame.data.get("step") == step]
        assert mine[0].type == "method_execution_started"
        assert mine[-1].type == "method_execution_finished"
        assert [frame.item for frame in mine[1:-1]] == list(range(50))


def test_more_records_than_a_batch_are_all_told(place):
    """A reader takes a part at a time, and all of it."""

    class Long(Flow):
        @start()
        def tell(self):
            for number in range(1000):
                self.emit_item(number)

    flow = Long(**place)
    flow.kickoff()
    frames = list(runs.stream(flow.run))
    assert [frame.item for frame in frames[2:-2]] == list(range(1000))
    assert len(list(runs.stream(flow.run, after=700))) == 304


def test_an_interrupted_step_tells_its_items_again():
    """Both attempts are there, told apart by their number; nothing is taken back."""
    store = MemoryStore()
    flow = Talk(store=store)
    flow.kickoff({"n": 4})
    kept = [entry.kind for entry in store.entries(flow.run.id)]
    assert kept[:5] == ["start", "note:item", "note:item", "done", "note:item"]
    crashed(store, flow.run.id, 5, "cut")
    before = list(runs.stream("cut", store=store, follow=False))
    assert told(before) == TOLD[:7]
    session = Talk(store=store).stream_events({"n": 4}, id="cut", after=7)
    rest = list(session)
    assert session.result == "HALF"
    assert told(rest) == TOLD[5:]
    assert [f.data["attempt"] for f in rest if f.data.get("step") == "middle"] == [
        2
    ] * 4
    assert [f.seq for f in rest] == list(range(8, 15))
    assert list(runs.stream("cut", store=store)) == before + rest


def test_a_rewound_run_is_told_on():
    """What was told stays; a frame says where the run went on."""
    store = MemoryStore()
    flow = Talk(store=store)
    flow.kickoff({"n": 4})
    frames = list(runs.stream(flow.run.id, store=store))
    runs.rewind(flow.run.id, "middle", store=store)
    Talk.resume_all(store)
    more = list(runs.stream(flow.run.id, after=12, store=store))
    assert more[0].type == "flow_rewound"
    assert told(more)[1:] == TOLD[5:]
    assert more[-1].data == {"result": "HALF"}
    assert frames == list(runs.stream(flow.run.id, store=store))[:12]


def test_what_cannot_be_stored_is_refused_at_the_call():
    """With a store; the place is named. Without one an item may be anything."""

    class Odd(Flow):
        @start()
        def tell(self):
            self.emit_item(threading.Lock())

    assert Odd().kickoff() is None
    with pytest.raises(UnstorableError, match=r"an item of Odd\.tell"):
        Odd(store=MemoryStore()).kickoff()


@pytest.mark.parametrize("channel", ["", "flow", 3])
def test_a_channel_has_a_name_of_its_own(channel):
    """The run's own channel is not for items."""

    class Odd(Flow):
        @start()
        def tell(self):
            self.emit_item(1, channel=channel)

    with pytest.raises(ValueError, match=r"takes the name of a channel") as caught:
        Odd().kickoff()
    assert str(caught.value) == (
        f"Odd.emit_item takes the name of a channel, not {channel!r}; 'flow' is that "
        f"of the run itself. Name another one, such as 'custom' or 'llm'."
    )


@pytest.mark.parametrize("after", [-1, "3", None])
def test_after_is_a_number(after):
    """Of a frame; anything else is refused before something begins."""
    with pytest.raises(InputError) as caught:
        Talk().stream(after=after)
    assert str(caught.value) == (
        f"after={after!r} is no number of a frame. Give the `seq` of the last frame "
        f"that was read, or 0 for all of them."
    )


def test_a_frame_goes_out_as_json():
    """Whatever it holds; errors and odd values as text."""
    flow = Bad()
    with pytest.raises(LookupError):
        flow.kickoff()
    for frame in runs.stream(flow.run):
        shown = json.loads(json.dumps(frame.to_dict()))
        assert shown["seq"] == frame.seq
    assert shown["data"] == {"error": "LookupError: no such thing"}


VICTIM = """
import os, sys, threading
from flowkit import Flow, listen, start

class Talk(Flow):
    @start()
    def begin(self):
        self.emit_item("one")
        return 1

    @listen(begin)
    def middle(self, given):
        self.emit_item("two")
        if len(sys.argv) > 2:
            threading.Event().wait()
        self.emit_item("three")
        return given + 1

if __name__ == "__main__":
    for frame in Talk(store=sys.argv[1]).stream_events(id="it"):
        print(frame.seq, frame.type, flush=True)
        if frame.item == "two" and len(sys.argv) > 2:
            os._exit(9)
"""


def test_a_killed_process_is_read_and_resumed_by_number(tmp_path):
    """What it told is there; the next process goes on behind it, without a gap."""
    program = Path(tmp_path) / "talk.py"
    program.write_text(VICTIM)
    url = f"sqlite:///{tmp_path}/runs.db"
    line = [sys.executable, str(program), url]
    killed = subprocess.run(
        [*line, "die"], cwd=Path(__file__).parents[2], capture_output=True, check=False
    )
    assert killed.returncode == 9
    read = [int(each.split()[0]) for each in killed.stdout.decode().splitlines()]
    assert read == list(range(1, len(read) + 1))
    known = list(runs.stream("it", store=url, follow=False))
    assert [frame.item for frame in known if frame.type == "item"] == ["one", "two"]
    last = known[-1].seq
    assert read[-1] == last

    second = subprocess.run(
        line, cwd=Path(__file__).parents[2], capture_output=True, check=True
    )
    assert second.stdout.decode().splitlines()[-1].endswith("flow_finished")
    more = list(runs.stream("it", after=last, store=url))
    assert [frame.seq for frame in more] == list(range(last + 1, last + 6))
    assert [(f.type, f.data.get("attempt")) for f in more] == [
        ("method_execution_started", 2),
        ("item", 2),
        ("item", 2),
        ("method_execution_finished", 2),
        ("flow_finished", None),
    ]


def test_a_run_of_another_process_is_followed(tmp_path):
    """A reader that waits gets what another process writes, as it comes."""
    program = Path(tmp_path) / "talk.py"
    program.write_text(VICTIM)
    url = f"sqlite:///{tmp_path}/runs.db"
    line = [sys.executable, str(program), url]
    root = Path(__file__).parents[2]
    subprocess.run([*line, "die"], cwd=root, capture_output=True, check=False)
    frames = iter(runs.stream("it", store=url))
    first = [next(frames) for _ in range(6)]
    with subprocess.Popen(line, cwd=root, stdout=subprocess.DEVNULL):
        rest = list(frames)
    assert first[-1].item == "two"
    assert rest[-1].type == "flow_finished"
