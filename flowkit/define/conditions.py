"""What an author writes as a condition: methods, names, events and joins of them.

The functions here only describe; :mod:`flowkit.define.compiler` resolves methods
to steps of one class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from flowkit.core.durations import seconds, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.definition import JoinKind, Rest

__all__ = [
    "AnyCondition",
    "Condition",
    "EventSource",
    "FailedSource",
    "TimerSource",
    "all_active",
    "and_",
    "any_of",
    "checked",
    "event",
    "merge",
    "or_",
    "timer",
    "timer_name",
    "times",
]

_FORMS = (
    "a step, a name, event(..), timer(..), or a condition such as or_(..), and_(..)"
)


class EventSource:
    """An outside event as a source; made by :func:`event`."""

    __slots__ = ("key", "name", "optional", "transient")

    def __init__(
        self,
        name: str,
        key: str | Callable[[Any], Any] | None = None,
        *,
        transient: bool = False,
        optional: bool = False,
    ) -> None:
        self.name: str = name
        self.key: str | Callable[[Any], Any] | None = key
        self.transient: bool = transient
        self.optional: bool = optional

    def __repr__(self) -> str:
        return f"event({self.name!r})"


class FailedSource:
    """A bad end of a step as a source: ``charge.failed``, ``charge.timeout``."""

    __slots__ = ("ending", "function")

    def __init__(
        self,
        function: Callable[..., Any],
        ending: Literal["failed", "timeout"] = "failed",
    ) -> None:
        self.function: Callable[..., Any] = function
        self.ending: Literal["failed", "timeout"] = ending

    def __repr__(self) -> str:
        return f"{self.function.__name__}.{self.ending}"


class TimerSource:
    """A time after the run's start or a step's end; made by :func:`timer`."""

    __slots__ = ("after", "delay")

    def __init__(self, after: str | Callable[..., Any] | None, delay: float) -> None:
        self.after: str | Callable[..., Any] | None = after
        self.delay: float = delay

    def __repr__(self) -> str:
        name = self.after or ""
        return timer_name(str(getattr(name, "__name__", name)), self.delay)


def timer_name(after: str, delay: float) -> str:
    """How a timer is shown, and the name of what it delivers."""
    if after:
        return f"timer(after={after}, delay={shown(delay)!r})"
    return f"timer({shown(delay)!r})"


class Condition:
    """A join as written; made by ``or_``, ``and_`` and their kin."""

    __slots__ = ("inputs", "kind", "need", "rest")

    def __init__(
        self, kind: JoinKind, inputs: tuple[Any, ...], need: int, rest: Rest = "ignore"
    ) -> None:
        if not inputs:
            name = kind + "_" if kind in {"and", "or"} else kind
            msg = f"Invalid condition: {name}() needs at least one input: {_FORMS}."
            raise ValueError(msg)
        self.kind: JoinKind = kind
        self.inputs: tuple[Any, ...] = tuple(checked(each) for each in inputs)
        self.need: int = need
        self.rest: Rest = rest

    def __repr__(self) -> str:
        inner = ", ".join(
            getattr(each, "__name__", None) or repr(each) for each in self.inputs
        )
        return f"{self.kind}({inner})"


AnyCondition: TypeAlias = (
    "str | Callable[..., Any] | EventSource | FailedSource | TimerSource | Condition"
)


def checked(condition: Any) -> Any:
    """The condition itself if it can be one, else ``ValueError``."""
    if isinstance(condition, str) and condition:
        return condition
    if isinstance(condition, Condition | EventSource | FailedSource | TimerSource):
        return condition
    if callable(condition) and hasattr(condition, "__name__"):
        return condition
    msg = f"Invalid condition: {condition!r} is not one. Give {_FORMS}."
    raise ValueError(msg)


def event(
    name: str,
    *,
    key: str | Callable[[Any], Any] | None = None,
    transient: bool = False,
    optional: bool = False,
) -> EventSource:
    """An event from outside, as a source for ``@start(on=..)`` and ``@listen(..)``.

    Args:
        name: of the event, as :meth:`flowkit.EventBus.send` is given it.
        key: where the correlation key stands if the sender gives none: a field of
            the payload (and of the state, for a run that did not begin with an
            event), or a callable that reads it.
        transient: taken only by a run that can start the listener at once; never
            kept for later.
        optional: does not keep a run waiting once nothing else is left to do.

    Raises:
        ValueError: the name is empty or not text.
    """
    if type(name) is not str or not name:
        msg = f"Invalid condition: an event needs a name, not {name!r}."
        raise ValueError(msg)
    return EventSource(name, key, transient=transient, optional=optional)


def timer(
    delay: float | str | None = None,
    *,
    after: str | Callable[..., Any] | None = None,
) -> TimerSource:
    """A time as a source: so long after the run's start, or after a step's end.

    ``timer("10m")``, ``timer(after=invoice, delay="14d")``. Its listener gets the
    time it was due, in seconds since the epoch. A run with a timer that can still
    move it is ``waiting``; with a store the time survives the process.

    Args:
        delay: seconds, or text such as ``"90s"``, ``"1h30m"``, ``"14d"``.
        after: a step, or its name; each of its ends starts the timer anew.

    Raises:
        ValueError: no delay, or one that is no length of time.
    """
    given: Any = after
    if given is not None and not isinstance(given, str) and not callable(given):
        msg = f"Invalid condition: timer(after=..) takes a step, not {after!r}."
        raise ValueError(msg)
    if delay is None:
        msg = "Invalid condition: timer(..) needs a delay, such as timer('10m')."
        raise ValueError(msg)
    return TimerSource(after, seconds(delay, "Invalid condition: timer(..)"))


def or_(*conditions: AnyCondition) -> Condition:
    """The first arrival of each round fires; later ones of it are absorbed."""
    return Condition("or", conditions, 1)


def and_(*conditions: AnyCondition) -> Condition:
    """Fires when all have arrived, token by token: the k-th with the k-th."""
    return Condition("and", conditions, len(conditions))


def merge(*conditions: AnyCondition) -> Condition:
    """Every arrival fires; nothing is remembered."""
    return Condition("merge", conditions, 1)


def any_of(n: int, *conditions: AnyCondition, rest: Rest = "ignore") -> Condition:
    """Fires when ``n`` of the inputs have arrived, once per round.

    Args:
        n: from 1 to the number of inputs.
        rest: what becomes of the others: ``ignore`` absorbs them, ``block`` holds
            the next round back until they came, ``cancel`` cancels the steps that
            would produce them and nothing else.

    Raises:
        ValueError: ``n`` is out of range or ``rest`` is none of the three.
    """
    if type(n) is not int:
        msg = f"Invalid condition: any_of takes a count first, not {n!r}."
        raise ValueError(msg)
    if not 1 <= n <= len(conditions):
        count = f"any_of counts from 1 to its number of inputs, {len(conditions)}"
        msg = f"Invalid condition: {count}, not {n}."
        raise ValueError(msg)
    if rest not in ("ignore", "block", "cancel"):
        msg = f"Invalid condition: rest={rest!r}. Use 'ignore', 'block' or 'cancel'."
        raise ValueError(msg)
    return Condition("any_of", conditions, n, rest)


def all_active(*conditions: AnyCondition) -> Condition:
    """Fires when at least one has arrived and no other can arrive any more."""
    return Condition("all_active", conditions, 1)


def times(n: int, condition: AnyCondition) -> Condition:
    """Fires for every ``n`` arrivals of one input; its payload is the list.

    Raises:
        ValueError: ``n`` is below 1.
    """
    if type(n) is not int or n < 1:
        msg = f"Invalid condition: times takes a count of at least 1, not {n!r}."
        raise ValueError(msg)
    return Condition("times", (condition,), n)
