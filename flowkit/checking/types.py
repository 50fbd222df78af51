"""What a step takes against what its producers give, by their annotations.

Told only where no value of the one type could be one of the other: unions, generics,
subclasses, type variables, protocols, numbers among each other and what pydantic would
make of a dictionary or a text are given the benefit of the doubt.
"""

from __future__ import annotations

import collections.abc
import datetime as dt
import enum
import types
import typing
from typing import TYPE_CHECKING, Any

from flowkit.core.closing import is_emitted, is_plain
from flowkit.core.validate import Fault
from flowkit.errors import StepTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowkit.core.definition import Leaf
    from flowkit.core.net import Node
    from flowkit.runtime.kinds import Kind

__all__ = ["clash", "type_faults"]

_NUMBERS = frozenset({"bool", "int", "float", "complex", "Decimal", "Fraction"})
_FROM_TEXT = (dt.date, dt.time, dt.timedelta, enum.Enum, bytes)
_FROM_TEXT_NAMES = frozenset(
    {"UUID", "Path", "PurePath", "PosixPath", "Decimal", "Fraction", "Url", "AnyUrl"}
)
_LISTS = (list, tuple, set, frozenset, collections.abc.Iterable)
_STREAMS = (
    collections.abc.Iterator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.Awaitable,
)
_ANYTHING = frozenset({Any, object, type, collections.abc.Callable})
_VARIABLE = ("*",)
_UNKNOWN = object()


def type_faults(kind: Kind) -> Iterator[Fault]:
    """Parameters that no value of their producer fits, as warnings."""
    functions = kind.compiled.functions
    hints = {
        step.name: _hints(functions[step.name])
        for step in kind.compiled.definition.steps
        if step.name in functions and not getattr(step, "flow", None)
    }
    for node in kind.compiled.net.nodes:
        wanted = hints.get(node.name)
        if not wanted or not is_plain(node.step):
            continue
        for parameter, leaf in _handed(kind, node):
            given, giver = _given(kind, hints, leaf)
            want = wanted.get(parameter, _UNKNOWN)
            if given is not _UNKNOWN and want is not _UNKNOWN and clash(given, want):
                takes = f"takes {parameter}: {_shown(want)}"
                yield _fault(kind, node, takes, f"{giver} gives {_shown(given)}")


def _fault(kind: Kind, node: Node, takes: str, gives: str) -> Fault:
    step = node.step
    text = (
        f"{kind.compiled.definition.name}.{step.name} {takes}, but {gives}. Change one "
        f"of the two, or put a step between them. ({step.place})"
    )
    return Fault("warning", step.name, text)


def _handed(kind: Kind, node: Node) -> Iterator[tuple[str, Leaf]]:
    """Which parameter gets what comes from which source, where that is certain."""
    call = kind.calls[node.index]
    names = call.names
    if call.none or not names or names == _VARIABLE or call.keywords:
        return
    for leaf in node.direct:
        by_name = leaf.name in names and not call.single
        yield (leaf.name if by_name else names[0]), leaf
    for trigger in node.triggers:
        several = [leaf.name for slot in trigger.slots for leaf in slot.leaves]
        for slot in trigger.slots:
            for leaf in slot.leaves:
                once = slot.need == 1 and several.count(leaf.name) == 1
                if once and leaf.name in names:
                    yield leaf.name, leaf


def _given(kind: Kind, hints: dict[str, Any], leaf: Leaf) -> tuple[Any, str]:
    """The type of what a source gives, and how it is called."""
    net, reviews = kind.compiled.net, kind.compiled.reviews
    if leaf.kind == "timeout":
        return StepTimeoutError, str(leaf)
    if leaf.kind == "failed":
        return BaseException, str(leaf)
    if leaf.kind == "step":
        others = [n for n in net.nodes if leaf.name in (n.labels or ())]
        if leaf.name in reviews or others:
            return _UNKNOWN, leaf.name
        return hints.get(leaf.name, {}).get("return", _UNKNOWN), leaf.name
    if leaf.kind == "name":
        givers = [node for node in net.nodes if leaf.name in (node.labels or ())]
        plain = givers and not any(node.name in reviews for node in givers)
        opened = net.open_routers & net.sources(leaf)
        if plain and not opened and not is_emitted(net, leaf):
            return str, f"the label {leaf.name!r}"
    return _UNKNOWN, leaf.name


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """A plain function's annotations; nothing of what is wrapped or cannot be read."""
    if hasattr(function, "__wrapped__") or not hasattr(function, "__code__"):
        return {}
    generator = 0x20 | 0x200  # inspect's CO_GENERATOR, CO_ASYNC_GENERATOR
    if function.__code__.co_flags & generator:
        return {}
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001 - an annotation may be anything
        return {}


def clash(given: Any, want: Any) -> bool:
    """Whether no value of type ``given`` can be one of type ``want``."""
    given, want = _plain(given), _plain(want)
    if _is_union(given):
        return all(clash(each, want) for each in typing.get_args(given))
    if _is_union(want):
        return all(clash(given, each) for each in typing.get_args(want))
    if typing.get_origin(given) is typing.Literal:
        return all(clash(type(each), want) for each in typing.get_args(given))
    if typing.get_origin(want) is typing.Literal:
        return all(clash(given, type(each)) for each in typing.get_args(want))
    one, other = _class_of(given), _class_of(want)
    if one is None or other is None:
        return False
    return not _fits(one, other)


def _plain(hint: Any) -> Any:
    """A type without what does not change its values."""
    if hint is None:
        return type(None)
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            hint = typing.get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):  # NewType
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        else:
            return hint


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in {typing.Union, types.UnionType}


def _class_of(hint: Any) -> type | None:
    """The class a type's values are of, None if that says nothing."""
    found = typing.get_origin(hint) or hint
    if not isinstance(found, type) or found in _ANYTHING:
        return None
    if typing.is_typeddict(found):
        return dict
    if getattr(found, "_is_protocol", False) or isinstance(hint, typing.TypeVar):
        return None
    return None if issubclass(found, _STREAMS) else found


def _fits(given: type, want: type) -> bool:
    if _is_sub(given, want) or _is_sub(want, given):
        return True
    if {given.__name__, want.__name__} <= _NUMBERS:
        return True
    if given is dict or _is_sub(given, collections.abc.Mapping):
        return _has_fields(want)  # pydantic makes one of the other
    if given is str:
        return issubclass(want, _FROM_TEXT) or want.__name__ in _FROM_TEXT_NAMES
    if issubclass(given, enum.Enum):
        return want in {str, int}
    lists = given is not str and want is not str
    return lists and _is_list(given) and _is_list(want)


def _is_list(kind: type) -> bool:
    return kind in _LISTS or _is_sub(
        kind, collections.abc.Sequence | collections.abc.Set
    )


def _has_fields(kind: type) -> bool:
    fields = ("model_fields", "__dataclass_fields__", "_fields", "__attrs_attrs__")
    return any(hasattr(kind, each) for each in fields)


def _is_sub(kind: type, of: Any) -> bool:
    try:
        return issubclass(kind, of)
    except TypeError:  # a class with rules of its own
        return True


def _shown(hint: Any) -> str:
    """A type as its author would write it."""
    if hint is None or hint is type(None):
        return "None"
    parts = typing.get_args(hint)
    if _is_union(hint):
        return " | ".join(map(_shown, parts))
    origin = typing.get_origin(hint)
    if isinstance(origin, type) and parts:
        return f"{_shown(origin)}[{', '.join(map(_shown, parts))}]"
    if isinstance(hint, type):
        return hint.__qualname__.rpartition(">.")[2]
    return str(hint).replace("typing.", "")
