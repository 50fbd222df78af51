"""Streams: section 10 of the contract."""

from __future__ import annotations

import threading

import anyio
import pytest

import flowkit
from flowkit.compat.crewai import AsyncStreamSession, StreamFrame, StreamSession
from flowkit.compat.crewai.flow import (
    Flow,
    HumanFeedbackPending,
    flow_config,
    human_feedback,
    listen,
    or_,
    start,
)
from flowkit.compat.crewai.types import streaming


class Plain(Flow):
    """Two steps."""

    @start()
    def first(self):
        return "one"

    @listen(first)
    def second(self, given):
        return given + " two"


class Bad(Flow):
    """Its second step fails."""

    @start()
    def first(self):
        return "one"

    @listen(first)
    def second(self, given):
        raise KeyError(given)


TYPES = [
    "flow_started",
    "method_execution_started",
    "method_execution_finished",
    "method_execution_started",
    "method_execution_finished",
    "flow_finished",
]


def types(frames):
    """Their types."""
    return [frame.type for frame in frames]


@pytest.mark.parametrize("name", ["AsyncStreamSession", "StreamFrame", "StreamSession"])
def test_the_names_are_flowkits_own(name):
    """By CrewAI's path and by the natural one."""
    assert getattr(streaming, name) is getattr(flowkit, name)
    assert getattr(flowkit.compat.crewai, name) is getattr(flowkit, name)
    with pytest.raises(AttributeError):
        _ = streaming.CrewStreamingOutput


def test_stream_events_gives_a_session_of_frames():
    """At once; iterating it runs the flow."""
    flow = Plain()
    session = flow.stream_events(inputs={"topic": "tea"})
    assert isinstance(session, StreamSession)
    assert flow.method_outputs == []
    frames = list(session)
    assert types(frames) == TYPES
    assert all(isinstance(frame, StreamFrame) for frame in frames)
    assert {frame.channel for frame in frames} == {"flow"}
    assert session.result == "one two"
    assert flow.state["topic"] == "tea"


async def test_astream_gives_a_session_without_await():
    """At once; iterating it runs the flow."""
    session = Plain().astream({"topic": "tea"})
    assert isinstance(session, AsyncStreamSession)
    frames = [frame async for frame in session]
    assert types(frames) == TYPES
    assert session.result == "one two"


class ByClass(Plain):
    """Streams by a class attribute."""

    stream = True


def _by_keyword():
    return Plain(stream=True)


def _by_attribute():
    flow = Plain()
    flow.stream = True
    return flow


@pytest.mark.parametrize("make", [ByClass, _by_keyword, _by_attribute])
async def test_stream_true_has_kickoff_give_sessions(make):
    """As class attribute, keyword and assigned; from the next kickoff on."""
    session = make().kickoff()
    assert isinstance(session, StreamSession)
    other = await make().kickoff_async({"n": 1})
    assert isinstance(other, AsyncStreamSession)
    assert types([frame async for frame in other]) == TYPES
    assert other.result == "one two"
    third = await make().akickoff()
    assert isinstance(third, AsyncStreamSession)


def test_a_blocking_session_of_kickoff():
    """Outside of an event loop; a False afterwards has kickoff run again."""
    flow = ByClass()
    session = flow.kickoff()
    assert types(session) == TYPES
    assert session.result == "one two"
    flow.stream = False
    assert flow.kickoff() == "one two"


def test_stream_is_false_unless_given():
    """Whoever reads the option sees a false value."""
    assert not Plain().stream
    assert ByClass().stream is True
    assert Plain(stream=False).kickoff() == "one two"


def test_a_step_may_be_called_stream():
    """It hides the verb of that name, and nothing else."""

    class Named(Flow):
        @start()
        def stream(self):
            return 1

    flow = Named()
    assert flow.kickoff() == 1
    assert types(flow.stream_events())[-1] == "flow_finished"


