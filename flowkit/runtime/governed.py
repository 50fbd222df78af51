"""Calls of steps that have policies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowkit.core.policies import Policy
from flowkit.runtime.calls import VARIABLE, parameters_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.define.compiler import Compiled
    from flowkit.runtime.calls import Call

__all__ = ["called", "govern", "staged"]


def govern(calls: Sequence[Call], compiled: Compiled, place: str) -> None:
    """Make the calls of a class heed the policies of its steps.

    Args:
        calls: of all its steps, changed in place.
        compiled: the class.
        place: names it in this process.

    Raises:
        ValueError: two different limits of one name.
    """
    for node, call in zip(compiled.net.nodes, calls, strict=True):
        policy = compiled.policies.get(node.name)
        if policy is None:
            continue
        if policy.times:
            from flowkit.runtime.timing import watch  # only who has a time

            call.timed, call.looped = watch, True
        name = f"{compiled.definition.name}.{node.name}"
        if policy.isolate is not None and _is_own(call, compiled, node.name):
            from flowkit.runtime.isolated import bounded, isolated  # the same

            call.looped = True
            call.function = isolated(node, name, is_async=call.is_async)
            policy = bounded(policy)
        if policy.hedge is not None:
            call.looped = True
            _hedge(call, name, f"{place}.{node.name}", policy)
        elif policy.gated:
            from flowkit.runtime.protection import Gate, gated  # only who has limits

            gate = Gate(name, f"{place}.{node.name}", policy)
            call.function = gated(call.function, gate, is_async=call.is_async)
        if policy.cache is not None:
            from flowkit.runtime.cached import Shelf, cached  # only who keeps results

            own = compiled.functions[node.name]
            shelf = Shelf(name, f"{place}.{node.name}", policy.cache, own)
            call.function = cached(call.function, shelf, is_async=call.is_async)
        if policy.stages:
            call.function = staged(call, policy)


def _is_own(call: Call, compiled: Compiled, step: str) -> bool:
    """Whether it is the step itself, which another process can find: no stub of it."""
    return call.function is compiled.functions[step]


def _hedge(call: Call, name: str, place: str, policy: Policy) -> None:
    """Have a step called beside itself: a turn for all its calls, a place for each."""
    from flowkit.runtime.hedged import hedged  # anyio, once a class is hedged
    from flowkit.runtime.protection import Gate, gated

    inner = replace(policy, rate=None)
    if inner.gated:
        gate = Gate(name, place, inner)
        call.function = gated(call.function, gate, is_async=call.is_async)
    outer = None
    if policy.rate is not None:
        outer = Gate(name, place, replace(policy, bulkhead=None, breaker=None))
    made = hedged(call.function, policy.hedge, outer, is_async=call.is_async)
    call.function = made
    if outer is not None:
        call.function = gated(made, outer, is_async=call.is_async)


def staged(call: Call, policy: Policy) -> Callable[..., Any]:
    """The function of a step, or of the fallback that stands in for it now."""
    own = call.function
    fallbacks = [_Fallback(each.value) for each in policy.stages]

    def function(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        scope = flow._flowkit
        deferred = scope.run.marking.deferred
        if not deferred:
            return own(flow, *arguments, **keywords)
        before = deferred.get(scope.firing.id)
        if before is None or not before.stage:
            return own(flow, *arguments, **keywords)
        fallback = fallbacks[before.stage - 1]
        if fallback.again:
            return own(flow, *arguments, **keywords)
        if call.is_async:
            return _awaited(fallback, flow, before.error, arguments, keywords)
        return fallback(flow, before.error, arguments, keywords)

    return function


async def _awaited(
    fallback: _Fallback, flow: Any, error: Any, arguments: Any, keywords: Any
) -> Any:
    value = fallback(flow, error, arguments, keywords)
    return await value if hasattr(value, "__await__") else value


class _Fallback:
    """One of a step's fallbacks, and how it is called.

    Attributes:
        again: it is the step itself, under another policy.
    """

    __slots__ = ("again", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.again = isinstance(value, Policy)

    def __call__(self, flow: Any, error: Any, arguments: Any, keywords: Any) -> Any:
        value = self.value
        if not callable(value) or isinstance(value, type):
            return value
        own = getattr(type(flow), getattr(value, "__name__", ""), value)
        return called(own, flow, error, arguments, keywords)


def called(function: Any, flow: Any, error: Any, arguments: Any, keywords: Any) -> Any:
    """Call a method with what a step was given, as much of it as it takes.

    A parameter named ``error`` is given the error.
    """
    names, _, every, _, _ = parameters_of(function)
    given = dict(keywords) if every else {}
    given |= {name: keywords[name] for name in names if name in keywords}
    if "error" in names:
        given["error"] = error
    if names == [*VARIABLE]:
        return function(flow, *arguments, **given)
    free = [name for name in names if name not in given]
    return function(flow, *arguments[: len(free)], **given)
