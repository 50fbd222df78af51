"""Cycles and depth, told apart only when something is too deep."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from flowkit.errors import UnstorableError
from flowkit.journal.codec.classes import own_of
from flowkit.journal.codec.values import DEEP, DEEPEST, FIXED, text_of

if TYPE_CHECKING:
    from flowkit.journal.codec.names import Refused

__all__ = [
    "explained",
]


def explained(fault: Refused, value: Any, where: str) -> UnstorableError:
    """The error of a refused value, with its place."""
    if fault.why is not DEEP:
        return fault.at(where)
    found = _cycle(value, where)
    if found:
        place, first = found
        what = f"{first} again"
        cure = "Store what leads back as an id or a name, and look it up."
        return UnstorableError(place, what, "makes a circle that has no end", cure)
    cure = "Store a flat list whose items name their parents."
    what = f"nested more than {DEEPEST} levels deep"
    return UnstorableError(where, what, "is deeper than a store can read again", cure)


def _cycle(value: Any, where: str) -> tuple[str, str] | None:
    """The place that holds one of its own ancestors, and that ancestor's place."""
    above: dict[int, str] = {id(value): where}
    stack = [(id(value), where, _parts(value))]
    while stack:
        number, place, parts = stack[-1]
        for step, child in parts:
            if id(child) in above:
                return place + step, above[id(child)]
            if type(child) not in FIXED and len(stack) <= DEEPEST:
                above[id(child)] = place + step
                stack.append((id(child), place + step, _parts(child)))
                break
        else:
            stack.pop()
            del above[number]
    return None


def _parts(value: Any) -> Any:
    if isinstance(value, dict):
        return iter(
            [(f"[{text_of(key, repr):.60}]", each) for key, each in dict.items(value)]
        )
    if isinstance(value, list | tuple | deque):
        return iter([(f"[{index}]", each) for index, each in enumerate(value)])
    names = [*own_of(value), *(getattr(value, "__dataclass_fields__", None) or ())]
    found = {name: getattr(value, name, None) for name in names}
    return iter([(f".{name}", each) for name, each in found.items()])