def test_events_is_an_iterator():
    """It works with next, and goes on where it was left."""
    session = Plain().stream_events()
    assert next(session.events).type == "flow_started"
    assert next(session.events).type == "method_execution_started"
    assert types(session.frames) == TYPES[: len(session.frames)]
    assert types(session) == TYPES[2:]
    with pytest.raises(StopIteration):
        next(session.events)


async def test_async_events_is_an_iterator():
    """It works with anext."""
    session = Plain().astream()
    assert (await anext(session.events)).type == "flow_started"
    assert types([frame async for frame in session.events]) == TYPES[1:]
    with pytest.raises(StopAsyncIteration):
        await anext(session.events)


def test_what_a_session_says_of_itself():
    """Frames as a copy; completed and exhausted at its end; a result only then."""
    session = Plain().stream_events()
    next(session.events)
    assert (session.is_completed, session.is_cancelled, session.is_exhausted) == (
        False,
        False,
        False,
    )
    with pytest.raises(RuntimeError):
        _ = session.result
    list(session)
    assert (session.is_completed, session.is_cancelled, session.is_exhausted) == (
        True,
        False,
        True,
    )
    session.frames.clear()
    assert types(session.frames) == TYPES
    session.close()  # nothing is left to be cancelled
    assert not session.is_cancelled
    assert session.result == "one two"


def test_a_failing_step_is_delivered_then_raised():
    """The frames stay readable, the result raises it again."""
    session = Bad().stream_events()
    seen = []
    with pytest.raises(KeyError) as caught:
        seen.extend(frame.type for frame in session)
    for frame in session.frames:
        if frame.type == "method_execution_failed":
            assert frame.data["error"] is caught.value
            break
    else:
        pytest.fail("no frame of the failure")
    with pytest.raises(KeyError) as again:
        _ = session.result
    assert again.value is caught.value


async def test_a_failing_step_is_raised_in_async_code():
    """The same."""
    session = Bad().astream()
    with pytest.raises(KeyError) as caught:
        async for _ in session:
            pass
    assert "method_execution_failed" in types(session.frames)
    with pytest.raises(KeyError) as again:
        _ = session.result
    assert again.value is caught.value


class Hangs(Flow):
    """Never ends."""

    later = False

    @start()
    async def hang(self):
        await anyio.sleep_forever()

    @listen(hang)
    def after(self):
        self.later = True


def test_close_cancels_at_once():
    """Nothing runs any more; closing again does nothing."""
    flow = Hangs()
    session = flow.kickoff() if flow.stream else flow.stream_events()
    next(session.events)
    session.close()
    session.close()
    assert session.is_cancelled
    assert session.is_completed
    assert flow.run.status == "cancelled"
    assert list(session) == []


async def test_aclose_cancels_at_once():
    """The same in async code."""
    flow = Hangs()
    session = flow.astream()
    await anext(session.events)
    await session.aclose()
    assert session.is_cancelled
    assert session.is_completed
    assert flow.run.status == "cancelled"


def test_a_session_never_iterated_leaves_nothing_behind():
    """The flow object may be kicked off as if it were not there."""
    flow = Plain()
    before = threading.active_count()
    for _ in range(3):
        flow.stream_events()
        flow.astream()
    assert threading.active_count() == before
    assert flow.kickoff() == "one two"


class Says:
    """Answers both kinds of questions."""

    def request_input(self, message, flow, metadata=None):
        return "blue"

    def request_feedback(self, context, flow):
        return "approved"


@pytest.fixture
def _says():
    flow_config.hitl_provider = flow_config.input_provider = Says()
    yield
    flow_config.hitl_provider = flow_config.input_provider = None


class Asks(Flow):
    """Asks for input and for feedback."""

    @start()
    def ask_colour(self):
        return self.ask("Colour?", metadata={"kind": "text"})

    @listen(ask_colour)
    @human_feedback("Good?", emit=["approved", "rejected"])
    def paint(self, colour):
        return f"all {colour}"

    @listen(or_("approved", "rejected"))
    def done(self):
        return "done"


