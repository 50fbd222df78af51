"""Places where events and waits meet: a flow, a name, a key."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Spot", "arrays", "bucket", "number"]

BUCKETS = 1024
"""Locks for places: more would fill the server's lock table, fewer would make
strangers wait for each other."""


class Spot(NamedTuple):
    """Where letters for a flow's runs arrive. ``key`` None is a key of its own."""

    flow: str
    name: str
    key: str | None

    @property
    def slot(self) -> str:
        """The key as the column ``slot`` has it."""
        return "" if self.key is None else f"={self.key}"


def number(text: str) -> int:
    """The same integer of 32 bits for a text in every process, with its sign."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) - 2**31


def bucket(spot: Spot) -> int:
    """Which lock a place has."""
    return (number(f"{spot.flow}\0{spot.name}\0{spot.slot}") + 2**31) % BUCKETS


def arrays(spots: Iterable[Spot]) -> dict[str, list[str]]:
    """Places as one list a column."""
    spots = list(spots)
    return {
        "flows": [spot.flow for spot in spots],
        "names": [spot.name for spot in spots],
        "slots": [spot.slot for spot in spots],
    }
