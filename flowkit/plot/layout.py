"""Places for a diagram's nodes and edges.

:func:`layout` is the only door to the layout engine, so that another can take its
place. :func:`unplaced` gives the same sizes without an engine, for pages whose
browser finds the places.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from flowkit.errors import MissingExtraError
from flowkit.plot.measure import edge_label_size, frame_title, lines_of, node_size
from flowkit.plot.model import nested

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.plot.model import Diagram, Edge, Group, Node

__all__ = ["Box", "Frame", "Line", "Placed", "layout", "unplaced"]

Point = tuple[float, float]

_MARGIN = 24.0
# Above so many nodes the engine tries fewer orders: half the time, one crossing in ten
# more.
_LARGE = 150
# Closer than this, two coordinates are the same.
_SAME = 0.05
_OPTIONS = {
    "direction": "topbottom",
    "spacing": {
        "layer_gap": 40.0,
        "node_gap": 26.0,
        "dummy_gap": 20.0,
        "compound_padding": 16.0,
        "compound_header": 14.0,
    },
}


@dataclass(frozen=True, slots=True)
class Box:
    """A node and where its upper left corner is."""

    node: Node
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Frame:
    """A group that is drawn as a box, and where its upper left corner is."""

    group: Group
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """An edge, its corners from source to target, and the middle of its label.

    Attributes:
        shared: the label is another line's as well, and drawn with that one.
    """

    edge: Edge
    points: tuple[Point, ...] = ()
    at: Point = (0.0, 0.0)
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A diagram with places; all coordinates are at least 0."""

    diagram: Diagram
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float
    frames: tuple[Frame, ...] = ()


def layout(drawn: Diagram) -> Placed:
    """Where everything goes; the same diagram always gets the same places.

    Raises:
        MissingExtraError: the layout engine is not installed.
    """
    try:
        # Native code of 4 MB, needed by nothing but this.
        import graphlay
    except ImportError as error:
        raise MissingExtraError("Drawing .svg", "plot") from error
    request = _Request(drawn)
    effort = "fast" if len(drawn.nodes) > _LARGE else "balanced"
    options = {**_OPTIONS, "effort": effort}
    return request.placed(graphlay.layout(request.graph(), options=options))


def unplaced(drawn: Diagram) -> Placed:
    """Everything with its size and at no place yet."""
    boxes = tuple(Box(node, 0.0, 0.0, *node_size(node)) for node in drawn.nodes)
    lines = tuple(Line(edge) for edge in lines_of(drawn))
    frames = tuple(Frame(group, 0.0, 0.0, 240.0, 40.0) for group in nested(drawn)[0])
    return Placed(drawn, boxes, lines, 100.0, 100.0, frames)


