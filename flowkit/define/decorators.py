"""``@start``, ``@listen`` and ``@router``: they mark a method and change nothing.

The method stays the function it was: callable, picklable, typed. What a decorator
said stands in its ``__flowkit__`` attribute until the class is compiled.
"""

from __future__ import annotations

from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ParamSpec,
    TypeVar,
    overload,
)

from flowkit.define.conditions import (
    Condition,
    EachSource,
    EventSource,
    FailedSource,
    GatherSource,
    TimerSource,
    checked,
)
from flowkit.define.marks import Mark, is_step, labels_in, mark_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta
    from typing import TypeAlias, Unpack

    from flowkit.core.definition import Missed, Region, Schedule
    from flowkit.define.conditions import AnyCondition, AnyTrigger
    from flowkit.define.flows import FlowStep
    from flowkit.define.marks import StepMethod
    from flowkit.define.policies import PolicyOptions

__all__ = ["listen", "router", "start"]

if TYPE_CHECKING:
    S_contra = TypeVar("S_contra", contravariant=True)
    P = ParamSpec("P")
    R_co = TypeVar("R_co", covariant=True)

if TYPE_CHECKING:
    # Without plain functions: `@start` and `@router` bare are given one to decorate.
    _Named: TypeAlias = (
        str
        | StepMethod[Any, ..., Any]
        | EventSource
        | FailedSource
        | TimerSource
        | EachSource
        | GatherSource
        | Condition
        | FlowStep
    )


def _noted(decorate: Any, decorator: str, condition: Any) -> Any:
    decorate.__flowkit_unapplied__ = (decorator, condition)
    return decorate


_SOURCES = Condition | EachSource | EventSource | FailedSource | GatherSource


def _is_bare(condition: Any) -> bool:
    """Whether the decorator was written without parentheses."""
    return (
        callable(condition)
        and not isinstance(condition, _SOURCES)
        and not is_step(condition)
        and hasattr(condition, "__code__")
    )


def _marked(  # noqa: PLR0917 - what every decorator says
    decorator: str,
    condition: Any,
    max_firings: int | None,
    policies: Any,
    options: dict[str, Any],
    function: Any,
) -> Mark:
    """The mark of a method with what the decorators have in common."""
    mark = mark_for(function, decorator)
    if max_firings is not None:
        if type(max_firings) is not int or max_firings < 1:
            msg = f"max_firings takes a count of at least 1, not {max_firings!r}."
            raise ValueError(msg)
        mark.max_firings = max_firings
    if policies:
        from flowkit.define.policies import policy_of  # only who has one pays

        policy = policy_of(decorator, policies, function)
        mark.policy = policy.over(mark.policy)
    if condition is not None:
        mark.triggers.append(condition)
    mark.options.update(options)
    return mark


def _set_schedule(mark: Mark, name: str, schedule: Schedule) -> None:
    if mark.schedule is not None:
        msg = f"Invalid schedule: {name} has one. Write two steps."
        raise ValueError(msg)
    mark.schedule = schedule


