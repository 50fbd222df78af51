"""Steps with another body: a stub's, or one that fails first and works then."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from copy import copy, deepcopy
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.validate import closest
from flowkit.runtime.calls import Call, calls_for
from flowkit.runtime.kinds import known
from flowkit.runtime.values import MISSING
from flowkit.testing.called import called_step, inside_now, replaced_called

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from flowkit.runtime.kinds import Kind

__all__ = ["Called", "Calls", "Gives", "fail", "stub"]


class Called(NamedTuple):
    """One call of a step's body.

    Attributes:
        arguments: what it got by position, without the flow.
        keywords: what it got by name.
        firing: number of the firing within its run, 0 for a direct call.
        attempt: which try of that firing, from 1.
    """

    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    firing: int
    attempt: int


class Gives(NamedTuple):
    """A stub's result together with what the step changes in the state.

    Attributes:
        result: what it returns; an exception is raised.
        state: the fields of the state it sets first.
    """

    result: Any = None
    state: Mapping[str, Any] = {}


class Calls:
    """What was called while a stub or a fault stood in for a step.

    Attributes:
        step: the step's name, such as ``Order.charge``.
        calls: every call, in order.
    """

    def __init__(self, step: str) -> None:
        self.step: str = step
        self.calls: list[Called] = []

    @property
    def count(self) -> int:
        """How often the body was called."""
        return len(self.calls)

    def __repr__(self) -> str:
        return f"<{self.step}: called {self.count} times>"

    def _note(self, flow: Any, given: tuple[Any, ...], named: dict[str, Any]) -> int:
        """Keep a call; its number, from 1."""
        firing, inside = flow._flowkit.firing, inside_now()
        number, attempt = (firing.id, firing.attempt) if firing else (0, 1)
        if inside is not None:
            attempt = inside.attempt or attempt
        self.calls.append(Called(given, named, number, attempt))
        return len(self.calls)


@contextmanager
def stub(
    flow: Any,
    step: Any,
    *,
    returns: Any = MISSING,
    in_turn: Iterable[Any] | None = None,
    calls: Callable[..., Any] | None = None,
) -> Iterator[Calls]:
    """Within the block a step gives what is said here; its own body does not run.

    It takes the same arguments, a router's result is routed, a reviewed result is
    reviewed, and the step runs where it ran: on the loop if it is async, else in the
    caller's or a worker's thread. Runs begun or resumed within the block are meant.

    Args:
        flow: a flow class, with its subclasses that do not override the step, one
            flow object, or a function flow.
        step: its name, or the method; of a function flow a step that it calls.
        returns: the result of every call; None if nothing is said. An exception is
            raised, and :class:`Gives` changes the state, too.
        in_turn: the results of the calls, one after another, each as ``returns``.
        calls: called instead with the flow and the step's arguments, those alone for
            a step that a function flow calls; what it gives is the result, awaited in
            an async step if it can be.

    Yields:
        The calls that were made.

    Raises:
        ValueError: no such step, or two ways to make a result.
        AssertionError: in the step, when ``in_turn`` has no more results.
    """
    given = {"returns": returns is not MISSING, "in_turn": in_turn is not None}
    ways = [name for name, is_given in given.items() if is_given]
    ways += ["calls"] if calls is not None else []
    if len(ways) > 1:
        msg = f"stub({step!r}, {'=.., '.join(ways)}=..): give one of them."
        raise ValueError(msg)
    results = None if in_turn is None else deque(in_turn)

    def body(original: Any, made: Calls, flow: Any, *given: Any, **named: Any) -> Any:
        number = made._note(flow, given, named)
        if calls is not None:
            first = () if inside_now() is not None else (flow,)
            return calls(*first, *given, **named)
        if results is None:
            return None if returns is MISSING else _given(flow, returns)
        if not results:
            msg = (
                f"{made.step} was called {number} times, and its stub has "
                f"{number - 1} results in_turn. Give it more, or find out why it is "
                f"called again."
            )
            raise AssertionError(msg)
        return _given(flow, results.popleft())

    with _replaced(flow, step, body) as made:
        yield made


@contextmanager
def fail(
    flow: Any,
    step: Any,
    *,
    with_: Any = RuntimeError,
    times: int | None = 1,
    late: bool = False,
) -> Iterator[Calls]:
    """Within the block the first calls of a step fail; later ones do its own work.

    Args:
        flow: as for :func:`stub`.
        step: its name, or the method.
        with_: the exception, or its class. Each call gets one of its own.
        times: how many calls fail; None for all.
        late: fail after the body has run, as a lost connection does: what it did
            outside is done, and its result is lost.

    Yields:
        The calls that were made, those that failed among them.

    Raises:
        ValueError: no such step.
        TypeError: ``with_`` is no exception.
    """
    if not _is_error(with_):
        msg = f"fail({step!r}, with_=..) takes an exception, not {with_!r}."
        raise TypeError(msg)

    def body(original: Any, made: Calls, flow: Any, *given: Any, **named: Any) -> Any:
        number = made._note(flow, given, named)
        if times is not None and number > times:
            return original(flow, *given, **named)
        if not late:
            raise _fresh(with_)
        result = original(flow, *given, **named)
        if hasattr(result, "__await__"):
            return _then_raise(result, _fresh(with_))
        raise _fresh(with_)

    with _replaced(flow, step, body) as made:
        yield made


def _given(flow: Any, result: Any) -> Any:
    """What a stub is to give; an exception is raised."""
    if isinstance(result, Gives):
        state = flow.state
        for field, value in result.state.items():
            if isinstance(state, dict):
                state[field] = deepcopy(value)
            else:
                setattr(state, field, deepcopy(value))
        result = result.result
    if _is_error(result):
        raise _fresh(result)
    return result


async def _then_raise(result: Any, error: BaseException) -> Any:
    await result
    raise error


def _is_error(value: Any) -> bool:
    if isinstance(value, type):
        return issubclass(value, BaseException)
    return isinstance(value, BaseException)


def _fresh(error: Any) -> BaseException:
    """An exception of its own for each raise: notes and tracebacks add up else."""
    if isinstance(error, type):
        made: BaseException = error()
        return made
    given: BaseException = error
    try:
        other = copy(given)
    except Exception:  # noqa: BLE001 - its constructor takes something else
        return given
    if type(other) is not type(given) or str(other) != str(given):
        return given
    if hasattr(other, "__notes__"):
        del other.__notes__
    return other.with_traceback(None)


@contextmanager
def _replaced(flow: Any, step: Any, body: Callable[..., Any]) -> Iterator[Calls]:
    flow = getattr(flow, "__flowkit_class__", flow)
    cls = flow if isinstance(flow, type) else type(flow)
    called = called_step(known[cls].compiled, step) if cls in known else None
    if called is not None:
        made = Calls(f"{cls.__name__}.{called.name}")
        only = None if isinstance(flow, type) else flow._flowkit.origin

        def stands_in(original: Any, flow: Any, *given: Any, **named: Any) -> Any:
            return body(original, made, flow, *given, **named)

        with replaced_called(called, cls, only, stands_in):
            yield made
        return
    name = step if isinstance(step, str) else getattr(step, "__name__", repr(step))
    original = _function(cls, name)
    only = None if isinstance(flow, type) else flow._flowkit.origin
    made = Calls(f"{cls.__name__}.{name}")
    changed: list[tuple[Kind, tuple[Call, ...]]] = []
    for other, kind in [*known.items()]:
        same = kind.compiled.functions.get(name) is original
        if issubclass(other, cls) and same:
            changed.append((kind, kind.calls))
            own = _own(kind, name)
            kind.calls = _with(kind, name, _wrapped(original, own, body, made, only))
    try:
        yield made
    finally:
        for kind, calls in reversed(changed):
            kind.calls = calls


def _function(cls: type, name: str) -> Callable[..., Any]:
    kind = known.get(cls)
    if kind is None:
        msg = f"stub and fail take a flow class or object, not {cls!r}."
        raise ValueError(msg)
    found = kind.compiled.functions.get(name)
    if found is None:
        steps = kind.compiled.functions
        guess = closest(name, frozenset(steps))
        hint = f"Did you mean {guess!r}?" if guess else f"It has {', '.join(steps)}."
        msg = f"{cls.__name__} has no step {name!r}. {hint}"
        raise ValueError(msg)
    return found


def _own(kind: Kind, name: str) -> Callable[..., Any]:
    """What does a step's own work: in a process of its own, if it is isolated."""
    function: Callable[..., Any] = kind.compiled.functions[name]
    policy = kind.compiled.policies.get(name)
    if policy is None or policy.isolate is None:
        return function
    from flowkit.runtime.isolated import isolated  # only who has such steps

    node = next(node for node in kind.compiled.net.nodes if node.name == name)
    label = f"{kind.compiled.definition.name}.{name}"
    return isolated(node, label, is_async=_is_async(function))


