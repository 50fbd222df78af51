"""A placed diagram as SVG: the one writer behind every drawn format.

What a reader may need is never told by colour alone: kinds have icons, statuses an
icon and a border of their own, possible edges are dashed, loops drawn thick. Icons
are paths, since fonts lack glyphs.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from flowkit.plot.measure import (
    ICON_ROOM,
    MARK_HEIGHT,
    NAME_SIZE,
    PADDING,
    SMALL_SIZE,
    WIDEST_LABEL,
    WIDEST_NAME,
    fit,
)
from flowkit.plot.theme import Theme, style_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowkit.plot.diagram import Edge, Node
    from flowkit.plot.layout import Box, Line, Placed

__all__ = ["draw", "svg"]

# Each icon fills a square of 16 px.
_ICONS = {
    "start": "M5 3.2l8 4.8-8 4.8z",
    "listen": "M8 4.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7",
    "router": "M8 1.8L14.2 8L8 14.2L1.8 8z",
    "event": "M9.2 1.2L3.2 9.2H7.6L6.6 14.8L12.8 6.6H8.4z",
    "outside": "M1.5 8h8M6.5 4.8l3.2 3.2-3.2 3.2M10 2h4v12h-4",
    "async": "M2 6.2c2-3 4-3 6 0s4 3 6 0M2 11c2-3 4-3 6 0s4 3 6 0",
    "ready": "M8 3.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9",
    "running": "M13.5 8a5.5 5.5 0 1 1-2.2-4.4M11.6 1v3h-3",
    "waiting": "M8 2.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 1 0 0-11.6M8 5v3.3l2.3 1.5",
    "done": "M3 8.5l3.4 3.4L13.2 4.6",
    "failed": "M4 4l8 8M12 4l-8 8",
    "cancelled": "M2.8 8h10.4",
}
_TITLES = {
    "start": "start",
    "listen": "listener",
    "router": "router",
    "event": "event from outside",
    "outside": "name from outside",
    "join": "join",
    "end": "labels that nobody hears",
}
_BEND = 7.0
# XML has no way to write these, escaped or not.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def svg(placed: Placed, *, theme: Theme = "auto") -> str:
    """A drawing that stands alone, with its style sheet.

    Args:
        placed: what to draw, and where.
        theme: ``light``, ``dark``, or ``auto`` for what the reader's system says.
    """
    style = f"<style>\n{style_sheet(theme)}</style>"
    size = f'width="{_n(placed.width)}" height="{_n(placed.height)}"'
    attributes = f'class="flowkit {theme}" role="img" {size}'
    return draw(placed, style=style, attributes=attributes)


def draw(placed: Placed, *, style: str = "", attributes: str = "") -> str:
    """The SVG element of a drawing, its style given or left to the page around it."""
    name = _text(placed.diagram.name)
    summary = _text(_summary(placed))
    size = f"0 0 {_n(placed.width)} {_n(placed.height)}"
    attributes += f' viewBox="{size}" aria-label="{summary}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>',
        f"<title>{name}</title>",
        f"<desc>{summary}</desc>",
        style,
        '<rect class="paper" width="100%" height="100%"/>',
        '<g class="drawing">',
        *_edges(placed.lines),
        *(_node(box) for box in placed.boxes),
        *_labels(placed.lines),
        "</g></svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def _summary(placed: Placed) -> str:
    drawn = placed.diagram
    steps = [n for n in drawn.nodes if n.kind in ("start", "listen", "router")]
    starts = ", ".join(node.name for node in steps if node.start) or "none"
    return (
        f"Flow {drawn.name}: {len(steps)} steps, {len(drawn.groups)} loops; "
        f"starts: {starts}"
    )


def _text(text: str) -> str:
    """Text that XML can carry, also in an attribute."""
    return escape(_UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text))


def _n(value: float) -> str:
    """A length without needless digits."""
    return f"{value:.1f}".removesuffix(".0")


def _icon(name: str, x: float, y: float, kind: str) -> str:
    at = f"translate({_n(x)} {_n(y)})"
    return f'<path class="icon {kind}" transform="{at}" d="{_ICONS[name]}"/>'


def _node(box: Box) -> str:
    """A node's group, drawn around its own upper left corner."""
    node = box.node
    classes = f"node {node.kind}"
    if node.status:
        classes += f" status-{node.status.state}"
    if node.kind == "end":
        shape = _end(box)
    elif node.kind == "join":
        shape = [_rect(box, box.height / 2), _mark(node.name, box.width, 16.0)]
    else:
        shape = list(_step(box))
    at = f"translate({_n(box.x)} {_n(box.y)})"
    return (
        f'<g class="{classes}" data-id="{_text(node.id)}" transform="{at}">'
        f"<title>{_text(_tip(node))}</title>{''.join(shape)}</g>"
    )


def _tip(node: Node) -> str:
    """What a pointer that rests on the node shows."""
    said = "async " if node.is_async else ""
    said += "start " if node.start and node.kind == "router" else ""
    lines = [f"{node.name} ({said}{_TITLES[node.kind]})", node.place, node.doc]
    if node.mark:
        lines.insert(1, f"waits for: {node.mark}")
    if node.status:
        note = f", {node.status.note}" if node.status.note else ""
        lines.insert(1, f"{node.status.state}{note}")
    return "\n".join(line for line in lines if line)


