"""The inbox in memory, with bounds."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowkit.journal.base import KeptEvent

__all__ = ["MemoryInbox"]


class MemoryInbox:
    """Kept events and seen ids of one process.

    Args:
        most: events kept at a time; the oldest makes room.
        ids: ids remembered at a time; the oldest is forgotten.
    """

    def __init__(self, most: int = 10_000, ids: int = 1_000_000) -> None:
        self.most = most
        self.ids = ids
        self._seen: dict[str, None] = {}
        self._places: OrderedDict[
            tuple[str, str, str | None], deque[KeptEvent]
        ] = OrderedDict()
        self._count = 0

    def is_new(self, event_id: str) -> bool:
        """Whether this id was not remembered yet."""
        return event_id not in self._seen

    def remember(self, event_id: str) -> None:
        """From now on the id is not new."""
        self._seen[event_id] = None
        if len(self._seen) > self.ids:
            del self._seen[next(iter(self._seen))]

    def keep(self, subscriber: str, event: KeptEvent) -> KeptEvent | None:
        """Keep an event; gives the oldest one if it had to make room."""
        place = (subscriber, event.name, event.key)
        self._places.setdefault(place, deque()).append(event)
        self._count += 1
        if self._count <= self.most:
            return None
        oldest = min(self._places, key=lambda place: self._places[place][0].at)
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

    def _pop(self, place: tuple[str, str, str | None]) -> KeptEvent:
        line = self._places[place]
        found = line.popleft()
        self._count -= 1
        if not line:
            del self._places[place]
        return found

    def kept(self) -> int:
        """How many events are kept."""
        return self._count
