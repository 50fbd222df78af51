"""Policies of a step as values: how often to try, and the arithmetic of it.

Values are frozen, compare by content and are checked when they are made, so that a
bad one cannot exist. What they decide takes the time and a seed as arguments: this
module reads no clock and draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

from flowkit.core.durations import seconds, shown, some_seconds
from flowkit.core.kinds import Kinds, is_kind, kinds_in, named

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TIMES", "Policy", "Retry", "Stage", "next_delay"]

Jitter = Literal["full", "none"]
Isolation = Literal["process"]
TIMES = ("timeout", "total_timeout", "idle_timeout")
_WORD = (1 << 64) - 1


@runtime_checkable
class Named(Protocol):
    """A function or a class."""

    __name__: str


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step is tried, on which errors, and how long it waits between.

    The wait before retry ``n`` is ``first * factor ** (n - 1)``, at most ``most``.
    With full jitter it is drawn evenly from nothing to that, by the run's id: a
    replay waits as the run did. A wait that the error asks for (``Retry-After``) is
    never cut short.

    Attributes:
        attempts: most tries, the first one included.
        on: the errors that are tried again: a class, several, or a function that is
            given the error and says so. By default every ``Exception``, but none of
            flowkit's own that a repetition cannot mend.
        first: wait before the first retry, seconds or text such as ``"500ms"``.
        most: longest wait; never less than the first.
        factor: how much longer each wait is; 1 waits evenly.
        jitter: ``"full"`` or ``"none"``.
        retry_after: heed what the error asks for: its ``retry_after``, or the header
            ``Retry-After`` of its ``response``.
        budget: a :class:`Rate` of retries; when it is used up the step fails at once.
            With a name several steps share it.

    Raises:
        ValueError: a value that means nothing, by name.
    """

    attempts: int = 3
    on: Kinds | Callable[[Any], Any] | None = None
    first: Any = 1.0
    most: Any = 60.0
    factor: float = 2.0
    jitter: Jitter = "full"
    retry_after: bool = True
    budget: Any = None

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or self.attempts < 1:
            msg = (
                f"Retry(attempts=..) takes a count of tries from 1, the first one "
                f"included, not {self.attempts!r}."
            )
            raise ValueError(msg)
        object.__setattr__(self, "first", seconds(self.first, "Retry(first=..)"))
        most = max(seconds(self.most, "Retry(most=..)"), self.first)
        object.__setattr__(self, "most", most)
        object.__setattr__(self, "on", kinds_in(self.on, "Retry(on=..)"))
        if not _is_number(self.factor) or self.factor < 1:
            msg = (
                f"Retry(factor=..) takes a number from 1, by which each wait is "
                f"longer, not {self.factor!r}."
            )
            raise ValueError(msg)
        if self.jitter not in {"full", "none"}:
            msg = f"Retry(jitter=..) is 'full' or 'none', not {self.jitter!r}."
            raise ValueError(msg)
        if self.budget is not None:
            from flowkit.core.limits import Rate  # only who has one pays

            if not isinstance(self.budget, Rate):
                msg = (
                    f"Retry(budget=..) takes a Rate, not {self.budget!r}. Write "
                    f"budget=Rate(20, per='1m', name='crm')."
                )
                raise ValueError(msg)

    def __str__(self) -> str:
        told = [f"{self.attempts} attempts"]
        if self.on is not None:
            told.append(f"on {named(self.on)}")
        if self.attempts > 1:
            told.append(f"wait {shown(self.first)}")
            if self.factor > 1 and self.most > self.first:
                told.append(f"x{self.factor:g} up to {shown(self.most)}")
            if self.jitter == "none":
                told.append("no jitter")
        return ", ".join(told)


