"""Places that calls or runs share: who has one, who waits for one, in order.

The state is told the time and changes nothing but itself; it is plain data, so that it
can lie in a store between processes. It promises, for any order of calls:

- at most ``most`` keys have a place;
- a place that comes free goes to the one that has waited longest, those that go on
  with something (``first``) before those that begin it;
- a key has its place, or its place in the line, until it leaves, or its owner is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Entered", "PlacesState"]

Entered = Literal["inside", "waits", "full", "late"]
_NOBODY: list[str] = []
LATEST = 0.2
"""How much the latest stay counts in the mean of all."""


class PlacesState:
    """Who is inside and who waits; a key is ``owner/number``.

    Attributes:
        inside: who has a place, and since when.
        unnamed: how many have one without a key, and count for no mean.
        mean: seconds that a place is held, of late; None if none was given back.
    """

    __slots__ = ("_first", "_line", "_most", "_queue", "inside", "mean", "unnamed")

    def __init__(self, value: Any) -> None:
        self._most: int = value.most
        self._queue: int | None = value.queue
        self.inside: dict[str, float] = {}
        self.unnamed: int = 0
        self._first: list[str] = []
        self._line: list[str] = []
        self.mean: float | None = None

    @property
    def waiting(self) -> int:
        """How many wait to begin."""
        return len(self._line)

    @property
    def free(self) -> bool:
        """Whether one who comes has a place at once."""
        waits = self._first or self._line
        return len(self.inside) + self.unnamed < self._most and not waits

    def slip_in(self) -> bool:
        """Take a free place without a key; whether there was one."""
        if len(self.inside) + self.unnamed >= self._most or self._first or self._line:
            return False
        self.unnamed += 1
        return True

    def slip_out(self) -> bool:
        """Give such a place back; whether somebody waits to whom it is to be handed."""
        self.unnamed -= 1
        return bool(self._first or self._line)

    def enter(
        self, key: str, at: float, *, until: float | None = None, first: bool = False
    ) -> Entered:
        """Take a place, or one in the line.

        Args:
            key: of who comes.
            at: seconds.
            until: who cannot have a place by then need not wait: ``late``.
            first: it goes on with something: it is never refused, and goes ahead.

        Returns:
            ``inside`` or ``waits``; ``full`` or ``late`` if it is refused.
        """
        waits = self._first if first else self._first or self._line
        if len(self.inside) + self.unnamed < self._most and not waits:
            self.inside[key] = at
            return "inside"
        if first:
            self._first.append(key)
            return "waits"
        if self._queue is not None and len(self._line) >= self._queue:
            return "full"
        if until is not None and at + self.wait() > until:
            return "late"
        self._line.append(key)
        return "waits"

    def wait(self) -> float:
        """Seconds until one that comes now would have its place, as far as is known."""
        if len(self.inside) + self.unnamed < self._most or self.mean is None:
            return 0.0
        ahead = len(self._first) + len(self._line)
        return self.mean * (ahead + 1) / self._most

    def ahead(self, key: str) -> int | None:
        """How many are before a key in the line; None if it is not in it."""
        for count, each in enumerate((*self._first, *self._line)):
            if each == key:
                return count
        return None

    def leave(self, key: str, at: float) -> list[str]:
        """A key is gone, from its place or the line; who has a place through that."""
        since = self.inside.pop(key, None)
        if since is None:
            self._withdraw(key)
            return []
        stay = max(0.0, at - since)
        self.mean = stay if self.mean is None else self.mean
        self.mean += (stay - self.mean) * LATEST
        return self.hand_on(at) if self._first or self._line else _NOBODY

    def drop(self, lives: Callable[[str], bool], at: float) -> list[str]:
        """Take out whose owner is gone; who has a place through that."""
        for key in [*self.inside, *self._first, *self._line]:
            if not lives(owner_of(key)):
                self.inside.pop(key, None)
                self._withdraw(key)
        return self.hand_on(at)

    def owners(self) -> set[str]:
        """Everybody who has a place or waits for one."""
        return {owner_of(key) for key in (*self.inside, *self._first, *self._line)}

    def _withdraw(self, key: str) -> None:
        for line in (self._first, self._line):
            if key in line:
                line.remove(key)

    def hand_on(self, at: float) -> list[str]:
        """Give the free places to those who wait; who has one through that."""
        given: list[str] = []
        while line := self._first or self._line:
            if len(self.inside) + self.unnamed >= self._most:
                break
            key = line.pop(0)
            self.inside[key] = at
            given.append(key)
        return given

    def saved(self) -> list[Any]:
        """Where it stands, as plain data."""
        return [self.inside, self._first, self._line, self.mean]

    def restore(self, saved: list[Any]) -> None:
        """Stand where another one stood."""
        self.inside, self._first, self._line, self.mean = saved


def owner_of(key: str) -> str:
    """Whose a key is."""
    return key.rpartition("/")[0]
