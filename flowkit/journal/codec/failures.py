"""Exceptions: always written, by what the interpreter itself would pickle."""

from __future__ import annotations

from threading import local
from typing import TYPE_CHECKING, Any

from flowkit.errors import RestoredError
from flowkit.journal.codec.names import Refused, label_of, name_of, noun
from flowkit.journal.codec.values import check_depth, keyed, text_of, tree_of, write_str

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "rebuilt",
    "write_error",
]


def _builtin_base(kind: type) -> Any:
    return next(each for each in kind.__mro__ if each.__module__ == "builtins")


_telling = local()  # exceptions under way: one may hold itself, or what holds it


def write_error(error: BaseException, depth: int) -> Any:
    """An exception with what of it can be stored."""
    check_depth(depth)
    told: set[int] = _telling.__dict__.setdefault("ids", set())
    if id(error) in told:
        raise Refused(noun(type(error)), "holds itself")
    told.add(id(error))
    try:
        return {"!error": _error_body(error, depth)}
    finally:
        told.discard(id(error))


def _error_body(error: BaseException, depth: int) -> list[Any]:
    kind = type(error)
    try:
        name = name_of(kind)
        _, args, *rest = _builtin_base(kind).__reduce__(error)
        rebuilt(kind, args)
    except Exception:  # noqa: BLE001 - whatever its class does, the error is told
        kind_name = f"{kind.__module__}.{kind.__qualname__}"
        name, rest = label_of(RestoredError), [{"kind": kind_name}]
        args = (f"{kind_name}: {text_of(error)}",)
    state = _kept_state(rest[0] if rest and rest[0] else {}, depth)
    body: list[Any] = [name, [_kept(each, depth) for each in args], state]
    if error.__cause__ is not None:
        body.append(_kept(error.__cause__, depth))
    return body


def _kept(value: Any, depth: int) -> Any:
    """An argument of an exception, or its text if it cannot be stored."""
    try:
        return tree_of(value, depth)
    except Refused:
        return write_str(text_of(value, repr), depth)


def _kept_state(state: Mapping[str, Any], depth: int) -> Any:
    out = {}
    for key, each in state.items():
        try:
            out[key] = tree_of(each, depth)
        except Refused:
            continue
    return keyed(out)


def rebuilt(kind: Any, args: tuple[Any, ...]) -> Any:
    """An exception without a call to what its class defines."""
    base = _builtin_base(kind)
    error = base.__new__(kind, *args)
    if not isinstance(error, BaseExceptionGroup):
        base.__init__(error, *args)
    return error
