"""A flow class as its class statement declares it: keywords, parents, graph."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from flowkit.core.durations import seconds
from flowkit.define.compiler import compile_class
from flowkit.define.versions import migrations_of
from flowkit.errors import FlowkitWarning
from flowkit.runtime.kinds import Kind, known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["check_options", "declare", "taken_keywords"]

_OPTIONS = frozenset(
    {
        "initial_state",
        "input_provider",
        "max_method_calls",
        "name",
        "persistence",
        "store",
        "stream",
    }
)
_TIMES = ("evict_after", "lifetime", "deadline")
_CLASS_OPTIONS = frozenset(
    {
        "admission",
        "backend",
        "deadline",
        "defaults",
        "evict_after",
        "lifetime",
        "max_depth",
        "max_firings",
        "older",
        "on_conflict",
        "on_error",
        "renamed",
        "retention",
        "sla",
        "store",
        "strict",
        "version",
    }
)
_IGNORED = frozenset(
    {
        "suppress_flow_events",
        "tracing",
        "checkpoint",
        "memory",
        "defer_trace_finalization",
    }
)


def declare(cls: type, state: Any, given: dict[str, Any]) -> None:
    """Compile a flow class, and make it known with its options.

    Args:
        cls: the class; what its statement does not say, its parent's does.
        state: the type of its state, or None.
        given: the keywords of the class statement, None where they are not given.

    Raises:
        DefinitionError: all faults of the class at once.
        ValueError: an option that has no such value.
    """
    parent = next((known[base] for base in cls.__mro__[1:] if base in known), None)
    kind = known[cls] = _compiled(cls, state, given, parent)
    for name in ("store", "retention", "max_depth", "sla", *_TIMES):
        if parent is not None:
            setattr(kind, name, getattr(parent, name))
    _set_options(cls, kind, given)
    door = None if parent is None else parent.admission
    if given["admission"] is not None or door is not None:
        from flowkit.runtime.admission import door_of  # only who bounds its runs

        kind.admission = door_of(cls.__name__, kind.place, given["admission"], door)


def _compiled(cls: Any, state: Any, given: dict[str, Any], parent: Kind | None) -> Kind:
    """The class with what its graph and its runs' beginning depend on."""
    strict = given["strict"]
    if strict is None:
        strict = parent is not None and parent.compiled.definition.strict
    conflict = given["on_conflict"] or (parent.on_conflict if parent else "error")
    backend = given["backend"] or (parent.backend if parent else "asyncio")
    _one_of("on_conflict", conflict, "error", "last")
    _one_of("backend", backend, "asyncio", "trio")
    most = cls.max_method_calls
    policy = parent.defaults if parent else None
    if given["defaults"] is not None:
        from flowkit.define.policies import default_policy  # only who has them

        policy = default_policy(cls, given["defaults"], policy)
    on_error = given["on_error"] or (parent.on_error if parent else "fail_fast")
    compiled = compile_class(
        cls,
        max_firings=most if isinstance(most, int) else 100,
        strict=strict,
        defaults=policy,
        on_error=on_error,
    )
    place = f"{cls.__module__}:{cls.__qualname__}"
    kind = Kind(compiled, conflict, backend, state, place)
    kind.defaults, kind.on_error = policy, on_error
    return kind


def _set_options(cls: type, kind: Kind, given: dict[str, Any]) -> None:
    """What the class statement says of stored runs, times and versions."""
    where = f"class {cls.__name__}"
    for name in _TIMES:
        if given[name] is not None:
            setattr(kind, name, seconds(given[name], where))
    if given["store"] is not None:
        kind.store = given["store"]
    own = given["version"]
    own = cls.__dict__.get("version") if own is None else own
    kind.version = str(own) if isinstance(own, str | int) else ""
    kind.renamed = dict(given["renamed"] or {})
    kind.older = _older(cls, given["older"])
    kind.max_depth = given["max_depth"] or kind.max_depth
    kind.migrations = migrations_of(cls)
    kind.retention = given["retention"] or kind.retention
    if given["sla"] is not None:
        from flowkit.define.targets import targets_of  # only who has targets

        names = sorted(kind.compiled.definition.names)
        kind.sla = targets_of(given["sla"], where, names)


def check_options(cls: type, base: Callable[..., None], keywords: Any) -> None:
    """Hand class keywords that are not ours to a mixin, if it takes them."""
    try:
        base(**keywords)
    except TypeError:
        if not keywords:
            raise
        from flowkit.core.validate import closest  # only an error needs it

        key = next(iter(keywords))
        guess = closest(key, _CLASS_OPTIONS)
        hint = f" Did you mean {guess!r}?" if guess else ""
        msg = (
            f"class {cls.__name__} takes no keyword {key!r}.{hint} It takes "
            f"{', '.join(sorted(_CLASS_OPTIONS))}."
        )
        raise TypeError(msg) from None


def taken_keywords(cls: type, keywords: dict[str, Any]) -> dict[str, Any]:
    """The attributes that keywords of a constructor set.

    Raises:
        TypeError: one that no flow takes.
    """
    unknown = [key for key in keywords if key not in _OPTIONS | _IGNORED]
    if unknown:
        from flowkit.core.validate import closest  # only an error needs it

        guess = closest(unknown[0], _OPTIONS)
        hint = f" Did you mean {guess!r}?" if guess else ""
        msg = (
            f"{cls.__name__}() takes no keyword {unknown[0]!r}.{hint} Values for a "
            f"run go to kickoff(inputs); it takes {', '.join(sorted(_OPTIONS))}."
        )
        raise TypeError(msg)
    for key in keywords:
        if key in _IGNORED:
            text = f"{cls.__name__}({key}=..) has no effect in flowkit."
            warnings.warn(text, FlowkitWarning, stacklevel=3)
    return {
        key: value
        for key, value in keywords.items()
        if key in _OPTIONS and key != "store"
    }


def _older(cls: type, older: Iterable[type]) -> tuple[type, ...]:
    """The classes that finish runs of former versions, each with one of its own."""
    classes = tuple(older)
    for each in classes:
        if each not in known or not known[each].version:
            msg = (
                f"class {cls.__name__}(older=..) takes flow classes with a version of "
                f"their own, and {each!r} is none. Keep the old class under another "
                f"name: class {cls.__name__}1(Flow, version='1')."
            )
            raise ValueError(msg)
    return classes


def _one_of(option: str, value: str, *choices: str) -> None:
    if value not in choices:
        msg = f"{option}={value!r}: use {' or '.join(map(repr, choices))}."
        raise ValueError(msg)
