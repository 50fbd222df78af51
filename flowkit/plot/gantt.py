"""A timeline as SVG, and as the text of a Mermaid chart."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Any

from flowkit.plot.canvas import (
    alone,
    draw_facts,
    element,
    facts_height,
    icon,
    n,
    text,
    words,
)
from flowkit.plot.lengths import length
from flowkit.plot.measure import NAME_SIZE, SMALL_SIZE, fit, text_width
from flowkit.plot.timeline import Scale, lanes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowkit.plot.theme import Theme
    from flowkit.plot.timeline import Bar, Timeline

__all__ = ["as_json", "draw", "mermaid", "svg"]

CHART = 640.0
_LANE = 24.0
_BAR = 17.0
_AXIS = 34.0
_MARGIN = 24.0
_FOLD = 58.0
_LEAST_BAR = 3.0
_MOST_NAME = 190.0
_TICK_ROOM = 68.0
_ICON = 12.0
_NICE = (
    *(base * 10.0**power for power in range(-6, 1) for base in (1, 2, 5)),
    *(10.0, 15.0, 30.0),
    *(60.0 * each for each in (1, 2, 5, 10, 15, 30)),
    *(3_600.0 * each for each in (1, 2, 3, 6, 12)),
    *(86_400.0 * each for each in (1, 2, 7, 14, 30, 90, 365, 3650)),
)


def svg(line: Timeline, *, theme: Theme = "auto") -> str:
    """A drawing that stands alone, with its style sheet and its facts."""
    chart = _Chart(line)
    down = facts_height(line.facts, chart.width)
    size = chart.width, chart.height + down
    parts = list(chart.parts())
    if down:
        moved = f'<g transform="translate(0 {n(down)})">'
        parts = [*draw_facts(line.facts, chart.width), moved, *parts, "</g>"]
    return element(line.name, _summary(line), size, parts, **alone(size, theme, parts))


def draw(line: Timeline) -> str:
    """The SVG element of a drawing whose style and facts the page around it has."""
    chart = _Chart(line)
    size = chart.width, chart.height
    room = f'width="{n(size[0])}" height="{n(size[1])}"'
    attributes = f'class="flowkit" role="img" {room}'
    return element(
        line.name, _summary(line), size, chart.parts(), attributes=attributes
    )


def _summary(line: Timeline) -> str:
    steps, lasted = len(line.rows()), length(line.ended - line.began)
    count = f"{len(line.bars)} executions of {steps} steps"
    told = [f"Timeline of {line.name}: {count} in {lasted}"]
    return ". ".join([*told, *(fact.text for fact in line.facts)])


class _Chart:
    """One timeline with its measures."""

    def __init__(self, line: Timeline) -> None:
        self.line = line
        self.rows = [(step, lanes(bars)) for step, bars in line.rows().items()]
        widest = max((text_width(step, NAME_SIZE) for step, _ in self.rows), default=0)
        self.left = ceil(_MARGIN + min(_MOST_NAME, widest) + 14.0)
        self.scale = Scale(line, self.left, CHART, _FOLD)
        self.width = self.left + CHART + 84.0
        count = sum(len(each) for _, each in self.rows)
        self.bottom = _AXIS + count * _LANE + 4.0
        self.height = self.bottom + 16.0

    def parts(self) -> Iterator[str]:
        tops, y = [], _AXIS
        for _, its_lanes in self.rows:
            tops.append(y)
            y += _LANE * len(its_lanes)
        for (_, its_lanes), y in [*zip(self.rows, tops, strict=True)][1::2]:
            yield _stripe(y, self.width - 16.0, _LANE * len(its_lanes))
        yield from self._ticks()
        yield from self._folds()
        for (step, its_lanes), y in zip(self.rows, tops, strict=True):
            yield from self._row(step, its_lanes, y)

    def _ticks(self) -> Iterator[str]:
        """The time of day where each piece begins, and even steps from there on."""
        for piece, x in self.scale.pieces:
            if piece.folded:
                continue
            clock = _clock(piece.start, self.line)
            wide = (piece.end - piece.start) * self.scale.per_second
            yield _rule(x, self.bottom)
            yield words("tick first-tick", x + 2, 18.0, clock)
            if not self.scale.per_second:
                continue
            step = _tick_step(self.scale.per_second)
            after = _MARGIN if piece.end >= self.line.ended else 0.0
            room = text_width(clock, 10.0) + 12.0
            count = int((piece.end - piece.start) / step + 1e-9) if step else 0
            for index in range(1, count + 1):
                at = index * step * self.scale.per_second
                yield _rule(x + at, self.bottom)
                said = f"+{length(index * step)}"
                if at > room and at + text_width(said, 10.0) + 4.0 < wide + after:
                    yield words("tick", x + at + 2, 18.0, said)

    def _folds(self) -> Iterator[str]:
        for piece, x in self.scale.pieces:
            if piece.folded:
                said = length(piece.end - piece.start)
                wide = self.scale.fold
                tip = f"{said} in which nothing worked"
                yield (
                    f'<g class="fold"><title>{text(tip)}</title>'
                    f'<rect class="fold-band" x="{n(x)}" y="{n(_AXIS - 8)}" '
                    f'width="{n(wide)}" height="{n(self.bottom - _AXIS + 8)}"/>'
                    f'<path class="fold-edge" d="{_zigzag(x, self.bottom)}"/>'
                    f'<path class="fold-edge" d="{_zigzag(x + wide, self.bottom)}"/>'
                    f"{words('fold-text', x + wide / 2, 18.0, said)}</g>"
                )

    def _row(
        self, step: str, its_lanes: Sequence[list[Bar]], y: float
    ) -> Iterator[str]:
        name = fit(step, NAME_SIZE, _MOST_NAME)
        title = f"<title>{text(step)}</title>" if name != step else ""
        yield (
            f'<text class="row-name" x="{n(_MARGIN)}" y="{n(y + 16.5)}">'
            f"{text(name)}{title}</text>"
        )
        for lane in its_lanes:
            ends = [self.scale.x(bar.start) for bar in lane[1:]]
            for bar, free in zip(lane, [*ends, self.width - 6.0], strict=True):
                yield self._bar(bar, y + (_LANE - _BAR) / 2, free)
            y += _LANE

    def _bar(self, bar: Bar, y: float, free: float) -> str:
        """A bar, what it waited for, and its length where there is room."""
        x = self.scale.x(bar.start)
        wide = max(_LEAST_BAR, self.scale.x(bar.end) - x)
        size = f'width="{n(wide)}" height="{n(_BAR)}" rx="{n(min(4.0, wide / 2))}"'
        parts = [f'<rect class="box" x="{n(x)}" y="{n(y)}" {size}/>']
        for wait in bar.waits:
            begin, end = self.scale.x(wait.start), self.scale.x(wait.end)
            parts.append(
                f'<rect class="wait" x="{n(begin)}" y="{n(y + 4)}" '
                f'width="{n(max(1.0, end - begin))}" height="{n(_BAR - 8)}">'
                f"<title>{text(wait.tip)}</title></rect>"
            )
        parts += _beside(bar, x, y, wide, free)
        return (
            f'<g class="bar status-{bar.state}" data-firing="{bar.firing}">'
            f"<title>{text(bar.tip or bar.step)}</title>{''.join(parts)}</g>"
        )


def _beside(bar: Bar, x: float, y: float, wide: float, free: float) -> Iterator[str]:
    """Icon and note in the bar if they fit and it does not wait, else after it."""
    room = text_width(bar.note, SMALL_SIZE - 1)
    if wide >= _ICON + room + 14.0 and not bar.waits:
        yield icon(bar.state, x + 4.0, y + 2.5, "state", _ICON)
        yield words("bar-note", x + _ICON + 8.0, y + 12.5, bar.note)
        return
    after = x + wide + 4.0
    if after + _ICON <= free:
        yield icon(bar.state, after, y + 2.5, "state", _ICON)
        if after + _ICON + 3.0 + room <= free:
            yield words("bar-note beside", after + _ICON + 3.0, y + 12.5, bar.note)


def _stripe(y: float, width: float, height: float) -> str:
    size = f'width="{n(width)}" height="{n(height)}"'
    return f'<rect class="stripe" x="8" y="{n(y)}" {size} rx="4"/>'


def _rule(x: float, bottom: float) -> str:
    return f'<path class="rule" d="M{n(x)} {n(_AXIS - 8)}V{n(bottom)}"/>'


def _zigzag(x: float, bottom: float) -> str:
    """A torn edge from top to bottom."""
    y, parts = _AXIS - 8.0, [f"M{n(x)} {n(_AXIS - 8.0)}"]
    side = 3.0
    while y < bottom:
        y = min(bottom, y + 6.0)
        parts.append(f"L{n(x + side)} {n(y)}")
        side = -side
    return "".join(parts)


def _tick_step(per_second: float) -> float:
    return next(
        (each for each in _NICE if each * per_second >= _TICK_ROOM), _NICE[-1] * 10
    )


def _clock(at: float, line: Timeline) -> str:
    """The time of day, with the date if the run lasted longer than one."""
    long = line.ended - line.began >= 86_400.0  # noqa: PLR2004 - a day
    form = "%m-%d %H:%M:%S" if long else "%H:%M:%S"
    return datetime.fromtimestamp(at, UTC).strftime(form)


def as_json(line: Timeline) -> str:
    """Every field by name, times in seconds since the epoch."""
    data: dict[str, Any] = asdict(line)
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


_TAGS = {"done": "done, ", "running": "active, ", "waiting": "active, "}
_PLAIN = str.maketrans({":": " ", ";": " ", "#": " ", "\n": " ", ",": " "})


def mermaid(line: Timeline) -> str:
    """A Gantt chart for Mermaid, which knows no folds."""
    lines = ["gantt"]
    lines += [f"    %% {fact.text.translate(_PLAIN)}" for fact in line.facts]
    lines += [f"    title {line.name.translate(_PLAIN)}"]
    lines += ["    dateFormat x", "    axisFormat %H:%M:%S"]
    for step, bars in line.rows().items():
        lines.append(f"    section {step.translate(_PLAIN)}")
        for bar in bars:
            start, end = round(bar.start * 1000), ceil(bar.end * 1000)
            tag = _TAGS.get(bar.state, "crit, ")
            note = f"{bar.firing} {bar.state} {bar.note}".strip().translate(_PLAIN)
            lines.append(f"    {note} :{tag}{start}, {max(end, start + 1)}")
    return "\n".join(lines) + "\n"
