"""The pieces of SVG that every drawing is made of, and the element around them.

What a reader may need is never told by colour alone: kinds have icons, statuses an
icon and a border of their own, possible edges are dashed, loops drawn thick.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from flowkit.plot.icons import ICONS, SIDE
from flowkit.plot.measure import SMALL_SIZE, wrap
from flowkit.plot.theme import Theme, style_sheet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowkit.plot.model import Fact, State

__all__ = [
    "FACT_HEIGHT",
    "alone",
    "draw_facts",
    "element",
    "fact_rows",
    "facts_height",
    "icon",
    "n",
    "text",
    "words",
]

FACT_HEIGHT = 20.0
_FACTS_GAP = 10.0
_FACT_MARGIN = 24.0
_FACT_ICON = 20.0
_MOST_ROWS = 3
# XML has no way to write these, escaped or not.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


_CLASSES = re.compile(r'class="([^"]*)"')


def text(said: str) -> str:
    """Text that XML can carry, also in an attribute."""
    return escape(_UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", said))


def n(value: float) -> str:
    """A length without needless digits."""
    # A hair more: where a sum ends on a half differs from Python to Python.
    return f"{value + 1e-6:.1f}".removesuffix(".0")


def icon(name: str, x: float, y: float, kind: str, side: float = SIDE) -> str:
    """An icon whose upper left corner is at a place."""
    at = f"translate({n(x)} {n(y)})"
    if side != SIDE:
        at += f" scale({side / SIDE:.3g})"
    return f'<path class="icon {kind}" transform="{at}" d="{ICONS[name]}"/>'


def words(kind: str, x: float, y: float, said: str) -> str:
    """A line of text."""
    return f'<text class="{kind}" x="{n(x)}" y="{n(y)}">{text(said)}</text>'


def fact_rows(facts: Iterable[Fact], width: float) -> list[tuple[State | None, str]]:
    """The lines above a drawing as rows, none wider than it; an icon begins a line."""
    found: list[tuple[State | None, str]] = []
    room = width - 2 * _FACT_MARGIN - _FACT_ICON
    for fact in facts:
        state = fact.state
        for line in wrap(fact.text, SMALL_SIZE + 1, room, _MOST_ROWS):
            found.append((state, line))
            state = None
    return found


def facts_height(facts: Iterable[Fact], width: float) -> float:
    """How much room the lines above a drawing take."""
    rows = fact_rows(facts, width)
    return FACT_HEIGHT * len(rows) + _FACTS_GAP if rows else 0.0


def draw_facts(facts: Iterable[Fact], width: float) -> Iterator[str]:
    """The lines above a drawing, all with room for an icon before them."""
    for row, (state, said) in enumerate(fact_rows(facts, width)):
        y = _FACT_MARGIN - 8.0 + FACT_HEIGHT * row
        if state:
            shape = icon(state, _FACT_MARGIN, y - 4, "state", 14.0)
            yield f'<g class="status-{state}">{shape}</g>'
        yield words("fact", _FACT_MARGIN + _FACT_ICON, y + 8.0, said)


def element(
    name: str,
    summary: str,
    size: tuple[float, float],
    parts: Iterable[str],
    *,
    style: str = "",
    attributes: str = "",
) -> str:
    """The SVG element of a drawing, its style given or left to the page around it."""
    summary = text(summary)
    attributes += f' viewBox="0 0 {n(size[0])} {n(size[1])}" aria-label="{summary}"'
    written = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>',
        f"<title>{text(name)}</title>",
        f"<desc>{summary}</desc>",
        style,
        '<rect class="paper" width="100%" height="100%"/>',
        '<g class="drawing">',
        *parts,
        "</g></svg>\n",
    ]
    return "\n".join(part for part in written if part)


def alone(
    size: tuple[float, float], theme: Theme, parts: Iterable[str]
) -> dict[str, str]:
    """Style and attributes of a drawing that stands alone, with the rules it needs."""
    names = " ".join(each for part in parts for each in _CLASSES.findall(part))
    used = {"paper", *names.split()}
    room = f'width="{n(size[0])}" height="{n(size[1])}"'
    return {
        "style": f"<style>\n{style_sheet(theme, used)}</style>",
        "attributes": f'class="flowkit {theme}" role="img" {room}',
    }
