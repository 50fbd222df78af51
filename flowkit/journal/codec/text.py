"""What JSON has as it is, and the text of a tree of it."""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring_ascii
from math import isfinite
from types import NoneType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "ATOMS",
    "LARGE",
    "MARK",
    "NEXT",
    "SPLIT",
    "all_flat",
    "open_keys",
    "write",
]

MARK = "!"

NEXT = '"'  # what begins with the mark sorts before

LARGE = 1 << 2000  # larger integers are written in hex: their decimal text is bounded

SHORT = 16  # values up to which one loop beats several fast passes

_make: Any = getattr(json.encoder, "c_make_encoder", None)  # not on every Python

_slow = json.JSONEncoder(allow_nan=False, separators=(",", ":"), check_circular=False)

_chunks: Any = _make and _make(
    None,
    _slow.default,
    encode_basestring_ascii,
    None,
    ":",
    ",",
    False,  # noqa: FBT003 - sort_keys, skipkeys, allow_nan: positional only
    False,  # noqa: FBT003
    False,  # noqa: FBT003
)


def write(plain: Any) -> str:
    """The text of a tree of what JSON has, such as :func:`to_plain` gives."""
    return "".join(_chunks(plain, 0)) if _chunks else _slow.encode(plain)


ATOMS: set[Any] = {NoneType, bool, int, float, str}

SPLIT = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def unsplit(values: Iterable[str]) -> bool:
    """No halves of a character beside each other, which JSON would join."""
    joined = "".join(values)
    return joined.isascii() or not SPLIT.search(joined)


def _always(values: Any) -> bool:
    return True


_BULK: dict[type, Callable[[Any], bool]] = {
    NoneType: _always,
    bool: _always,
    int: lambda values: max(values) < LARGE and min(values) > -LARGE,
    float: lambda values: all(map(isfinite, values)),
    str: unsplit,
}


def all_flat(values: Any) -> bool:
    """Whether JSON has each of these values as it is."""
    if len(values) <= SHORT:
        return all(map(_is_one, values))
    kinds = set(map(type, values))
    if len(kinds) == 1 and kinds <= ATOMS:
        return _BULK[kinds.pop()](values)
    return kinds <= ATOMS and all(
        _BULK[kind]([each for each in values if type(each) is kind]) for kind in kinds
    )


def _is_one(value: Any) -> bool:
    kind = type(value)
    if kind is str:
        return value.isascii() or not SPLIT.search(value)
    if kind is int:
        return bool(-LARGE < value < LARGE)
    if kind is float:
        return isfinite(value)
    return kind is bool or value is None


def open_keys(value: Mapping[Any, Any]) -> bool:
    """Whether a dictionary's keys can be those of a JSON object."""
    if not value:
        return True
    if set(map(type, value)) != {str} or not unsplit(value):
        return False
    return min(value) >= NEXT or not any(key[:1] == MARK for key in value)