@pytest.mark.usefixtures("_says")
@pytest.mark.parametrize("store", [None, "memory://asks"])
async def test_questions_to_people_are_frames(store):
    """Requested and received, between the frames of their step."""
    session = Asks(store=store).astream()
    frames = [frame async for frame in session]
    assert types(frames) == [
        "flow_started",
        "method_execution_started",
        "flow_input_requested",
        "flow_input_received",
        "method_execution_finished",
        "method_execution_started",
        "human_feedback_requested",
        "human_feedback_received",
        "method_execution_finished",
        "method_execution_started",
        "method_execution_finished",
        "flow_finished",
    ]
    assert {frame.channel for frame in frames} == {"flow"}
    assert frames[2].data["message"] == "Colour?"
    assert frames[3].data["response"] == "blue"
    assert frames[6].data["output"] == "all blue"
    assert frames[7].data["outcome"] == "approved"


class Later:
    """Answers later."""

    def request_feedback(self, context, flow):
        raise HumanFeedbackPending(context)


class Pauses(Flow):
    """Waits for a person who is not there."""

    @start()
    @human_feedback("Good?", provider=Later())
    def draft(self):
        return "text"

    @listen(draft)
    def publish(self, said):
        return said.feedback


def test_a_pause_is_told_and_ends_the_session(tmp_path, monkeypatch):
    """The result is what a kickoff gives: the pending review."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    flow = Pauses()
    session = flow.stream_events()
    assert types(session) == [
        "flow_started",
        "method_execution_started",
        "human_feedback_requested",
        "method_execution_paused",
        "flow_paused",
    ]
    assert isinstance(session.result, HumanFeedbackPending)
    assert flow.resume("fine") == "fine"


class Tokens(Flow):
    """Tells things on several channels."""

    @start()
    def talk(self):
        self.emit_item("hel", channel="llm")  # codespell:ignore
        self.emit_item("search", channel="tools")
        self.emit_item("lo", channel="llm")
        self.emit_item(0.5)
        self.emit_item("hi", channel="messages")


def test_channels_are_read_apart_and_together():
    """Each from the first frame on, whatever was read before."""
    session = Tokens().stream_events()
    assert [frame.item for frame in session.llm] == ["hel", "lo"]  # codespell:ignore
    assert [frame.item for frame in session.tools] == ["search"]
    assert [frame.item for frame in session.custom] == [0.5]
    assert [frame.item for frame in session.messages] == ["hi"]
    assert types(session.flow)[-1] == "flow_finished"
    told = session.interleave(["llm", "messages"])
    assert [frame.item for frame in told] == ["hel", "lo", "hi"]  # codespell:ignore
    assert len(list(session)) == len(session.frames)


async def test_channels_are_read_apart_in_async_code():
    """The same."""
    session = Tokens().astream()
    assert [frame.item async for frame in session.llm] == [
        "hel",  # codespell:ignore
        "lo",
    ]  # codespell:ignore
    told = session.interleave(["tools", "custom"])
    assert [frame.item async for frame in told] == ["search", 0.5]


class Wraps(Plain):
    """Does something before each kickoff, as users do."""

    calls = 0

    async def kickoff_async(self, *args, **kwargs):
        self.calls += 1
        return await super().kickoff_async(*args, **kwargs)


async def test_a_wrapped_kickoff_is_called_once():
    """By a stream as by a kickoff."""
    flow = Wraps()
    assert types([frame async for frame in flow.astream()]) == TYPES
    assert flow.calls == 1
    flow = Wraps(stream=True)
    session = await flow.kickoff_async()
    assert types([frame async for frame in session]) == TYPES
    assert flow.calls == 1


def test_a_flow_that_another_calls_does_not_stream():
    """Its result is what the calling step gets."""

    class Outer(Flow):
        @start()
        def call_it(self):
            return self.call(ByClass)

    assert Outer().kickoff() == "one two"