def _wrapped(
    original: Callable[..., Any],
    own: Callable[..., Any],
    body: Callable[..., Any],
    made: Calls,
    only: Any,
) -> Callable[..., Any]:
    @wraps(original)
    def plain(flow: Any, *given: Any, **named: Any) -> Any:
        if only is not None and flow._flowkit.origin is not only:
            return own(flow, *given, **named)
        return body(own, made, flow, *given, **named)

    @wraps(original)
    async def awaited(flow: Any, *given: Any, **named: Any) -> Any:
        result = plain(flow, *given, **named)
        return await result if hasattr(result, "__await__") else result

    return awaited if _is_async(original) else plain


def _is_async(function: Any) -> bool:
    code = getattr(_innermost(function), "__code__", None)
    return bool(code is not None and code.co_flags & 0x80)


def _innermost(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _with(kind: Kind, name: str, function: Callable[..., Any]) -> tuple[Call, ...]:
    """The calls of a flow, that of one step with another function."""
    node = next(node for node in kind.compiled.net.nodes if node.name == name)
    calls = calls_for(kind.compiled.net, {**kind.compiled.functions, name: function})
    reviews = kind.compiled.reviews
    if name in reviews:
        from flowkit.runtime.feedback import reviewed_calls  # only who is reviewed

        names = [node.name for node in kind.compiled.net.nodes]
        calls = reviewed_calls(calls, reviews, names)
    call = kind.ruled(calls)[node.index]
    call.looped = call.looped or kind.calls[node.index].looped
    return tuple(
        call if index == node.index else each for index, each in enumerate(kind.calls)
    )
