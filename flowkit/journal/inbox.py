"""The inbox port: events that nobody took yet, and ids that were seen."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

__all__ = ["Inbox", "KeptEvent"]


class KeptEvent(NamedTuple):
    """An event kept for a later wait; ``at`` in seconds since the epoch.

    ``traceparent`` says where its sender's trace goes on, "" if nothing is traced.
    """

    name: str
    payload: Any
    key: str | None
    id: str | None
    at: float
    traceparent: str = ""


class Inbox(Protocol):
    """What an event bus remembers.

    Promises: an id is new once for as long as it is remembered; what is kept for
    one subscriber, name and key comes back in the order it was kept, once.
    """

    def is_new(self, event_id: str) -> bool:
        """Whether this id was not remembered yet."""
        ...

    def remember(self, event_id: str) -> None:
        """From now on the id is not new."""
        ...

    def keep(self, subscriber: str, event: KeptEvent) -> KeptEvent | None:
        """Keep an event; gives the oldest one if it had to make room."""
        ...

    def take(
        self, subscriber: str, name: str, key: str | None, since: float
    ) -> KeptEvent | None:
        """The oldest kept event of that name and key, not older than ``since``."""
        ...

    def expire(self, since: float) -> list[KeptEvent]:
        """Take out what is older than ``since``, oldest first."""
        ...

    def kept(self) -> int:
        """How many events are kept."""
        ...
