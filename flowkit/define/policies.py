"""What decorators and classes say of policies, checked where it was written."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from flowkit.core.definition import Step
from flowkit.core.policies import Policy, Retry
from flowkit.core.validate import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from flowkit.core.caching import Cache
    from flowkit.core.hedging import Hedge
    from flowkit.core.limits import Breaker, Bulkhead, Rate

__all__ = ["PolicyOptions", "called_policy", "default_policy", "policy_of"]

NAMES = frozenset(each.name for each in fields(Policy))


class PolicyOptions(TypedDict, total=False):
    """The fields of a :class:`~flowkit.Policy` as keywords of a decorator."""

    retry: Retry | int | Literal[False]
    timeout: float | str | timedelta | Literal[False]
    total_timeout: float | str | timedelta | Literal[False]
    idle_timeout: float | str | timedelta | Literal[False]
    rate: Rate | Literal[False]
    bulkhead: Bulkhead | int | Literal[False]
    breaker: Breaker | str | Literal[False]
    cache: Cache | float | str | timedelta | Literal[False]
    hedge: Hedge | float | str | timedelta | Literal[False]
    isolate: Literal["process", False]
    max_starts: int | Literal[False]
    fallback: Any
    undo: Callable[..., Any] | str | Literal[False]


def policy_of(decorator: str, given: Mapping[str, Any], function: Any) -> Policy:
    """The policy that a decorator's keywords say.

    Raises:
        ValueError: a value that means nothing, with the step and its place.
        TypeError: a keyword that is none.
    """
    code = getattr(function, "__code__", None)
    place = (code.co_filename, code.co_firstlineno) if code else ("", 0)
    name = getattr(function, "__qualname__", repr(function)).rpartition("<locals>.")[2]
    where = Step(name, file=place[0], line=place[1]).place
    unknown = [key for key in given if key not in NAMES]
    if unknown:
        guess = closest(unknown[0], NAMES)
        known = ", ".join(sorted(NAMES))
        hint = f"Did you mean {guess!r}?" if guess else f"Policies are {known}."
        msg = f"@{decorator} of {name} takes no {unknown[0]!r}. {hint} ({where})"
        raise TypeError(msg)
    try:
        return Policy(**given)
    except ValueError as error:
        msg = f"@{decorator} of {name}: {error} ({where})"
        raise ValueError(msg) from None


def called_policy(
    given: Mapping[str, Any], function: Any, name: str, *, awaited: bool
) -> Policy:
    """The policy of a step that a function flow calls.

    Args:
        given: the keywords of ``@step``.
        function: as it was written.
        name: of the step.
        awaited: it is async, or runs in a thread.

    Raises:
        ValueError: a value that means nothing.
        TypeError: a policy that such a step does not have.
    """
    policy = policy_of("step", given, function).settled()
    code = function.__code__
    place = Step(name, file=code.co_filename, line=code.co_firstlineno).place
    msg = ""
    if policy.undo is not None:
        msg = (
            f"@step of {name} takes no undo=: a function flow undoes in its own code. "
            f"Write try: and except: around the calls, and call a step there that "
            f"takes the work back. ({place})"
        )
    elif policy.max_starts is not None:
        msg = (
            f"@step of {name} takes no max_starts=: the start of a called step is no "
            f"record. Give it to the function, whose starts are: "
            f"@flow(defaults=Policy(max_starts={policy.max_starts})). ({place})"
        )
    elif policy.hedge is not None:
        msg = (
            f"@step of {name} takes no hedge=: a call stands at one position and gives "
            f"one result. Make the second call in the step itself, or write a flow "
            f"class with this step. ({place})"
        )
    elif policy.isolate is not None:
        msg = (
            f"@step of {name} takes no isolate=: it runs where its function does. "
            f"Start a process in the step itself, or write a flow class with this "
            f"step. ({place})"
        )
    elif not awaited and policy.said():
        said = policy.said()[0][0]
        msg = (
            f"@step({said}=..) is for steps that are awaited, and {name} is a plain "
            f"function, which holds the event loop up while it runs. Make it async, "
            f"or write thread=True. ({place})"
        )
    if msg:
        raise TypeError(msg)
    return policy


def default_policy(cls: type, given: Any, inherited: Policy | None) -> Policy | None:
    """What ``defaults=`` of a class says, over its base's.

    Raises:
        TypeError: it is no policy.
    """
    if given is None:
        return inherited
    if not isinstance(given, Policy):
        msg = (
            f"class {cls.__name__}: defaults takes a Policy, not {given!r}. Write "
            f"defaults=Policy(retry=3)."
        )
        raise TypeError(msg)
    return given.over(inherited)
