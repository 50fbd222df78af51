"""What a fault of a definition is."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Fault", "closest"]


class Fault(NamedTuple):
    """Something wrong with a definition.

    Attributes:
        level: an ``error`` must be mended, a ``warning`` is probably not meant, a
            ``hint`` may be.
        step: the step's name, ``""`` if it is about no step.
        text: what is wrong, the cure, and the place in parentheses.
        flow: the flow's name.
        file: the source file, ``""`` if unknown.
        line: of the file, 0 if unknown.
    """

    level: Literal["error", "warning", "hint"]
    step: str
    text: str
    flow: str = ""
    file: str = ""
    line: int = 0


def closest(name: str, known: frozenset[str]) -> str | None:
    """The known name that looks most like this one, if any does."""
    from difflib import get_close_matches  # only a fault needs it

    found = get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return found[0] if found else None