@overload
def start(  # type: ignore[overload-overlap]  # a step is a condition first
    condition: _Named | None = None,
    *,
    on: AnyCondition | None = None,
    every: float | str | timedelta | None = None,
    cron: str | None = None,
    tz: str | None = None,
    missed: Missed | None = None,
    max_firings: int | None = None,
    mutex: str | None = None,
    region: Region | str | None = None,
    emits: Sequence[str] | None = None,
    **policies: Unpack[PolicyOptions],
) -> Callable[
    [Callable[Concatenate[S_contra, P], R_co]], StepMethod[S_contra, P, R_co]
]: ...
@overload
def start(
    condition: Callable[Concatenate[S_contra, P], R_co], /
) -> StepMethod[S_contra, P, R_co]: ...
@overload
def start(
    condition: _Named | None = None,
    *,
    flow: type | str,
    on: AnyCondition | None = None,
    every: float | str | timedelta | None = None,
    cron: str | None = None,
    tz: str | None = None,
    missed: Missed | None = None,
    max_firings: int | None = None,
) -> FlowStep: ...
def start(
    condition: AnyTrigger | None = None,
    *,
    on: AnyCondition | None = None,
    every: float | str | timedelta | None = None,
    cron: str | None = None,
    tz: str | None = None,
    missed: Missed | None = None,
    max_firings: int | None = None,
    flow: Any = None,
    mutex: str | None = None,
    region: Region | str | None = None,
    emits: Sequence[str] | None = None,
    **policies: Unpack[PolicyOptions],
) -> Any:
    """Mark a method as one that begins a run.

    Without a condition it runs at kickoff; several starts run side by side. One with
    a schedule is handed the time it was due, a ``datetime`` in its time zone.

    Args:
        condition: a router's label (or a condition of labels) it reacts to, too.
        on: an :func:`~flowkit.event` that begins one run each time it comes; its
            payload is validated against the parameter's type. A kickoff hands its
            inputs over as the payload.
        every: begins a run at each multiple of this time since the epoch: seconds,
            or text such as ``"15m"``; at least a second.
        cron: begins a run at the times these five fields say, ``"0 6 * * 1-5"``
            (minute, hour, day of month, month, day of week). Needs the extra
            ``cron``.
        tz: IANA name of the schedule's time zone, UTC by default.
        missed: after a time in which nothing ran, one run for the ``"latest"`` time
            missed (the default), one for each of ``"all"``, at most 100, or none:
            ``"skip"``.
        max_firings: most firings in one run; unbounded by default.
        mutex, region, emits: as for :func:`listen`.
        flow: as for :func:`listen`; without a method, the flow is handed the inputs
            of the run.
        **policies: as :class:`~flowkit.Policy` takes them, such as ``retry=3``.

    Raises:
        ValueError: what is given is no condition or no schedule, or both, or no flow.
        MissingExtraError: ``cron`` without the extra ``cron``.
    """
    if _is_bare(condition):
        mark = mark_for(condition, "start")
        mark.start = True
        return condition  # written as bare @start
    source = condition if on is None else on
    if source is not None:
        checked(source, alone=True)
    options = _options(mutex, region, None, None, None, None, emits)
    schedule: Schedule | None = None
    if not (every is None and cron is None and tz is None and missed is None):
        from flowkit.define.schedules import schedule_of  # only who has one pays

        schedule = schedule_of(every, cron, tz, missed, source)
    marked = partial(_marked, "start", source, max_firings, policies, options)

    def decorate(
        function: Callable[Concatenate[S_contra, P], R_co],
    ) -> StepMethod[S_contra, P, R_co]:
        mark = marked(function)
        mark.start = True
        if schedule is not None:
            _set_schedule(mark, function.__name__, schedule)
        if not (source is None and schedule is None):
            mark.conditional = True
        return function  # type: ignore[return-value]  # the function, now marked

    if flow is not None:
        return _calling(decorate, "start", flow)
    return _noted(decorate, "start", source)


def _calling(decorate: Any, decorator: str, flow: Any) -> FlowStep:
    """A decorator that is a step by itself, too: one that runs a flow."""
    import sys

    from flowkit.define.flows import FlowStep, checked_flow  # only who calls one

    checked_flow(flow, decorator)

    def calling(function: Any) -> Any:
        mark_for(function, decorator).flow = flow
        return decorate(function)

    frame = sys._getframe(2)  # noqa: SLF001 - where the decorator is written
    mark = Mark()
    step = FlowStep(calling, mark, (frame.f_code.co_filename, frame.f_lineno))
    mark.flow = flow
    decorate(step)
    return step


@overload
def listen(
    condition: AnyTrigger,
    *,
    max_firings: int | None = None,
    mutex: str | None = None,
    region: Region | str | None = None,
    during: tuple[object, object] | None = None,
    while_: Callable[[Any], object] | None = None,
    until: Callable[[Any], object] | None = None,
    cancels: Sequence[object] | None = None,
    emits: Sequence[str] | None = None,
    **policies: Unpack[PolicyOptions],
) -> Callable[
    [Callable[Concatenate[S_contra, P], R_co]], StepMethod[S_contra, P, R_co]
]: ...
@overload
def listen(
    condition: AnyTrigger,
    *,
    flow: type | str,
    max_firings: int | None = None,
    mutex: str | None = None,
    region: Region | str | None = None,
    during: tuple[object, object] | None = None,
    while_: Callable[[Any], object] | None = None,
    until: Callable[[Any], object] | None = None,
    cancels: Sequence[object] | None = None,
    emits: Sequence[str] | None = None,
    **policies: Unpack[PolicyOptions],
) -> FlowStep: ...
def listen(
    condition: AnyTrigger,
    *,
    max_firings: int | None = None,
    flow: Any = None,
    mutex: str | None = None,
    region: Region | str | None = None,
    during: tuple[object, object] | None = None,
    while_: Callable[[Any], object] | None = None,
    until: Callable[[Any], object] | None = None,
    cancels: Sequence[object] | None = None,
    emits: Sequence[str] | None = None,
    **policies: Unpack[PolicyOptions],
) -> Any:
    """Mark a method as one that reacts.

    A method with one parameter is given the payload of the last arrival; one with
    several is given each input's payload by name.

    Args:
        condition: a step, a label, an :func:`~flowkit.event`, ``step.failed``,
            ``step.timeout``, ``step.cancelled``, :func:`~flowkit.each`, or a condition
            of these.
        max_firings: most firings in one run, 100 unless the flow says otherwise; in
            a group most in one lane.
        mutex: name of what only one firing of a run may hold at a time. Who comes
            later waits, first come first served.
        region: the part of the flow the step stands in: a
            :class:`~flowkit.Region`, or its name.
        during: two names (of steps, labels or events) between which the step may
            start. One that is ready before the first waits; one that comes after the
            second is dropped and reported as missed.
        while_: a test of the state, made before each turn: the step is repeated as
            long as it holds, from no turn at all. Each turn is recorded; who listens
            sees one end.
        until: the same, made after each turn: the step is repeated until it holds.
        cancels: steps and regions whose work in this run is cancelled when this step
            starts.
        emits: the names that :meth:`Flow.emit` may send from this step; without it
            any.
        flow: a flow that the step runs, a class or (for one that is not there yet,
            such as its own) the name of one. What the method returns are that flow's
            inputs, and its result is the step's output. Without a method,
            ``charge = listen(order, flow=Charge)``, what came are the inputs: a
            mapping or a model; those of several by their names.
        **policies: as :class:`~flowkit.Policy` takes them, such as ``retry=3``.

    Raises:
        ValueError: what is given is no condition, no flow, or an option is none.
    """
    checked(condition, alone=True)
    options = _options(mutex, region, during, while_, until, cancels, emits)
    marked = partial(_marked, "listen", condition, max_firings, policies, options)

    def decorate(
        function: Callable[Concatenate[S_contra, P], R_co],
    ) -> StepMethod[S_contra, P, R_co]:
        marked(function)
        return function  # type: ignore[return-value]  # the function, now marked

    if flow is not None:
        return _calling(decorate, "listen", flow)
    return _noted(decorate, "listen", condition)


