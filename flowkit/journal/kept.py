"""The inbox in memory, with bounds."""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowkit.journal.inbox import KeptEvent

__all__ = ["MemoryInbox"]

Place = tuple[str, str, str | None]


class MemoryInbox:
    """Kept events and seen ids of one process.

    Args:
        most: events kept at a time; the oldest makes room.
        ids: ids remembered at a time; the oldest is forgotten.
    """

    def __init__(self, most: int = 10_000, ids: int = 1_000_000) -> None:
        self.most = most
        self.ids = ids
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._places: dict[Place, deque[int]] = {}
        # In the order kept: the times of two events may be equal.
        self._events: OrderedDict[int, tuple[Place, KeptEvent]] = OrderedDict()
        self._numbers = count()

    def is_new(self, event_id: str) -> bool:
        """Whether this id was not remembered yet."""
        return event_id not in self._seen

    def remember(self, event_id: str) -> None:
        """From now on the id is not new."""
        self._seen[event_id] = None
        if len(self._seen) > self.ids:
            self._seen.popitem(last=False)

    def keep(self, subscriber: str, event: KeptEvent) -> KeptEvent | None:
        """Keep an event; gives the oldest one if it had to make room."""
        place = (subscriber, event.name, event.key)
        number = next(self._numbers)
        self._places.setdefault(place, deque()).append(number)
        self._events[number] = place, event
        if len(self._events) <= self.most:
            return None
        oldest, _ = next(iter(self._events.values()))
        return self._pop(oldest)

    def take(
        self, subscriber: str, name: str, key: str | None, since: float
    ) -> KeptEvent | None:
        """The oldest kept event of that name and key, not older than ``since``."""
        place = (subscriber, name, key)
        while place in self._places:
            found = self._pop(place)
            if found.at >= since:
                return found
        return None

    def expire(self, since: float) -> list[KeptEvent]:
        """Take out what is older than ``since``, oldest first."""
        gone: list[KeptEvent] = []
        while self._events:
            place, event = next(iter(self._events.values()))
            if event.at >= since:
                break
            gone.append(event)
            self._pop(place)
        return gone

    def _pop(self, place: Place) -> KeptEvent:
        line = self._places[place]
        _, found = self._events.pop(line.popleft())
        if not line:
            del self._places[place]
        return found

    def kept(self) -> int:
        """How many events are kept."""
        return len(self._events)