class Stage(NamedTuple):
    """One of a step's fallbacks: what stands in, for which errors.

    Attributes:
        group: its place in the chain; those of one dictionary share it.
    """

    value: Any
    kind: type[BaseException]
    group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All policies of a step as one value; what is None says nothing.

    Given to a class as ``defaults=`` it holds for each of its steps; what a step's
    decorator says comes before it. ``False`` switches a policy off that the defaults
    say (all but ``fallback``, of which it is a value).

    Attributes:
        retry: a :class:`Retry`, or a count of attempts.
        timeout: longest time of an attempt, seconds or text such as ``"20s"``.
        total_timeout: longest time of all attempts and the waits between them.
        idle_timeout: longest time without a :meth:`~flowkit.Flow.heartbeat`.
        rate: how often it may begin, a :class:`Rate`; what comes too early waits.
        bulkhead: how many may be under way at once, a :class:`Bulkhead` or a count.
        breaker: when it is not called at all, a :class:`Breaker`, or the name of one.
        cache: whether a result from before may stand in, a :class:`Cache`, or how long
            one counts.
        hedge: when it is called once more beside a call that takes long, a
            :class:`Hedge`, or after how long. For steps that may be called twice.
        isolate: ``"process"`` runs each call in a process of its own, which a timeout
            or a cancellation really ends, and which may crash alone.
        max_starts: most starts of a firing whose process ended in the middle, such as
            one that takes all memory; then it fails with a ``PoisonedStepError``.
        fallback: what stands in when the step has failed for good: a value, a method
            (given what the step was given, and the ``error`` if it takes one), a
            :class:`Policy` under which the step is tried once more, a dictionary of
            these by exception class, or a list of these, one after another.
        undo: the method that undoes what the step has done, when the run is
            compensated; it is given what the step returned.

    Raises:
        ValueError: a value that means nothing, by name.
    """

    retry: Retry | int | Literal[False] | None = None
    timeout: Any = None
    total_timeout: Any = None
    idle_timeout: Any = None
    rate: Any = None
    bulkhead: Any = None
    breaker: Any = None
    cache: Any = None
    hedge: Any = None
    isolate: Isolation | Literal[False] | None = None
    max_starts: int | Literal[False] | None = None
    fallback: Any = None
    undo: Any = None

    def __post_init__(self) -> None:
        if _given(self.retry) and not isinstance(self.retry, Retry):
            object.__setattr__(self, "retry", _retry(self.retry))
        for name in TIMES:
            value = getattr(self, name)
            if _given(value):
                object.__setattr__(self, name, some_seconds(value, name))
        if _given(self.undo) and not isinstance(self.undo, str | Named):
            msg = f"undo takes a method of the class, not {self.undo!r}."
            raise ValueError(msg)
        if not (self.rate is None and self.bulkhead is None and self.breaker is None):
            _check_limits(self)
        if _given(self.cache):
            object.__setattr__(self, "cache", _cache(self.cache))
        if not (self.hedge is None and self.isolate is None):
            _check_isolation(self)
        if _given(self.max_starts) and (
            type(self.max_starts) is not int or self.max_starts < 1
        ):
            msg = f"max_starts takes a count from 1, not {self.max_starts!r}."
            raise ValueError(msg)
        if isinstance(self.fallback, list):
            object.__setattr__(self, "fallback", tuple(self.fallback))
        check_fallback(self.fallback)

    @property
    def gated(self) -> bool:
        """Whether something stands between the step and its call."""
        return any(map(_given, (self.rate, self.bulkhead, self.breaker)))

    @property
    def apart(self) -> bool:
        """Whether it calls a step beside itself or in another process, at any stage."""
        return any(
            _given(each.hedge) or _given(each.isolate)
            for each in (self, *(stage.value for stage in self.stages))
            if isinstance(each, Policy)
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The fallbacks, one after another."""
        if self.fallback is None:
            return ()
        chain = self.fallback if _is_chain(self.fallback) else (self.fallback,)
        found: list[Stage] = []
        for group, each in enumerate(chain):
            if isinstance(each, dict):
                found += [Stage(value, kind, group) for kind, value in each.items()]
            else:
                found.append(Stage(each, BaseException, group))
        return tuple(found)

    def at(self, stage: int) -> Policy:
        """What holds for a stage: 0 is the step itself, others are its fallbacks.

        A fallback that is a method has the step's limits of time and is not tried
        again, unless it is a :class:`Policy` that says so.
        """
        if not stage:
            return self
        fallback = self.stages[stage - 1].value
        if isinstance(fallback, Policy):
            return fallback.over(replace(self, retry=None)).settled()
        return replace(self, retry=None)

    @property
    def times(self) -> bool:
        """Whether it limits the time of an attempt, at any stage."""
        return any(_given(getattr(self, name)) for name in TIMES) or any(
            isinstance(each.value, Policy) and each.value.times for each in self.stages
        )

    def over(self, other: Policy | None) -> Policy:
        """This policy, with another one's where it says nothing."""
        if other is None:
            return self
        return replace(other, **dict(self.said()))

    def settled(self) -> Policy:
        """This policy without what it switches off: nobody says more."""
        off = [name for name, value in self.said() if _off(name, value)]
        return replace(self, **dict.fromkeys(off)) if off else self

    def next_stage(self, stage: int, error: BaseException) -> int | None:
        """The fallback after this stage that takes such an error, if there is one.

        Of a dictionary that is the first class that the error is one of, and no other.
        """
        stages = self.stages
        past = stages[stage - 1].group if stage else -1
        for number, each in enumerate(stages, 1):
            if each.group > past and isinstance(error, each.kind):
                return number
        return None

    def said(self) -> list[tuple[str, Any]]:
        """Names and values of what it says, in the order above."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return [(name, value) for name, value in values if value is not None]

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """The same as text, for definitions, pictures and people."""
        return tuple(
            (name, "off" if _off(name, value) else text_of(value))
            for name, value in self.said()
        )

    def __str__(self) -> str:
        return "; ".join(f"{name}: {text}" for name, text in self.texts)


def _given(value: Any) -> bool:
    """Whether a policy is said, and not switched off."""
    return value is not None and value is not False


def _off(name: str, value: Any) -> bool:
    """Whether a policy is switched off; of a fallback False is a value."""
    return value is False and name != "fallback"


def _check_limits(policy: Policy) -> None:
    from flowkit.core import limits  # only who has one pays

    forms = (
        ("rate", limits.Rate, "Write rate=Rate(100, per='1m')"),
        ("bulkhead", limits.Bulkhead, "Write bulkhead=5, or Bulkhead(5, queue=50)"),
        ("breaker", limits.Breaker, "Write breaker='crm', or Breaker(5, name='crm')"),
    )
    for name, kind, form in forms:
        value = getattr(policy, name)
        if name == "bulkhead" and type(value) is int and value >= 1:
            object.__setattr__(policy, name, limits.Bulkhead(value))
        elif name == "breaker" and isinstance(value, str) and value:
            continue
        elif _given(value) and not isinstance(value, kind):
            msg = f"{name} takes a {kind.__name__}, not {value!r}. {form}."
            raise ValueError(msg)


def _cache(value: Any) -> Any:
    from flowkit.core.caching import Cache  # only who has one pays

    if isinstance(value, Cache):
        return value
    try:
        return Cache(value)
    except ValueError:
        msg = (
            f"cache takes a Cache or a length of time, not {value!r}. Write "
            f"cache='1h', or cache=Cache('1h', key=INPUTS)."
        )
        raise ValueError(msg) from None


def _check_isolation(policy: Policy) -> None:
    if _given(policy.hedge):
        object.__setattr__(policy, "hedge", _hedge(policy.hedge))
    if _given(policy.isolate) and policy.isolate != "process":
        msg = f"isolate takes 'process', not {policy.isolate!r}."
        raise ValueError(msg)


def _hedge(value: Any) -> Any:
    from flowkit.core.hedging import Hedge  # only who has one pays

    if isinstance(value, Hedge):
        return value
    try:
        return Hedge(value)
    except ValueError:
        msg = (
            f"hedge takes a Hedge or a length of time above zero, not {value!r}. Write "
            f"hedge='500ms', or hedge=Hedge('500ms', most=3)."
        )
        raise ValueError(msg) from None


def _is_chain(fallback: Any) -> bool:
    return isinstance(fallback, list | tuple)


def check_fallback(fallback: Any) -> None:
    """See that a fallback can be one.

    Raises:
        ValueError: an empty chain, or a dictionary of something else than errors.
    """
    if _is_chain(fallback):
        if not fallback:
            msg = "fallback takes a value or a chain of them, not an empty one."
            raise ValueError(msg)
        for each in fallback:
            check_fallback(each)
    elif isinstance(fallback, dict) and not all(map(is_kind, fallback)):
        msg = (
            f"fallback takes a dictionary by exception classes, not {fallback!r}. For "
            f"a dictionary as the value give a method that returns it."
        )
        raise ValueError(msg)


def _retry(value: Any) -> Retry:
    if type(value) is int and value >= 1:
        return Retry(value)
    msg = (
        f"retry takes a count of attempts or a Retry, not {value!r}. Write retry=3, "
        f"or retry=Retry(3, first='1s')."
    )
    raise ValueError(msg)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def text_of(value: Any) -> str:
    """A policy's value as a person reads it."""
    if isinstance(value, list | tuple):
        return ", then ".join(map(text_of, value))
    if isinstance(value, dict):
        return ", ".join(f"{named(kind)}: {text_of(value[kind])}" for kind in value)
    if hasattr(value, "__name__"):
        return named(value)
    if isinstance(value, float):
        return shown(value)
    return value if isinstance(value, str) else str(value)


def next_delay(retry: Retry, number: int, seed: int) -> float:
    """Seconds to wait before a further attempt of a step.

    The same seed gives the same delay, so a replay decides as the run did.

    Args:
        retry: the policy.
        number: 1 for the first retry.
        seed: any integer; the runner derives it from the run and the firing.

    Raises:
        ValueError: ``number`` is below 1.

    Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    if number < 1:
        msg = f"Retries are counted from 1; {number} is none."
        raise ValueError(msg)
    try:
        longest = min(retry.most, retry.first * retry.factor ** (number - 1))
    except OverflowError:  # it has doubled a thousand times
        longest = retry.most
    if retry.jitter == "none":
        return float(longest)
    return float(longest * _share(seed, number))


def _share(seed: int, number: int) -> float:
    """Evenly spread in [0, 1): splitmix64 (Steele, Lea and Flood, 2014)."""
    word = (seed + number * 0x9E3779B97F4A7C15) & _WORD
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) & _WORD
    return ((word ^ word >> 31) >> 11) / (1 << 53)
