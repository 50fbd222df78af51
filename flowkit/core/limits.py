"""Limits that calls share: a rate, a circuit breaker, a bulkhead.

Each is a value (what is allowed) and a state (what has happened). The states are
told the time and change nothing but themselves; whoever shares one among threads
guards it with a lock. They promise, for any order of calls:

- a rate admits at most ``burst`` calls at once and ``limit`` in each ``per`` after;
- an open breaker admits none, a half-open one at most ``trials`` at a time;
- a bulkhead has at most ``most`` calls inside, and hands a place on in order: its
  state is in :mod:`flowkit.core.places`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from flowkit.core.durations import seconds, shown, some_seconds
from flowkit.core.kinds import Kinds, kinds_in, named

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Breaker",
    "BreakerState",
    "Bulkhead",
    "Rate",
    "RateState",
    "Shared",
    "checked_count",
    "checked_name",
    "checked_shared",
]

BUCKETS = 10
Shared = Literal["process", "store"]


def checked_count(value: Any, what: str) -> None:
    """Check a number of calls or runs."""
    if type(value) is not int or value < 1:
        msg = f"{what} takes a count from 1, not {value!r}."
        raise ValueError(msg)


def checked_name(value: Any, what: str) -> None:
    """Check the name of a limit."""
    if not isinstance(value, str):
        msg = f"{what} takes a name as text, not {value!r}."
        raise ValueError(msg)


def checked_shared(value: Any, kind: str, *, named: bool = True) -> None:
    """Check with whom a limit is shared."""
    if value.shared not in {"process", "store"}:
        msg = f"{kind}(shared=..) is 'process' or 'store', not {value.shared!r}."
        raise ValueError(msg)
    if named and value.shared == "store" and not value.name:
        msg = f"{kind}(shared='store') needs a name: other processes know it by that."
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Rate:
    """How many calls may begin in a time; what comes too early waits its turn.

    Attributes:
        limit: calls in each ``per``.
        per: the time, seconds or text such as ``"1m"``.
        burst: calls that may begin at once; as many as ``limit`` by default.
        most_wait: longest wait for a turn; a call that would have to wait longer
            fails with a ``RateLimitedError``. By default it waits as long as it takes.
        name: shares it among all steps of the process that name it.
        shared: ``"store"`` shares it by its name among all processes on the run's
            store; ``"process"`` by default.

    Raises:
        ValueError: a value that means nothing, by name.
    """

    limit: int
    per: Any = 1.0
    burst: int | None = None
    most_wait: Any = None
    name: str = ""
    shared: Shared = "process"

    def __post_init__(self) -> None:
        checked_count(self.limit, "Rate(limit=..)")
        object.__setattr__(self, "per", some_seconds(self.per, "Rate(per=..)"))
        if self.burst is not None:
            checked_count(self.burst, "Rate(burst=..)")
        if self.most_wait is not None:
            most = seconds(self.most_wait, "Rate(most_wait=..)")
            object.__setattr__(self, "most_wait", most)
        checked_name(self.name, "Rate(name=..)")
        checked_shared(self, "Rate")

    def __str__(self) -> str:
        told = [f"{self.limit} in {shown(self.per)}"]
        if self.burst is not None:
            told.append(f"{self.burst} at once")
        if self.most_wait is not None:
            told.append(f"wait at most {shown(self.most_wait)}")
        return ", ".join(told) + (f" ({self.name})" if self.name else "")


class RateState:
    """When the next call may begin: the generic cell rate algorithm.

    Source: ITU-T I.371, "Traffic control and congestion control in B-ISDN", 4.3.
    """

    __slots__ = ("_ahead", "_interval", "_next", "_wait")

    def __init__(self, rate: Rate) -> None:
        self._interval: float = rate.per / rate.limit
        self._ahead: float = self._interval * ((rate.burst or rate.limit) - 1)
        self._wait: float | None = rate.most_wait
        self._next: float | None = None

    def take(self, at: float) -> float | None:
        """The time at which a call may begin, which is its turn; None: too late.

        Args:
            at: seconds; never less than what was given before.
        """
        arrival = at if self._next is None else max(self._next, at)
        begin = max(at, arrival - self._ahead)
        if self._wait is not None and begin - at > self._wait:
            return None
        self._next = arrival + self._interval
        return begin

    def saved(self) -> list[Any]:
        """Where it stands, as plain data."""
        return [self._next]

    def restore(self, saved: list[Any]) -> None:
        """Stand where another one stood."""
        (self._next,) = saved

    def left(self, at: float) -> float:
        """Seconds until a call could begin."""
        if self._next is None:
            return 0.0
        return max(0.0, self._next - self._ahead - at)


@dataclass(frozen=True, slots=True)
class Breaker:
    """When calls are refused because what they call is broken.

    It opens when in the latest ``window`` ``failures`` calls have failed, or, with
    ``share``, when of at least ``calls`` calls that share has failed. Open, it refuses
    every call with a ``BreakerOpenError``; after ``open_for`` it lets ``trials``
    through and closes if all of them end well. Calls that are cancelled count for
    nothing.

    Attributes:
        failures: failed calls that open it.
        share: instead, the share of failed calls, above 0 and up to 1.
        calls: fewest calls at which a share means something.
        window: the time that is looked at.
        slow: a call that takes longer counts as failed.
        open_for: how long it stays open.
        trials: calls let through to see whether all is well again.
        on: the errors that count, as for :class:`~flowkit.Retry`; all by default.
        name: shares it among all steps of the process that name it.
        shared: ``"store"`` shares it by its name among all processes on the run's
            store; ``"process"`` by default.

    Raises:
        ValueError: a value that means nothing, by name.
    """

    failures: int = 5
    share: float | None = None
    calls: int = 20
    window: Any = 60.0
    slow: Any = None
    open_for: Any = 30.0
    trials: int = 1
    on: Kinds | Callable[[Any], Any] | None = None
    name: str = ""
    shared: Shared = "process"

    def __post_init__(self) -> None:
        for name in ("failures", "calls", "trials"):
            checked_count(getattr(self, name), f"Breaker({name}=..)")
        for name in ("window", "open_for", "slow"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(
                    self, name, some_seconds(value, f"Breaker({name}=..)")
                )
        if self.share is not None and not 0 < self.share <= 1:
            msg = (
                f"Breaker(share=..) takes a share above 0 and up to 1, not "
                f"{self.share!r}."
            )
            raise ValueError(msg)
        object.__setattr__(self, "on", kinds_in(self.on, "Breaker(on=..)"))
        checked_name(self.name, "Breaker(name=..)")
        checked_shared(self, "Breaker")

    def __str__(self) -> str:
        told = f"{self.failures} failures"
        if self.share is not None:
            told = f"{self.share:.0%} of {self.calls} calls or more failed"
        if self.on is not None:
            told += f" by {named(self.on)}"
        told += f" in {shown(self.window)}"
        if self.slow is not None:
            told += f", slow above {shown(self.slow)}"
        told += f", open for {shown(self.open_for)}"
        return told + (f" ({self.name})" if self.name else "")


class BreakerState:
    """Closed, open or half-open, and why.

    Attributes:
        phase: counts how often that has changed, from 1.
        status: ``closed``, ``open`` or ``half_open``.
        since: when it came to that.
    """

    __slots__ = (
        "_bad",
        "_breaker",
        "_first",
        "_good",
        "_length",
        "_trials",
        "_until",
        "_well",
        "phase",
        "since",
        "status",
    )

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._length: float = breaker.window / BUCKETS
        self.phase: int = 0
        self.status: str = "closed"
        self.since: float = 0.0
        self._clear(0.0)

    def _clear(self, at: float) -> None:
        self.status, self.since = "closed", at
        self.phase += 1
        self._first = 0
        self._until: float = self._length
        self._good = [0] * BUCKETS
        self._bad = [0] * BUCKETS
        self._trials = self._well = 0

    def _open(self, at: float) -> None:
        self.status, self.since = "open", at
        self.phase += 1

    def enter(self, at: float) -> int | None:
        """A permit for a call, to be given back; None if it is refused."""
        if self.status == "closed":
            return self.phase
        if at - self.since >= self._breaker.open_for:
            if self.status == "half_open" and self._trials:
                self._open(at)  # a trial that never ends is no good sign
                return None
            self.status, self.since = "half_open", at
            self.phase += 1
            self._trials = self._well = 0
        if self.status == "open" or self._trials + self._well >= self._breaker.trials:
            return None
        self._trials += 1
        return self.phase

    def leave(self, permit: int, at: float, *, well: bool | None) -> None:
        """A call has ended well, badly, or neither (None): it was cancelled.

        What began before the breaker came to where it is now counts for nothing.
        """
        if permit != self.phase:
            return
        if well and self.status == "closed":  # the usual end
            if at >= self._until:
                self._advance(at)
            self._good[self._first % BUCKETS] += 1
            return
        if self.status == "half_open":
            self._tried(at, well=well)
        elif well is not None:
            if at >= self._until:
                self._advance(at)
            self._bad[self._first % BUCKETS] += 1
            if self._is_broken():
                self._open(at)

    def _tried(self, at: float, *, well: bool | None) -> None:
        """A trial of a half-open breaker has ended."""
        self._trials -= 1
        if well is False:
            self._open(at)
        elif well:
            self._well += 1
            if self._well >= self._breaker.trials:
                self._clear(at)

    def _advance(self, at: float) -> None:
        number = int(at / self._length)
        if number <= self._first:
            return
        for gone in range(max(self._first + 1, number - BUCKETS + 1), number + 1):
            self._good[gone % BUCKETS] = self._bad[gone % BUCKETS] = 0
        self._first = number
        self._until = (number + 1) * self._length

    def _is_broken(self) -> bool:
        bad, breaker = sum(self._bad), self._breaker
        if breaker.share is None:
            return bad >= breaker.failures
        calls = bad + sum(self._good)
        return calls >= breaker.calls and bad >= breaker.share * calls

    def saved(self) -> list[Any]:
        """Where it stands, as plain data."""
        return [
            self.status,
            self.since,
            self.phase,
            self._first,
            self._trials,
            self._well,
            self._good,
            self._bad,
        ]

    def restore(self, saved: list[Any]) -> None:
        """Stand where another one stood."""
        self.status, self.since, self.phase, self._first = saved[:4]
        self._trials, self._well, self._good, self._bad = saved[4:]
        self._until = (self._first + 1) * self._length

    def left(self, at: float) -> float:
        """Seconds until a call could be let through."""
        if self.status == "closed":
            return 0.0
        open_for: float = self._breaker.open_for
        return max(0.0, self.since + open_for - at)


@dataclass(frozen=True, slots=True)
class Bulkhead:
    """How many calls may be under way at once; the others wait in line.

    Attributes:
        most: calls at once.
        queue: how many may wait; one more fails with a ``BulkheadFullError``. By
            default any number.
        name: shares it among all steps of the process that name it.
        shared: ``"store"`` shares it by its name among all processes on the run's
            store; ``"process"`` by default.

    Raises:
        ValueError: a value that means nothing, by name.
    """

    most: int
    queue: int | None = None
    name: str = ""
    shared: Shared = "process"

    def __post_init__(self) -> None:
        checked_count(self.most, "Bulkhead(most=..)")
        if self.queue is not None and (type(self.queue) is not int or self.queue < 0):
            msg = f"Bulkhead(queue=..) takes a count from 0, not {self.queue!r}."
            raise ValueError(msg)
        checked_name(self.name, "Bulkhead(name=..)")
        checked_shared(self, "Bulkhead")

    def __str__(self) -> str:
        told = f"{self.most} at once"
        if self.queue is not None:
            told += f", {self.queue} in line"
        return told + (f" ({self.name})" if self.name else "")
