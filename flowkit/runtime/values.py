"""Copies and comparisons of state values, and how parallel changes are joined.

What cannot be copied (a lock, a client, an open file) is kept by reference and
compared by identity: a state in memory may hold anything.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ATOMS", "MISSING", "NotJoined", "join_values", "same", "snapshot"]


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = _Missing()
ATOMS: Final[set[type]] = {type(None), bool, int, float, complex, str, bytes, _Missing}
"""Types whose values can't change in place; dates join them with the first model."""


def snapshot(value: Any) -> Any:
    """A copy of a value's containers and models; anything else is shared."""
    kind = type(value)
    if kind in ATOMS:
        return value
    copy = _COPIES.get(kind)
    if copy is not None:
        return copy(value)
    if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_fields"):
        return _model_copy(value)
    if hasattr(kind, "__dataclass_fields__") and hasattr(value, "__dict__"):
        return _object_copy(value)
    return value


def _list_copy(value: list[Any]) -> list[Any]:
    return value[:] if _flat(value) else [snapshot(each) for each in value]


def _dict_copy(value: dict[Any, Any]) -> dict[Any, Any]:
    return {key: snapshot(each) for key, each in value.items()}


def _tuple_copy(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return value if _flat(value) else tuple(snapshot(each) for each in value)


_COPIES: dict[type, Callable[[Any], Any]] = {
    list: _list_copy,
    dict: _dict_copy,
    set: set,
    tuple: _tuple_copy,
}


def _flat(values: Any) -> bool:
    return ATOMS.issuperset(map(type, values))


def _model_copy(value: Any) -> Any:
    kind: Any = type(value)
    new = kind.__new__(kind)
    fields = {key: snapshot(each) for key, each in value.__dict__.items()}
    object.__setattr__(new, "__dict__", fields)
    object.__setattr__(new, "__pydantic_extra__", snapshot(value.__pydantic_extra__))
    given = set(value.__pydantic_fields_set__)
    object.__setattr__(new, "__pydantic_fields_set__", given)
    private = value.__pydantic_private__
    copied = None if private is None else {k: snapshot(v) for k, v in private.items()}
    object.__setattr__(new, "__pydantic_private__", copied)
    return new


def _object_copy(value: Any) -> Any:
    new = object.__new__(type(value))
    for key, each in value.__dict__.items():
        object.__setattr__(new, key, snapshot(each))
    return new


def same(first: Any, second: Any) -> bool:
    """Whether two values are equal for all a state is concerned."""
    if first is second:
        return True
    if type(first) is not type(second):
        return False
    try:
        return bool(first == second)
    except Exception:  # noqa: BLE001 - a type whose == has no truth value differs
        return False


class NotJoined(Exception):  # noqa: N818 - tells the caller, never leaves the package
    """Two changes of one value that nothing says how to join."""


def join_values(
    base: Any,
    current: Any,
    mine: Any,
    reducer: Callable[..., Any] | None,
    *,
    grown: bool = False,
) -> Any:
    """One value from two changes of ``base``, the committed one first.

    A reducer is asked with the committed value and the step's; for ``operator.add``
    the step's is what it added. Without one, additions to a list or set and
    changes at distinct keys of a dictionary are joined.

    Args:
        grown: ``mine`` was changed in place, so what it gained is an addition even
            if the other step added the same.

    Raises:
        NotJoined: nothing says how.
    """
    if reducer is operator.add:  # also for equal values: two steps that add 1 add 2
        return operator.add(current, _added(base, mine))
    if reducer is not None:
        return reducer(current, mine)
    kind = type(mine)
    if base is MISSING and kind in {list, set, dict}:
        base = kind()
    if same(current, mine) and not (grown and kind is list):
        return current
    if type(current) is kind and type(base) is kind:
        if kind is list and mine[: len(base)] == base == current[: len(base)]:
            return current + mine[len(base) :]
        if kind is set and base <= mine and base <= current:
            return current | mine
        if kind is dict:
            return _join_dicts(base, current, mine)
    raise NotJoined


def _added(base: Any, mine: Any) -> Any:
    if isinstance(mine, list | tuple | str | bytes):
        if base is not MISSING and mine[: len(base)] == base:
            return mine[len(base) :]
        return mine
    return mine if base is MISSING else mine - base


def _join_dicts(
    base: dict[Any, Any], current: dict[Any, Any], mine: dict[Any, Any]
) -> dict[Any, Any]:
    joined = dict(current)
    for key in [*mine, *(key for key in base if key not in mine)]:
        was, now = base.get(key, MISSING), mine.get(key, MISSING)
        if same(was, now):
            continue
        theirs = current.get(key, MISSING)
        if not same(was, theirs) and not same(now, theirs):
            raise NotJoined
        if now is MISSING:
            joined.pop(key, None)
        else:
            joined[key] = now
    return joined