class _Request:
    """The diagram as the engine's graph, and its answer read back.

    A label is a small node on its way, so that it has room and sits on its own line
    and on no other; the ways of a router that carry one label share it until there.
    """

    def __init__(self, drawn: Diagram) -> None:
        self.drawn = drawn
        self.nodes: list[dict[str, Any]] = []
        self.ways: list[dict[str, Any]] = []
        self._place: dict[str, int] = {}
        self._labels: dict[object, tuple[int, int]] = {}
        self._edges: list[tuple[Edge, list[int], int | None]] = []
        self.groups, self._inside, around = nested(drawn)
        for node in drawn.nodes:
            self._place[node.id] = self._node(
                *node_size(node), self._inside.get(node.id, -1)
            )
        for group, outer in zip(self.groups, around, strict=True):
            self._node(frame_title(group)[1], 10.0, outer)  # as wide at least
        self._around = around
        for edge in lines_of(drawn):
            self._edge(edge)

    def graph(self) -> dict[str, Any]:
        """What the engine is asked to lay out."""
        return {"nodes": self.nodes, "edges": self.ways}

    def _node(self, width: float, height: float, box: int = -1) -> int:
        node: dict[str, Any] = {"size": {"width": width, "height": height}}
        if box >= 0:
            node["parent"] = len(self.drawn.nodes) + box
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _common(self, edge: Edge) -> int:
        """The innermost box around both ends of an edge, -1 for none."""
        outer = set()
        box = self._inside.get(edge.source, -1)
        while box >= 0:
            outer.add(box)
            box = self._around[box]
        box = self._inside.get(edge.target, -1)
        while box >= 0 and box not in outer:
            box = self._around[box]
        return box

    def _way(self, source: int, target: int, edge: Edge) -> int:
        way = {"source": source, "target": target, "reverse_for_ranking": edge.back}
        self.ways.append(way)
        return len(self.ways) - 1

    def _edge(self, edge: Edge) -> None:
        source, target = self._place[edge.source], self._place[edge.target]
        size = edge_label_size(edge)
        if size is None:
            self._edges.append((edge, [self._way(source, target, edge)], None))
            return
        key = (source, edge.label, edge.kind, edge.possible, edge.back)
        if key not in self._labels:
            label = self._node(*size, self._common(edge))
            # A step's way to itself goes down to its label and back up.
            down = replace(edge, back=False) if source == target else edge
            self._labels[key] = (label, self._way(source, label, down))
        label, way = self._labels[key]
        self._edges.append((edge, [way, self._way(label, target, edge)], label))

    def placed(self, found: Any) -> Placed:
        """The engine's answer as a placed diagram."""
        low, high = found.bounds["min"], found.bounds["max"]
        left, top = _MARGIN - low["x"], _MARGIN - low["y"]
        width = high["x"] - low["x"] + 2 * _MARGIN
        height = high["y"] - low["y"] + 2 * _MARGIN
        boxes = []
        # Boxes and labels are the nodes after those of the diagram.
        for node, at in zip(self.drawn.nodes, found.nodes, strict=False):
            wide, high_ = at["size"]["width"], at["size"]["height"]
            x, y = at["center"]["x"] - wide / 2, at["center"]["y"] - high_ / 2
            boxes.append(Box(node, x + left, y + top, wide, high_))
        placed = {box.node.id: box for box in boxes}
        lines = tuple(
            replace(line, points=_cut(line.points, placed[line.edge.target]))
            for line in self._line(found, left, top)
        )
        frames = tuple(self._frames(found, left, top))
        return Placed(self.drawn, tuple(boxes), lines, width, height, frames)

    def _frames(self, found: Any, left: float, top: float) -> Iterator[Frame]:
        for index, group in enumerate(self.groups, len(self.drawn.nodes)):
            at = found.nodes[index]
            wide, high = at["size"]["width"], at["size"]["height"]
            x, y = at["center"]["x"] - wide / 2, at["center"]["y"] - high / 2
            yield Frame(group, x + left, y + top, wide, high)

    def _line(self, found: Any, left: float, top: float) -> Iterator[Line]:
        seen: set[int] = set()
        for edge, ways, label in self._edges:
            parts = [found.edges[way]["points"] for way in ways]
            anchor = found.edges[ways[0]].get("label_anchor") or parts[0][0]
            if label is not None:
                anchor = found.nodes[label]["center"]
                # Both halves end at the label's border; it hides the step between.
                ends = (parts[0][-1], parts[1][0])
                parts.insert(1, [{"x": p["x"], "y": anchor["y"]} for p in ends])
            points = [(p["x"] + left, p["y"] + top) for part in parts for p in part]
            at = (anchor["x"] + left, anchor["y"] + top)
            shared = label is not None and label in seen
            seen.add(-1 if label is None else label)
            yield Line(edge, _straightened(points), at, shared=shared)


def _cut(points: tuple[Point, ...], box: Box) -> tuple[Point, ...]:
    """The line up to where it first meets its target.

    The engine leads a way back into a group to the far side of its node.
    """
    for index, (a, b) in enumerate(pairwise(points)):
        entry = _entry(a, b, box)
        if entry is not None:
            return (*points[: index + 1], entry)
    return points


def _entry(a: Point, b: Point, box: Box) -> Point | None:
    """Where an upright or level line from outside enters a box, None if it does not."""
    if not _outside(a, box):
        return None
    low, high = (box.x, box.y), (box.x + box.width, box.y + box.height)
    for axis in (0, 1):
        other = 1 - axis
        level = abs(a[other] - b[other]) < _SAME
        if not level or not low[other] < a[other] < high[other]:
            continue
        side = low[axis] if a[axis] < b[axis] else high[axis]
        if min(a[axis], b[axis]) < side < max(a[axis], b[axis]):
            return (side, a[1]) if axis == 0 else (a[0], side)
    return None


def _outside(at: Point, box: Box) -> bool:
    """Whether a point is outside a box, its border counted as outside."""
    x, y = at[0] - box.x, at[1] - box.y
    return not (_SAME < x < box.width - _SAME and _SAME < y < box.height - _SAME)


def _straightened(points: list[Point]) -> tuple[Point, ...]:
    """The points without repetitions and without those on a straight line."""
    kept: list[Point] = []
    for point in points:
        while kept and _near(kept[-1], point):
            kept.pop()
        if len(kept) > 1 and _in_line(kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    return tuple(kept)


def _near(a: Point, b: Point) -> bool:
    return abs(a[0] - b[0]) + abs(a[1] - b[1]) < _SAME


def _in_line(a: Point, b: Point, c: Point) -> bool:
    return any(abs(a[i] - b[i]) < _SAME > abs(b[i] - c[i]) for i in (0, 1))
