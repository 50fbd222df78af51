"""Sizes of what is drawn, so that a layout can leave room for it.

Lengths are in px of the unscaled picture. Text is measured by a table, because
Python has no fonts: the sum is a little above what common sans-serif faces need.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from flowkit.plot.model import plain_label, times

if TYPE_CHECKING:
    from flowkit.plot.model import Diagram, Edge, Group, Mark, Node

__all__ = [
    "Face",
    "badge_width",
    "edge_label_size",
    "face",
    "fit",
    "frame_title",
    "lines_of",
    "marks_width",
    "node_size",
    "text_width",
    "wrap",
]

NAME_SIZE = 13.0
SMALL_SIZE = 11.0
MARK_HEIGHT = 18.0
ROW_HEIGHT = 38.0
LINE_HEIGHT = 17.0
NOTE_HEIGHT = 15.0
MARKS_HEIGHT = 20.0
MARK_ICON = 12.0
ICON_ROOM = 20.0
PADDING = 12.0
TITLE_LEFT = 27.0
WIDEST_NAME = 220.0
WIDEST_NOTE = 240.0
WIDEST_LABEL = 180.0
MOST_LINES = 3

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


@lru_cache(maxsize=4096)
def wrap(text: str, size: float, most: float, lines: int) -> tuple[str, ...]:
    """The text in lines no wider than ``most``; what does not fit is cut.

    A line ends after ``_``, ``-``, ``.``, ``/`` or a space, or before a capital
    letter; a word that is too long for a line ends anywhere.
    """
    found = [""]
    for word in _words(text):
        if text_width(found[-1] + word.rstrip(), size) <= most:
            found[-1] += word
        elif text_width(word.rstrip(), size) <= most and found[-1]:
            found.append(word)
        else:
            for char in word:
                if text_width(found[-1] + char, size) > most:
                    found.append("")
                found[-1] += char
    kept = [line.rstrip() for line in found[:lines]]
    if len(found) > lines:
        kept[-1] = fit(kept[-1] + "".join(found[lines:]), size, most)
    return tuple(kept)


def _words(text: str) -> list[str]:
    words = [""]
    for before, char in zip("\0" + text, text, strict=False):
        ends = before in "_-./ " or (char.isupper() and before.islower())
        if ends and words[-1]:
            words.append("")
        words[-1] += char
    return words


@dataclass(frozen=True, slots=True)
class Face:
    """What a node's box shows, line by line, and how large that makes it.

    Attributes:
        names: the name's lines.
        notes: smaller lines below it.
        top: height of the band that says how inputs are joined, or 0.
        middle: where the icons' row has its middle.
        width: of the box.
        height: of the box.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...]
    top: float
    middle: float
    width: float
    height: float


def face(node: Node) -> Face:
    """The lines of a node that is drawn as a box."""
    names = wrap(node.name, NAME_SIZE, WIDEST_NAME, MOST_LINES)
    told = [node.about] if node.about else []
    told += node.status.note.split("\n") if node.status and node.status.note else []
    notes = tuple(fit(line, SMALL_SIZE, WIDEST_NOTE) for line in told)
    top = MARK_HEIGHT if node.mark else 0.0
    least = 32.0 if node.kind in ("event", "outside") else ROW_HEIGHT
    text = LINE_HEIGHT * len(names) + NOTE_HEIGHT * len(notes)
    height = max(least, text + 16.0)
    middle = top + (height - NOTE_HEIGHT * len(notes)) / 2
    width = max(text_width(name, NAME_SIZE) for name in names)
    icons = ICON_ROOM * _icons(node)
    width = max([width + icons, *(_note_width(note) for note in notes)])
    if node.mark:
        width = max(width, text_width(node.mark, SMALL_SIZE))
    if node.marks:
        width = max(width, marks_width(node.marks))
        height += MARKS_HEIGHT - 4.0
    least = 0.0 if node.kind in ("event", "outside") else 92.0
    return Face(
        names, notes, top, middle, max(least, width + 2 * PADDING), top + height
    )


def _note_width(note: str) -> float:
    return text_width(note, SMALL_SIZE) + ICON_ROOM


def marks_width(marks: tuple[Mark, ...]) -> float:
    """How wide a row of marks is, from its first icon to its last text."""
    return sum(mark_width(mark) for mark in marks) - 8.0


def mark_width(mark: Mark) -> float:
    """How far the next mark begins after this one."""
    text = text_width(mark.text, SMALL_SIZE - 1) + 3.0 if mark.text else 0.0
    return MARK_ICON + text + 8.0


def frame_title(group: Group) -> tuple[str, float]:
    """The title of a box, and how much room it takes with its icon and marks."""
    title = fit(group.name, SMALL_SIZE, WIDEST_NAME)
    marks = marks_width(group.marks) + 10.0 if group.marks else 0.0
    return title, TITLE_LEFT + text_width(title, SMALL_SIZE) + marks + PADDING


def badge_width(count: int) -> float:
    """Width of the badge that says how often a step fired."""
    return text_width(times(count), SMALL_SIZE) + 12.0


def node_size(node: Node) -> tuple[float, float]:
    """Width and height of a node, both whole numbers."""
    if node.kind == "end":
        return 16.0, 16.0
    if node.kind == "join":
        width = text_width(node.name, SMALL_SIZE) + 2 * PADDING
        return float(ceil(width)), 24.0
    drawn = face(node)
    return float(ceil(drawn.width)), float(ceil(drawn.height))


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
    """The edges as drawn: labels that take the same way share one line.

    Their labels tell what the runs that are drawn made of them, too.
    """
    merged: dict[object, Edge] = {}
    for edge in drawn.edges:
        key = (edge.source, edge.target, edge.kind, edge.possible)
        label, other = plain_label(edge), merged.get(key)
        if other is None:
            merged[key] = replace(edge, label=label)
        else:
            taken = tuple(map(sum, zip(other.taken, edge.taken, strict=True)))
            merged[key] = replace(other, label=f"{other.label} | {label}", taken=taken)
    return list(merged.values())
