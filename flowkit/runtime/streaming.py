"""``flow.stream``: what begins a kickoff that is read while it runs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flowkit.runtime.loops import on_trio
from flowkit.runtime.sessions import AsyncStreamSession, StreamSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

__all__ = ["Streaming", "async_session", "session"]


class Streaming:
    """What ``flow.stream`` is: call it. It counts as false, as the option unset."""

    __slots__ = ("_flow",)

    def __init__(self, flow: Any) -> None:
        self._flow = flow

    def __bool__(self) -> bool:
        return False

    def __call__(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        after: int | Mapping[str, int] = 0,
        nested: bool = True,
        restore_from_state_id: Any = None,
        id: str | None = None,
        tags: Iterable[str] = (),
        created_by: str = "",
    ) -> AsyncStreamSession:
        """A kickoff as frames: ``async for frame in flow.stream(inputs): ..``.

        Nothing happens before the first frame is asked for.

        Args:
            inputs: as those of :meth:`~flowkit.Flow.kickoff`.
            after: ``seq`` of the last frame that was read, where ``id`` or
                ``inputs["id"]`` name a stored run that goes on; 0 begins with its
                first. Or the ``positions`` of the stream that was read.
            nested: read the runs that its steps call, too, each within its step.
            restore_from_state_id: as of ``kickoff``.
            id: as of ``kickoff``.
            tags: as of ``kickoff``.
            created_by: as of ``kickoff``.

        Raises:
            InputError: ``after`` is no number, nor numbers by run id.
        """
        said = given(restore_from_state_id, id, tags, created_by)
        go = partial(self._flow.kickoff_async, inputs, **said)
        return AsyncStreamSession(self._flow, go, after, nested=nested)


def given(
    restore: Any, id: str | None, tags: Iterable[str], created_by: str
) -> dict[str, Any]:
    """The keywords of a kickoff, without those that were not given."""
    said: dict[str, Any] = {
        "restore_from_state_id": restore,
        "id": id,
        "tags": tags,
        "created_by": created_by,
    }
    return {key: value for key, value in said.items() if value}


def session(
    flow: Any,
    go: Callable[[], Awaitable[Any]],
    backend: str,
    after: Any = 0,
    *,
    nested: bool = True,
) -> StreamSession:
    """A session for blocking code."""
    chosen = "trio" if on_trio() else backend
    return StreamSession(flow, go, chosen, after, nested=nested)


def async_session(
    flow: Any,
    go: Callable[[], Awaitable[Any]],
    after: Any = 0,
    *,
    nested: bool = True,
) -> AsyncStreamSession:
    """A session for async code."""
    return AsyncStreamSession(flow, go, after, nested=nested)