def _options(  # noqa: PLR0917 - one keyword each
    mutex: str | None,
    region: Region | str | None,
    during: tuple[object, object] | None,
    while_: Callable[[Any], object] | None,
    until: Callable[[Any], object] | None,
    cancels: Sequence[object] | None,
    emits: Sequence[str] | None,
) -> dict[str, Any]:
    """What was said beside the condition, checked."""
    if all(
        each is None for each in (mutex, region, during, while_, until, cancels, emits)
    ):
        return {}
    from flowkit.define.options import options_of  # only who says something

    return options_of(mutex, region, during, while_, until, cancels, emits)


@overload
def router(  # type: ignore[overload-overlap]  # a step is a condition first
    condition: _Named | None = None,
    *,
    emit: Sequence[object] | None = None,
    max_firings: int | None = None,
    mutex: str | None = None,
    region: Region | str | None = None,
    during: tuple[object, object] | None = None,
    cancels: Sequence[object] | None = None,
    emits: Sequence[str] | None = None,
    **policies: Unpack[PolicyOptions],
) -> Callable[
    [Callable[Concatenate[S_contra, P], R_co]], StepMethod[S_contra, P, R_co]
]: ...
@overload
def router(
    condition: Callable[Concatenate[S_contra, P], R_co], /
) -> StepMethod[S_contra, P, R_co]: ...
@overload
def router(
    condition: _Named | None = None,
    *,
    flow: type | str,
    emit: Sequence[object] | None = None,
    max_firings: int | None = None,
) -> FlowStep: ...
def router(
    condition: AnyTrigger | None = None,
    *,
    emit: Sequence[object] | None = None,
    max_firings: int | None = None,
    flow: Any = None,
    mutex: str | None = None,
    region: Region | str | None = None,
    during: tuple[object, object] | None = None,
    cancels: Sequence[object] | None = None,
    emits: Sequence[str] | None = None,
    **policies: Unpack[PolicyOptions],
) -> Any:
    """Mark a method whose result chooses what goes on.

    The result is a label, or any subset of labels as a list: listeners of each are
    triggered. ``None`` and ``[]`` choose none; an Enum counts by its value.

    Args:
        condition: as for :func:`listen`; None where ``@start`` or ``@listen`` on
            the same method says it.
        emit: the labels it may return. Without it a ``Literal`` or Enum return
            annotation declares them; a label outside is then an error.
        max_firings, mutex, region, during, cancels, emits: as for :func:`listen`.
        flow: as for :func:`listen`; its result chooses.
        **policies: as for :func:`listen`.

    Raises:
        ValueError: what is given is no condition or no flow, or ``emit`` holds no
            labels.
    """
    if _is_bare(condition):
        mark_for(condition, "router").router = True
        return condition  # written as bare @router
    if condition is not None:
        checked(condition, alone=True)
    labels = labels_in(emit)
    options = _options(mutex, region, during, None, None, cancels, emits)
    marked = partial(_marked, "router", condition, max_firings, policies, options)

    def decorate(
        function: Callable[Concatenate[S_contra, P], R_co],
    ) -> StepMethod[S_contra, P, R_co]:
        mark = marked(function)
        mark.router = True
        if emit is not None:
            mark.emit, mark.has_emit = labels, True
        return function  # type: ignore[return-value]  # the function, now marked

    if flow is not None:
        return _calling(decorate, "router", flow)
    return _noted(decorate, "router", condition)
