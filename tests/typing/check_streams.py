"""Streams of flows; read by mypy and pyright, never run."""

from typing import Any, assert_type

from flowkit import AsyncStreamSession, Flow, StreamFrame, StreamSession, runs, start


class Streams(Flow[dict[str, Any]]):
    stream = True

    @start()
    def begin(self) -> int:
        self.emit_item("token", channel="llm")
        return 1


class Typed(Flow[dict[str, Any]]):
    stream: bool = True


class Plain(Flow[dict[str, Any]]):
    @start()
    def begin(self) -> int:
        return 1


async def read(flow: Plain) -> None:
    assert_type(flow.stream({"n": 1}, nested=False), AsyncStreamSession | Any)
    session = flow.astream({"n": 1}, after={"run": 3})
    assert_type(session, AsyncStreamSession)
    async for frame in session:
        assert_type(frame, StreamFrame)
        assert_type(frame.run_id, str)
    assert_type(session.positions, dict[str, int])
    blocking = flow.stream_events(after=3)
    assert_type(blocking, StreamSession)
    for each in runs.stream("id", after=blocking.positions, nested=True):
        assert_type(each, StreamFrame)


def choose(flow: Plain) -> None:
    flow.stream = True
    Plain(stream=True)
    Streams().kickoff()
