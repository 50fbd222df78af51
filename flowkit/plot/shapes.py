"""The shapes of nodes and of the boxes around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.plot.canvas import icon, n, text, words
from flowkit.plot.icons import SIDE
from flowkit.plot.measure import (
    ICON_ROOM,
    LINE_HEIGHT,
    MARK_HEIGHT,
    MARK_ICON,
    NOTE_HEIGHT,
    PADDING,
    SMALL_SIZE,
    TITLE_LEFT,
    badge_width,
    face,
    frame_title,
    mark_width,
    text_width,
)
from flowkit.plot.model import state_words, times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowkit.plot.layout import Box, Frame
    from flowkit.plot.measure import Face
    from flowkit.plot.model import Mark, Node

__all__ = ["draw_frame", "draw_node", "draw_title"]

_TITLES = {
    "start": "start",
    "listen": "listener",
    "router": "router",
    "event": "event from outside",
    "outside": "name from outside",
    "join": "join",
    "end": "labels that nobody hears",
    "flow": "sub-flow",
    "several": "several steps",
}
_MOST_TOLD = 12


def draw_node(box: Box, *, missed: bool) -> str:
    """A node's group, drawn around its own upper left corner.

    Args:
        box: the node and its size.
        missed: a run is drawn, and nothing of it came here.
    """
    node = box.node
    classes = f"node {node.kind}"
    if node.status:
        classes += f" status-{node.status.state}"
    elif missed:
        classes += " missed"
    if node.kind == "end":
        shape = _end(box)
    elif node.kind == "join":
        shape = [_rect(box, box.height / 2), _mark(node.name, box.width, 16.0)]
    else:
        shape = list(_step(box, face(node)))
    at = f"translate({n(box.x)} {n(box.y)})"
    return (
        f'<g class="{classes}" data-id="{text(node.id)}" transform="{at}">'
        f"<title>{text(_tip(node))}</title>{''.join(shape)}</g>"
    )


def draw_frame(frame: Frame, number: int) -> str:
    """The box around a group's nodes, with its title."""
    group = frame.group
    at = f"translate({n(frame.x)} {n(frame.y)})"
    size = f'width="{n(frame.width)}" height="{n(frame.height)}"'
    tip = "\n".join(each for each in (group.name, group.tip) if each)
    return (
        f'<g class="group {group.kind}" data-group="{number}" transform="{at}">'
        f'<title>{text(tip)}</title><rect class="frame" {size} rx="10"/></g>'
    )


def draw_title(frame: Frame, number: int) -> str:
    """The title of such a box, drawn over the lines that enter it."""
    group = frame.group
    title, _ = frame_title(group)
    x = TITLE_LEFT + text_width(title, SMALL_SIZE) + 10.0
    return (
        f'<g class="group-title" data-group="{number}" '
        f'transform="translate({n(frame.x)} {n(frame.y)})">'
        f"{icon(group.kind, 9.0, 5.0, 'kind', 13.0)}"
        f"{words('frame-title', TITLE_LEFT, 15.5, title)}"
        f"{''.join(_marks(group.marks, x, 5.0))}</g>"
    )


def _tip(node: Node) -> str:
    """What a pointer that rests on the node shows."""
    said = "async " if node.is_async else ""
    said += "start " if node.start and node.kind == "router" else ""
    lines = [f"{node.name} ({said}{_TITLES[node.kind]})"]
    if node.status:
        note = node.status.note.replace("\n", ", ")
        state = state_words(node.status.state)
        lines.append(f"{state}{', ' if note else ''}{note}")
        lines += _some(node.status.story)
    if node.mark:
        lines.append(f"waits for: {node.mark}")
    lines += [mark.tip for mark in node.marks]
    lines += _some(node.members)
    lines += [node.about, node.place, node.doc]
    return "\n".join(line for line in lines if line)


def _some(lines: tuple[str, ...]) -> list[str]:
    more = len(lines) - _MOST_TOLD
    return [*lines[:_MOST_TOLD], *([f".. and {more} more"] if more > 0 else [])]