def _rect(box: Box, radius: float) -> str:
    return (
        f'<rect class="box" width="{_n(box.width)}" height="{_n(box.height)}" '
        f'rx="{_n(radius)}"/>'
    )


def _end(box: Box) -> list[str]:
    middle = _n(box.width / 2)
    return [
        f'<circle class="box" cx="{middle}" cy="{middle}" r="7"/>',
        f'<circle class="dot" cx="{middle}" cy="{middle}" r="3.5"/>',
    ]


def _mark(text: str, width: float, y: float) -> str:
    return f'<text class="mark" x="{_n(width / 2)}" y="{_n(y)}">{_text(text)}</text>'


def _step(box: Box) -> Iterator[str]:
    """Shapes of a node with a name: its band, icons, name and note."""
    node, top = box.node, 0.0
    yield _rect(box, box.height / 2 if node.kind in ("event", "outside") else 8.0)
    if node.mark:
        top = MARK_HEIGHT
        right = f"H{_n(box.width - 8)}a7 7 0 0 1 7 7V18z"
        yield f'<path class="band" d="M1 18V8a7 7 0 0 1 7-7{right}"/>'
        yield _mark(node.mark, box.width, 13.5)
    noted = bool(node.status and node.status.note)
    middle = top + (17.0 if noted else (box.height - top) / 2)
    x = PADDING - 2
    if node.start and node.kind == "router":
        yield _icon("start", x, middle - 8, "begins")
        x += ICON_ROOM
    yield _icon(node.kind, x, middle - 8, "kind")
    x += ICON_ROOM
    name = _text(fit(node.name, NAME_SIZE, WIDEST_NAME))
    yield f'<text class="name" x="{_n(x)}" y="{_n(middle + 4.5)}">{name}</text>'
    if node.status and noted:
        yield f'<text class="note" x="{_n(x)}" y="{_n(middle + 22)}">'
        yield f"{_text(node.status.note)}</text>"
    yield from _right_icons(node, box.width, middle)


def _right_icons(node: Node, width: float, middle: float) -> Iterator[str]:
    x = width - PADDING - 14
    if node.status:
        yield _icon(node.status.state, x, middle - 8, "state")
        x -= ICON_ROOM
    if node.is_async:
        yield _icon("async", x, middle - 8, "async")


def _edges(lines: Sequence[Line]) -> Iterator[str]:
    """Every line with its head; those of loops last, so that they lie on top."""
    numbered = sorted(enumerate(lines), key=lambda each: each[1].edge.back)
    for number, line in numbered:
        edge = line.edge
        classes = _edge_classes(edge)
        ends = f'data-source="{_text(edge.source)}" data-target="{_text(edge.target)}"'
        yield (
            f'<g class="way" data-line="{number}" {ends}>'
            f'<path class="edge {classes}" d="{_path(line.points)}"/>'
            f'<path class="head {classes}" d="{_head(line.points)}"/></g>'
        )


def _edge_classes(edge: Edge) -> str:
    more = [name for name in ("possible", "back") if getattr(edge, name)]
    return " ".join([edge.kind, *more])


def _labels(lines: Sequence[Line]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if line.edge.label and not line.shared:
            label = fit(line.edge.label, SMALL_SIZE, WIDEST_LABEL)
            cut = label != line.edge.label
            title = f"<title>{_text(line.edge.label)}</title>" if cut else ""
            x, y = _n(line.at[0]), _n(line.at[1] + 4)
            yield (
                f'<text class="label-text {_edge_classes(line.edge)}" '
                f'data-line="{number}" x="{x}" y="{y}">{_text(label)}{title}</text>'
            )


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A line through the points, its corners rounded."""
    if not points:
        return ""
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        a, b = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{_n(a[0])} {_n(a[1])}")
        parts.append(f"Q{_n(corner[0])} {_n(corner[1])} {_n(b[0])} {_n(b[1])}")
    parts.append(f"L{_n(points[-1][0])} {_n(points[-1][1])}")
    return "".join(parts)


def _towards(
    corner: tuple[float, float], other: tuple[float, float]
) -> tuple[float, float]:
    """The point where rounding of a corner begins on the way to another point."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    part = min(_BEND, length / 2) / length
    return corner[0] + dx * part, corner[1] + dy * part


def _head(points: Sequence[tuple[float, float]]) -> str:
    """A triangle whose tip is the line's end."""
    if len(points) < 2:  # noqa: PLR2004 - a direction needs two points
        return ""
    (x, y), before = points[-1], points[-2]
    dx, dy = x - before[0], y - before[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    dx, dy = dx / length, dy / length
    left = f"{_n(x - 8 * dx - 4 * dy)} {_n(y - 8 * dy + 4 * dx)}"
    right = f"{_n(x - 8 * dx + 4 * dy)} {_n(y - 8 * dy - 4 * dx)}"
    return f"M{_n(x)} {_n(y)}L{left}L{right}z"
