"""Sizes of what is drawn, so that a layout can leave room for it.

Lengths are in px of the unscaled picture. Text is measured by a table, because
Python has no fonts: the sum is a little above what common sans-serif faces need.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

if TYPE_CHECKING:
    from flowkit.plot.diagram import Diagram, Edge, Node

__all__ = ["edge_label_size", "fit", "lines_of", "node_size", "text_width"]

NAME_SIZE = 13.0
SMALL_SIZE = 11.0
MARK_HEIGHT = 18.0
ROW_HEIGHT = 38.0
STATUS_HEIGHT = 16.0
ICON_ROOM = 20.0
PADDING = 12.0
WIDEST_NAME = 260.0
WIDEST_LABEL = 180.0

_NARROW = frozenset("iIjltf.,:;!|'`()[]{} -r/\\\"")
_WIDE = frozenset("mwMWQGO@%&#+=<>~…")


def text_width(text: str, size: float) -> float:
    """About how wide a text is, never much too little."""
    return sum(map(_em, text)) * size


def _em(char: str) -> float:
    if char in _NARROW:
        return 0.4
    if char in _WIDE or east_asian_width(char) in "WF":
        return 1.0 if ord(char) > 0x2E80 else 0.92  # noqa: PLR2004 - first CJK block
    return 0.72 if char.isupper() else 0.62


def fit(text: str, size: float, most: float) -> str:
    """The text, cut with an ellipsis if it is wider than ``most``."""
    if text_width(text, size) <= most:
        return text
    room = most - text_width("…", size)
    for index, char in enumerate(text):
        room -= _em(char) * size
        if room < 0:
            return text[:index] + "…"
    return text


def node_size(node: Node) -> tuple[float, float]:
    """Width and height of a node, both whole numbers."""
    width, height = _node_size(node)
    return float(ceil(width)), float(ceil(height))


def _node_size(node: Node) -> tuple[float, float]:
    if node.kind == "end":
        return 16.0, 16.0
    if node.kind == "join":
        return text_width(node.name, SMALL_SIZE) + 2 * PADDING, 24.0
    name = fit(node.name, NAME_SIZE, WIDEST_NAME)
    width = text_width(name, NAME_SIZE) + 2 * PADDING + ICON_ROOM * _icons(node)
    if node.kind in ("event", "outside"):
        return width, 32.0
    height = ROW_HEIGHT
    if node.mark:
        width = max(width, text_width(node.mark, SMALL_SIZE) + 2 * PADDING)
        height += MARK_HEIGHT
    if node.status and node.status.note:
        note = text_width(node.status.note, SMALL_SIZE)
        width = max(width, note + 2 * PADDING + ICON_ROOM)
        height += STATUS_HEIGHT
    return max(width, 92.0), height


def _icons(node: Node) -> int:
    """Number of icons in a node's row."""
    both = node.start and node.kind == "router"
    return 1 + both + node.is_async + (node.status is not None)


def edge_label_size(edge: Edge) -> tuple[float, float] | None:
    """Width and height of an edge's label, None without one."""
    if not edge.label:
        return None
    label = fit(edge.label, SMALL_SIZE, WIDEST_LABEL)
    return text_width(label, SMALL_SIZE) + 8.0, 16.0


def lines_of(drawn: Diagram) -> list[Edge]:
    """The edges as drawn: labels that take the same way share one line."""
    merged: dict[object, Edge] = {}
    for edge in drawn.edges:
        key = (edge.source, edge.target, edge.kind, edge.possible)
        other = merged.get(key)
        if other is None:
            merged[key] = edge
        else:
            merged[key] = replace(other, label=f"{other.label} | {edge.label}")
    return list(merged.values())
