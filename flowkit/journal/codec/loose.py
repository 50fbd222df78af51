"""Reading for people: what cannot be made again is shown as it was stored."""

from __future__ import annotations

import json
from typing import Any

from flowkit.errors import UnreadableError
from flowkit.journal.codec.reading import decode, not_ours, restored
from flowkit.journal.codec.text import ATOMS, write
from flowkit.journal.codec.writing import to_plain

__all__ = ["Lost", "decode_loosely"]


class Lost:
    """Stands for a stored value whose class is not there; ``plain`` is its JSON."""

    __slots__ = ("plain",)

    def __init__(self, plain: Any) -> None:
        self.plain: Any = plain

    def __repr__(self) -> str:
        return f"<not readable here: {write(self.plain)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lost) and self.plain == other.plain

    def __hash__(self) -> int:
        return hash(write(self.plain))


def decode_loosely(text: str) -> Any:
    """As :func:`decode`, with a :class:`Lost` for what cannot be made again.

    Raises:
        UnreadableError: text that is none of ours.
    """
    try:
        return decode(text)
    except UnreadableError:
        try:
            return _loose.decode(text)
        except (ValueError, RecursionError) as error:
            raise not_ours(text) from error


def _restored_loosely(found: dict[str, Any]) -> Any:
    try:
        return restored(found)
    except UnreadableError:
        return Lost({tag: _bare_tree(body) for tag, body in found.items()})


def _bare_tree(body: Any) -> Any:
    """What is inside a lost value, as plain as it was stored."""
    if isinstance(body, list):
        return [_bare_tree(each) for each in body]
    if isinstance(body, dict):
        return {key: _bare_tree(each) for key, each in body.items()}
    if isinstance(body, Lost):
        return body.plain
    return body if type(body) in ATOMS else to_plain(body, "a stored value")


_loose = json.JSONDecoder(object_hook=_restored_loosely)
