"""``crewai.types.streaming``: sessions and frames."""

from flowkit.runtime.frames import StreamFrame
from flowkit.runtime.sessions import AsyncStreamSession, StreamSession

__all__ = ["AsyncStreamSession", "StreamFrame", "StreamSession"]