def _rect(box: Box, radius: float, inset: float = 0.0, kind: str = "box") -> str:
    at = f'x="{n(inset)}" y="{n(inset)}" ' if inset else ""
    return (
        f'<rect class="{kind}" {at}width="{n(box.width - 2 * inset)}" '
        f'height="{n(box.height - 2 * inset)}" rx="{n(radius - inset)}"/>'
    )


def _end(box: Box) -> list[str]:
    middle = n(box.width / 2)
    return [
        f'<circle class="box" cx="{middle}" cy="{middle}" r="7"/>',
        f'<circle class="dot" cx="{middle}" cy="{middle}" r="3.5"/>',
    ]


def _mark(said: str, width: float, y: float) -> str:
    return words("mark", width / 2, y, said)


def _step(box: Box, drawn: Face) -> Iterator[str]:
    """Shapes of a node with a name: its band, icons, lines, marks and badge."""
    node = box.node
    if node.kind == "several":
        yield _behind(box)
    yield _rect(box, box.height / 2 if node.kind in ("event", "outside") else 8.0)
    if node.kind == "flow":
        yield _rect(box, 8.0, 3.5, "inner")
    if node.mark:
        right = f"H{n(box.width - 8)}a6 6 0 0 1 6 6V{n(MARK_HEIGHT)}z"
        yield f'<path class="band" d="M2 18V8a6 6 0 0 1 6-6{right}"/>'
        yield _mark(node.mark, box.width, 13.5)
    yield from _lines(node, drawn, box.width)
    if node.marks:
        yield from _marks(node.marks, PADDING, box.height - MARK_ICON - 7.0)
    if node.status and node.status.count > 1:
        yield from _badge(node.status.count, box.width)


def _behind(box: Box) -> str:
    """The edge of a second box below this one."""
    right, low = box.width, box.height
    return f'<path class="behind" d="M7 {n(low)}v3.5h{n(right - 3.5)}V7h-3.5"/>'


def _lines(node: Node, drawn: Face, width: float) -> Iterator[str]:
    middle, x = drawn.middle, PADDING - 2
    for name, kind in _left_icons(node):
        yield icon(name, x, middle - SIDE / 2, kind)
        x += ICON_ROOM
    y = middle + 4.5 - LINE_HEIGHT * (len(drawn.names) - 1) / 2
    for line in drawn.names:
        yield words("name", x, y, line)
        y += LINE_HEIGHT
    y -= 1.0
    for line in drawn.notes:
        yield words("note", x, y, line)
        y += NOTE_HEIGHT
    x = width - PADDING - 14
    if node.status:
        yield icon(node.status.state, x, middle - 8, "state")
        x -= ICON_ROOM
    if node.is_async:
        yield icon("async", x, middle - 8, "async")


def _left_icons(node: Node) -> Iterator[tuple[str, str]]:
    if node.start and node.kind == "router":
        yield "start", "begins"
    yield node.kind, "kind"


def _marks(marks: Iterable[Mark], x: float, y: float) -> Iterator[str]:
    for mark in marks:
        said = words("mark-text", MARK_ICON + 3, 9.8, mark.text) if mark.text else ""
        yield (
            f'<g class="policy" transform="translate({n(x)} {n(y)})">'
            f"<title>{text(mark.tip)}</title>"
            f"{icon(mark.icon, 0.0, 0.0, 'small', MARK_ICON)}{said}</g>"
        )
        x += mark_width(mark)


def _badge(count: int, width: float) -> Iterator[str]:
    """How often the step fired, over the upper right corner."""
    wide = badge_width(count)
    x = width - wide + 8.0
    yield (
        f'<rect class="badge" x="{n(x)}" y="-9" width="{n(wide)}" height="17" '
        'rx="8.5"/>'
    )
    yield words("badge-text", x + wide / 2, 3.5, times(count))
