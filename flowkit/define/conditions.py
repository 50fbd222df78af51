"""What an author writes as a condition: methods, names, events and joins of them.

The functions here only describe; :mod:`flowkit.define.compiler` resolves methods
to steps of one class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from flowkit.core.definition import Each
from flowkit.core.durations import seconds, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from flowkit.core.definition import Ending, Failures, JoinKind, Rest

__all__ = [
    "AnyCondition",
    "AnyTrigger",
    "Condition",
    "EachSource",
    "EventSource",
    "FailedSource",
    "GatherSource",
    "TimerSource",
    "all_active",
    "and_",
    "any_of",
    "checked",
    "each",
    "event",
    "gather",
    "merge",
    "or_",
    "timer",
    "timer_name",
    "times",
    "window",
]

_FORMS = (
    "a step, a name, event(..), timer(..), or a condition such as or_(..), and_(..)"
)
_FAILURES = ("fail_fast", "finish", "collect")


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

    __slots__ = ("function", "kind")

    def __init__(
        self,
        function: Callable[..., Any],
        kind: Ending = "failed",
    ) -> None:
        self.function: Callable[..., Any] = function
        self.kind: Ending = kind

    def __repr__(self) -> str:
        return f"{self.function.__name__}.{self.kind}"


class EachSource:
    """A fan-out; made by :func:`each`."""

    __slots__ = ("said", "source")

    def __init__(self, source: Any, said: Each) -> None:
        self.source: Any = source
        self.said: Each = said

    def __repr__(self) -> str:
        name = getattr(self.source, "__name__", None) or repr(self.source)
        return f"each({name}{self.said})"


class GatherSource:
    """The end of a group; made by :func:`gather`."""

    __slots__ = ("need", "rest", "source", "until")

    def __init__(
        self,
        source: str | Callable[..., Any],
        need: int,
        until: Callable[..., bool] | None,
        rest: Literal["ignore", "cancel"],
    ) -> None:
        self.source: str | Callable[..., Any] = source
        self.need: int = need
        self.until: Callable[..., bool] | None = until
        self.rest: Literal["ignore", "cancel"] = rest

    def __repr__(self) -> str:
        name = getattr(self.source, "__name__", self.source)
        return f"gather({name})"


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

    __slots__ = ("gap", "inputs", "kind", "need", "rest", "span")

    def __init__(
        self, kind: JoinKind, inputs: tuple[Any, ...], need: int, rest: Rest = "ignore"
    ) -> None:
        self.span: float = 0.0
        self.gap: float = 0.0
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


_Leaf: TypeAlias = "str | Callable[..., Any] | EventSource | FailedSource | TimerSource"
AnyCondition: TypeAlias = "_Leaf | GatherSource | Condition"
AnyTrigger: TypeAlias = "AnyCondition | EachSource"


def checked(condition: Any, *, alone: bool = False) -> Any:
    """The condition itself if it can be one, else ``ValueError``.

    Args:
        alone: it is the whole condition of a step, which ``each(..)`` must be.
    """
    if isinstance(condition, str) and condition:
        return condition
    if isinstance(
        condition, Condition | EventSource | FailedSource | TimerSource | GatherSource
    ):
        return condition
    if isinstance(condition, EachSource):
        if alone:
            return condition
        msg = (
            f"Invalid condition: {condition!r} must be all that a step listens to. "
            f"Write @listen({condition!r}), and put other conditions inside each(..)."
        )
        raise ValueError(msg)
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
    _counted("times takes a count", n)
    return Condition("times", (condition,), n)


def each(
    source: AnyCondition,
    *,
    times: int | None = None,
    limit: int | None = None,
    batch: int | None = None,
    failures: Failures = "fail_fast",
    max_failures: float | None = None,
) -> EachSource:
    """Fan out: one instance of the step for each item of what the source gives.

    ``@listen(each(split, limit=8))``. The step, and everything behind it, runs once
    for each item, in a lane of its own, until :func:`gather` closes the group. The
    source gives a list or another collection; a step that *yields* feeds the group
    while it runs. Joins, loops and bounds count within one lane.

    Args:
        source: a step, a label, or a condition; the payload is what is fanned out.
        times: so many instances, each with the whole payload; None for one per item.
        limit: most instances at work at once. A step that yields waits meanwhile, so
            that memory stays flat however many items there are.
        batch: items handed to one instance, as a list; the last batch may be shorter.
        failures: what follows when an instance fails and nobody handles it:
            ``fail_fast`` cancels the others and fails the group, ``finish`` lets them
            end and then fails it, ``collect`` hands the errors over among the results.
            A group that fails is the failure of the step that gathers it, or, if
            nobody listens to that, of the run.
        max_failures: failures that are borne: a count, or a share below 1. None
            bears none, and all of them with ``collect``. A failed instance gives no
            result.

    Raises:
        ValueError: an option is out of range, or both ``times`` and ``batch`` are
            given.
    """
    checked(source)
    for name, value in (("times", times), ("limit", limit), ("batch", batch)):
        if value is not None:
            _counted(f"each(.., {name}=..) takes a count", value)
    if times is not None and batch is not None:
        msg = "Invalid condition: each(..) takes times= or batch=, not both."
        raise ValueError(msg)
    given: Any = max_failures
    if failures not in _FAILURES:
        known = ", ".join(map(repr, _FAILURES))
        msg = f"Invalid condition: failures={failures!r}. Use one of {known}."
        raise ValueError(msg)
    if given is not None and not (type(given) in {int, float} and given >= 0):
        msg = (
            f"Invalid condition: max_failures takes a count, or a share below 1, not "
            f"{max_failures!r}."
        )
        raise ValueError(msg)
    said = Each(times or 0, limit or 0, batch or 0, failures, max_failures)
    return EachSource(source, said)


def gather(
    source: str | Callable[..., Any],
    n: int | None = None,
    *,
    until: Callable[[list[Any], int], bool] | None = None,
    rest: Literal["ignore", "cancel"] = "ignore",
) -> GatherSource:
    """Close a group: fires once, with the results of its instances as a list.

    ``@listen(gather(read_page))``. The results stand in the order of the items,
    whatever order they came in; an empty group gives ``[]``. An instance that ended
    without reaching the source gives none.

    Args:
        source: the step (or label) inside the group whose results are gathered.
        n: so many results are enough; fewer make the listening step fail.
        until: ``until(results, total)``, asked after each result: true is enough.
            ``total`` counts the instances so far.
        rest: what becomes of the instances that are not needed: ``ignore`` lets them
            end unheard, ``cancel`` cancels them.

    Raises:
        ValueError: an option is out of range.
    """
    inner: Any = source
    if not (isinstance(inner, str) or callable(inner)) or not inner:
        msg = f"Invalid condition: gather(..) takes a step or a label, not {source!r}."
        raise ValueError(msg)
    if n is not None:
        _counted("gather(.., n=..) takes a count", n)
    asked: Any = until
    if asked is not None and not callable(asked):
        msg = (
            f"Invalid condition: gather(.., until=..) takes a function of the results "
            f"and the total, not {until!r}."
        )
        raise ValueError(msg)
    if rest not in ("ignore", "cancel"):
        msg = f"Invalid condition: rest={rest!r}. gather uses 'ignore' or 'cancel'."
        raise ValueError(msg)
    return GatherSource(source, n or 0, until, rest)


def window(
    source: AnyCondition,
    *,
    count: int | None = None,
    time: float | str | None = None,
    gap: float | str | None = None,
) -> Condition:
    """A stream of arrivals in portions: the step is handed a list of payloads.

    ``window(event("reading"), count=100, time="1m")``. A window opens with its first
    arrival and ends at whichever comes first. With a store the times survive the
    process.

    Args:
        source: an event, a step, a label, or a ``merge`` of several.
        count: arrivals that end it.
        time: so long after its first arrival, as :func:`timer` takes it.
        gap: so long without an arrival.

    Raises:
        ValueError: none of the three is given, or one is out of range.
    """
    if count is None and time is None and gap is None:
        msg = "Invalid condition: window(..) needs count=, time= or gap=."
        raise ValueError(msg)
    if count is not None:
        _counted("window(.., count=..) takes a count", count)
    made = Condition("window", (source,), count or 0)
    if time is not None:
        made.span = seconds(time, "Invalid condition: window(.., time=..)")
    if gap is not None:
        made.gap = seconds(gap, "Invalid condition: window(.., gap=..)")
    return made


def _counted(what: str, value: Any) -> None:
    if type(value) is not int or value < 1:
        msg = f"Invalid condition: {what} of at least 1, not {value!r}."
        raise ValueError(msg)
