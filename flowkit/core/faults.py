"""What a fault of a definition is."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Fault", "closest"]


class Fault(NamedTuple):
    """Something wrong with a definition, as one sentence."""

    level: Literal["error", "warning", "hint"]
    step: str
    text: str


def closest(name: str, known: frozenset[str]) -> str | None:
    """The known name that looks most like this one, if any does."""
    from difflib import get_close_matches  # only a fault needs it

    found = get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return found[0] if found else None
