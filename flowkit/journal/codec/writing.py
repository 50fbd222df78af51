"""The way out: values to trees of what JSON has, trees to text."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import Any

from flowkit.journal.codec.circles import explained
from flowkit.journal.codec.classes import writer_for
from flowkit.journal.codec.names import Refused
from flowkit.journal.codec.text import ATOMS, LARGE, NEXT, write
from flowkit.journal.codec.values import makers, tree_of

__all__ = [
    "encode",
    "to_plain",
]


def encode(value: Any, where: str) -> str:
    """A value as JSON text, in ASCII.

    Args:
        value: anything that can come back as itself.
        where: its place, for the error: ``state.items``.

    Raises:
        UnstorableError: it holds something that cannot be stored.
    """
    kind = type(value)
    if kind is str:
        text: str = encode_basestring_ascii(value)
        if "\\ud" not in text:
            return text
    elif kind is int and -LARGE < value < LARGE:
        return repr(value)
    elif value is None or kind is bool:
        return "null" if value is None else "true" if value else "false"
    elif kind is dict or kind is list:
        quick = _quick(value, kind)
        if quick:
            return quick
    try:
        return write(tree_of(value, 0))
    except Refused as fault:
        raise explained(fault, value, where) from None


def _quick(value: Any, kind: type) -> str:
    """The text of a flat list or dictionary; "" if it is not, or may be none."""
    if kind is dict:
        keys = set(map(type, value))
        if keys != _TEXT or min(value) < NEXT:
            return ""
        kinds = set(map(type, value.values()))
    else:
        kinds = set(map(type, value))
    if not kinds <= ATOMS:
        return ""
    try:
        text = write(value)
    except ValueError:  # not a finite number, or too long a one
        return ""
    return "" if "\\ud" in text else text


def to_plain(value: Any, where: str) -> Any:
    """A value as a part of a bigger document: a tree of what JSON has.

    It may share lists and dictionaries with the value: :func:`write` it before the
    value can change.

    Raises:
        UnstorableError: it holds something that cannot be stored.
    """
    try:
        return tree_of(value, 0)
    except Refused as fault:
        raise explained(fault, value, where) from None


_TEXT = {str}


makers[:] = [writer_for]
