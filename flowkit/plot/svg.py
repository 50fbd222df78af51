"""A placed diagram as SVG, for files, notebooks and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.plot.canvas import (
    alone,
    draw_facts,
    element,
    facts_height,
    n,
    text,
)
from flowkit.plot.measure import SMALL_SIZE, WIDEST_LABEL, fit
from flowkit.plot.model import touched_by_runs
from flowkit.plot.shapes import draw_frame, draw_node, draw_title

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowkit.plot.layout import Line, Placed
    from flowkit.plot.model import Edge
    from flowkit.plot.theme import Theme

__all__ = ["draw", "svg"]

_BEND = 7.0
_LEAST_WIDTH = 440.0
_STEPS = ("start", "listen", "router", "flow", "several")


def svg(placed: Placed, *, theme: Theme = "auto") -> str:
    """A drawing that stands alone, with its style sheet.

    Args:
        placed: what to draw, and where.
        theme: ``light``, ``dark``, or ``auto`` for what the reader's system says.
    """
    drawn = placed.diagram
    width = max(placed.width, _LEAST_WIDTH if drawn.facts else 0.0)
    down = facts_height(drawn.facts, width)
    size = width, placed.height + down
    parts = list(_parts(placed))
    if down:
        across = (width - placed.width) / 2
        parts = [
            *draw_facts(drawn.facts, width),
            f'<g transform="translate({n(across)} {n(down)})">',
            *parts,
            "</g>",
        ]
    return element(
        drawn.name, _summary(placed), size, parts, **alone(size, theme, parts)
    )


def draw(placed: Placed, *, attributes: str = "") -> str:
    """The SVG element of a drawing whose style and facts the page around it has."""
    size = placed.width, placed.height
    return element(
        placed.diagram.name,
        _summary(placed),
        size,
        _parts(placed),
        attributes=attributes,
    )


def _parts(placed: Placed) -> Iterator[str]:
    for number, frame in enumerate(placed.frames):
        yield draw_frame(frame, number)
    yield from _edges(placed.lines)
    for number, frame in enumerate(placed.frames):
        yield draw_title(frame, number)
    touched = touched_by_runs(placed.diagram)
    for box in placed.boxes:
        yield draw_node(box, missed=box.node.id not in touched)
    yield from _labels(placed.lines)


def _summary(placed: Placed) -> str:
    drawn = placed.diagram
    steps = [node for node in drawn.nodes if node.kind in _STEPS]
    starts = ", ".join(node.name for node in steps if node.start) or "none"
    loops = sum(group.kind == "loop" for group in drawn.groups)
    count = sum(max(1, len(node.members)) for node in steps)
    told = [f"Flow {drawn.name}: {count} steps, {loops} loops; starts: {starts}"]
    return ". ".join([*told, *(fact.text for fact in drawn.facts)])


def _edges(lines: Sequence[Line]) -> Iterator[str]:
    """Every line with its head; those of loops and of a run last, on top."""
    numbered = sorted(enumerate(lines), key=_depth)
    for number, line in numbered:
        edge = line.edge
        classes = _edge_classes(edge)
        ends = f'data-source="{text(edge.source)}" data-target="{text(edge.target)}"'
        yield (
            f'<g class="way" data-line="{number}" {ends}>'
            f'<path class="edge {classes}" d="{_path(line.points)}"/>'
            f'<path class="head {classes}" d="{_head(line.points)}"/></g>'
        )


def _depth(numbered: tuple[int, Line]) -> tuple[bool, bool]:
    edge = numbered[1].edge
    return not edge.missed, edge.back


def _edge_classes(edge: Edge) -> str:
    more = [name for name in ("possible", "back", "missed") if getattr(edge, name)]
    if len(edge.taken) == 1 and not edge.missed:
        more.append("taken")
    elif edge.taken and not edge.missed:
        more.append(_who(edge.taken))
    return " ".join([edge.kind, *more])


def _who(taken: tuple[int, ...]) -> str:
    """Which of two runs went this way."""
    first, second = taken[:2]
    return "taken" if first and second else "first" if first else "second"


def _labels(lines: Sequence[Line]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if line.edge.label and not line.shared:
            label = fit(line.edge.label, SMALL_SIZE, WIDEST_LABEL)
            cut = label != line.edge.label
            title = f"<title>{text(line.edge.label)}</title>" if cut else ""
            x, y = n(line.at[0]), n(line.at[1] + 4)
            yield (
                f'<text class="label-text {_edge_classes(line.edge)}" '
                f'data-line="{number}" x="{x}" y="{y}">{text(label)}{title}</text>'
            )


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A line through the points, its corners rounded."""
    if not points:
        return ""
    parts = [f"M{n(points[0][0])} {n(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        a, b = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{n(a[0])} {n(a[1])}")
        parts.append(f"Q{n(corner[0])} {n(corner[1])} {n(b[0])} {n(b[1])}")
    parts.append(f"L{n(points[-1][0])} {n(points[-1][1])}")
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
    left = f"{n(x - 8 * dx - 4 * dy)} {n(y - 8 * dy + 4 * dx)}"
    right = f"{n(x - 8 * dx + 4 * dy)} {n(y - 8 * dy - 4 * dx)}"
    return f"M{n(x)} {n(y)}L{left}L{right}z"
