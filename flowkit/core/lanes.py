"""Where instances of groups stand: lanes, what is live in them, what they hold (R10).

This is bookkeeping: what a group does with it is in :mod:`flowkit.core.groups`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Any

from flowkit.core.marking import within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.marking import Firing, Lane, Marking, Round, Token
    from flowkit.core.net import Node
    from flowkit.core.reopening import Kept

__all__ = ["Group", "Instance", "Lanes", "Results"]


class Instance:
    """A lane at work: how much in it is live, and how often its steps have fired."""

    __slots__ = ("fired", "live")

    def __init__(self) -> None:
        self.live: int = 0
        self.fired: dict[int, int] = {}


class Results:
    """What a gather has so far, by index and in that order.

    A new one finds its place without a sort: a predicate is given them all after each.
    """

    __slots__ = ("indexes", "values")

    def __init__(self) -> None:
        self.indexes: list[int] = []
        self.values: list[Any] = []

    def __len__(self) -> int:
        return len(self.indexes)

    def __contains__(self, index: int) -> bool:
        return self._find(index)[1]

    def __repr__(self) -> str:
        return repr(dict(zip(self.indexes, self.values, strict=True)))

    def put(self, index: int, value: Any) -> None:
        """One more, or the last of an instance that came by again."""
        at, known = self._find(index)
        if known:
            self.values[at] = value
        else:
            self.indexes.insert(at, index)
            self.values.insert(at, value)

    def get(self, index: int) -> Any:
        """One that is there."""
        return self.values[self._find(index)[0]]

    def drop(self, index: int) -> None:
        """Forget one, if it is there."""
        at, known = self._find(index)
        if known:
            del self.indexes[at], self.values[at]

    def _find(self, index: int) -> tuple[int, bool]:
        at = bisect_left(self.indexes, index)
        return at, self.indexes[at : at + 1] == [index]


class Group:
    """The instances of one fan-out.

    Attributes:
        lane: the lane it was opened in.
        name: of the token that opened it.
        items: those that have no instance yet, with their indexes.
        total: how many items there have been so far.
        lanes: lanes at work, by index.
        results: what each gather has, by its number.
        fired: gathers that have fired.
        failures: errors of instances that nobody handled, by index.
        kept: what stood in their lanes, where the run goes on and may be requeued.
        done: how many lanes are over.
        exhausted: the source gives no more.
        sealed: nothing may be added.
    """

    __slots__ = (
        "done",
        "exhausted",
        "failures",
        "fired",
        "id",
        "items",
        "kept",
        "lane",
        "lanes",
        "name",
        "node",
        "past",
        "results",
        "sealed",
        "total",
    )

    def __init__(self, id: int, node: Node, token: Token, past: frozenset[int]) -> None:
        self.id: int = id
        self.node: Node = node
        self.lane: Lane = token.lane
        self.name: str = token.name
        self.past: frozenset[int] = past
        self.items: deque[tuple[int, Any]] = deque()
        self.total: int = 0
        self.lanes: dict[int, Instance] = {}
        self.results: dict[int, Results] = {}
        self.fired: set[int] = set()
        self.failures: dict[int, BaseException] = {}
        self.kept: dict[int, Kept] = {}
        self.done: int = 0
        self.exhausted: bool = False
        self.sealed: bool = False

    @property
    def silent(self) -> bool:
        """Whether nothing of it is heard outside any more: each gather has fired."""
        return len(self.fired) == len(self.node.gathers)

    @property
    def full(self) -> bool:
        """Whether as many lanes are at work as may be."""
        assert self.node.each is not None  # noqa: S101 - else it has no group
        limit = self.node.each.limit
        return bool(limit) and len(self.lanes) >= limit

    @property
    def bearable(self) -> float:
        """How many failures do not make the group fail."""
        assert self.node.each is not None  # noqa: S101 - else it has no group
        each = self.node.each
        most = each.max_failures
        if most is None:
            return float("inf") if each.failures == "collect" else 0
        return most if most >= 1 else most * self.total

    @property
    def failed(self) -> bool:
        """Whether more instances have failed than the policy bears."""
        return len(self.failures) > self.bearable


class Lanes:
    """All groups of a run.

    Attributes:
        groups: the open ones, by number.
        idle: lanes in which nothing was live any more, to be looked at.
        stirred: lanes in which something has changed since joins were settled.
        streams: the group that a running step feeds, by firing and place.
        watched: the watched rounds of each lane, as a marking has those of none.
    """

    __slots__ = ("groups", "idle", "next", "stirred", "streams", "watched")

    def __init__(self) -> None:
        self.groups: dict[int, Group] = {}
        self.idle: deque[Lane] = deque()
        self.streams: dict[tuple[int, int], int] = {}
        self.stirred: set[Lane] = set()
        self.watched: dict[Lane, dict[int, Round]] = {}
        self.next: int = 1

    def __contains__(self, lane: Lane) -> bool:
        """Whether a lane is not over."""
        return self._instance(lane) is not None

    def _instance(self, lane: Lane) -> Instance | None:
        number, index = lane[-1]
        group = self.groups.get(number)
        return None if group is None else group.lanes.get(index)

    def enter(self, lane: Lane) -> None:
        """Something more is live in a lane."""
        instance = self._instance(lane)
        if instance is not None:
            instance.live += 1

    def leave(self, lane: Lane) -> None:
        """Something in a lane is live no more."""
        instance = self._instance(lane)
        if instance is not None:
            instance.live -= 1
            self.stirred.add(lane)
            if not instance.live:
                self.idle.append(lane)

    def at_work(self, lane: Lane) -> bool:
        """Whether anything is live in a lane or below."""
        instance = self._instance(lane)
        return instance is not None and instance.live > 0

    def muted(self, lane: Lane, depth: int) -> bool:
        """Whether what goes on in a lane is not heard so far up."""
        for number, _ in lane[depth:]:
            group = self.groups.get(number)
            if group is None or group.silent:
                return True
        return False

    def surviving(self, lane: Lane) -> Lane:
        """The innermost lane around a place that is not over."""
        while lane and lane not in self:
            lane = lane[:-1]
        return lane

    def places(
        self, lane: Lane, rounds: dict[tuple[int, Lane], list[Round]]
    ) -> Iterator[list[Round]]:
        """The rounds of each join in a lane and below."""
        group = self.groups.get(lane[-1][0])
        if group is None:
            return iter(())
        if group.node.nests:
            return (each for (_, at), each in rounds.items() if within(at, lane))
        keys = ((number, lane) for number in group.node.joins)
        return (rounds[key] for key in keys if key in rounds)

    def count(self, node: Node, lane: Lane) -> int:
        """How often a step has fired in a lane."""
        instance = self._instance(lane)
        return 0 if instance is None else instance.fired.get(node.index, 0)

    def fired(self, node: Node, lane: Lane) -> None:
        """Count a firing in its lane."""
        instance = self._instance(lane)
        if instance is not None:
            instance.fired[node.index] = instance.fired.get(node.index, 0) + 1

    def close(self, marking: Marking, group: Group, index: int) -> list[Round]:
        """A lane is over; gives what joins in it hold and will never fire with."""
        if group.lanes.pop(index, None) is not None:
            group.done += 1
        lane = (*group.lane, (group.id, index))
        self.watched.pop(lane, None)
        self.stirred.discard(lane)
        parked: list[Round] = []
        for number in group.node.joins:
            rounds = marking.rounds.pop((number, lane), ())
            parked += [each for each in rounds if not each.fired]
        return parked

    def anew(self) -> None:
        """Firings are counted anew after an outside event (R11)."""
        for group in self.groups.values():
            for instance in group.lanes.values():
                instance.fired.clear()

    def exhaust(self, source: Firing) -> bool:
        """A step that yields gives no more to its groups; False if it never did."""
        found = False
        for edge in source.node.feeds:
            number = self.streams.pop((source.id, edge.node.index), None)
            group = None if number is None else self.groups.get(number)
            found = found or number is not None
            if group is not None:
                group.exhausted = True
                self.idle.append((*group.lane, (group.id, -1)))
        return found
