"""A run over time: bars of executions, and a scale that folds long waits.

Times are seconds since the epoch. A gap is a time in which nothing works, whatever
waits. Gaps that are long beside all that is left without them are *folded*: drawn as
narrow bands that say how long they were, so that what worked stays readable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowkit.plot.model import Fact, State

__all__ = ["Bar", "Piece", "Scale", "Timeline", "Wait", "lanes", "pieces"]

_LONG = 0.4
_MOST_LANES = 12


@dataclass(frozen=True, slots=True)
class Wait:
    """A part of an execution in which it waited for the outside."""

    start: float
    end: float
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One execution.

    Attributes:
        step: its row.
        firing: its number within the run.
        start: when it became ready.
        end: when it ended, or now.
        state: how it stands.
        note: shown beside it, such as its length.
        tip: more about it.
        waits: when it waited, in order and apart.
    """

    step: str
    firing: int
    start: float
    end: float
    state: State
    note: str = ""
    tip: str = ""
    waits: tuple[Wait, ...] = ()

    def working(self) -> Iterator[tuple[float, float]]:
        """The times in which it did not wait."""
        at = self.start
        for wait in self.waits:
            yield at, wait.start
            at = wait.end
        yield at, self.end


@dataclass(frozen=True, slots=True)
class Timeline:
    """All that a drawing shows of a run over time.

    Attributes:
        name: of the flow.
        began: of the run.
        ended: the same, or now.
        bars: executions, in the order they became ready.
        facts: lines above the drawing.
    """

    name: str
    began: float
    ended: float
    bars: tuple[Bar, ...] = ()
    facts: tuple[Fact, ...] = ()

    def rows(self) -> dict[str, list[Bar]]:
        """Bars by step, steps in the order they first became ready."""
        found: dict[str, list[Bar]] = {}
        for bar in self.bars:
            found.setdefault(bar.step, []).append(bar)
        return found


def lanes(bars: Iterable[Bar]) -> list[list[Bar]]:
    """Bars of one step in as many lanes as go on at a time, twelve at most."""
    found: list[list[Bar]] = []
    for bar in bars:
        for lane in found:
            if lane[-1].end <= bar.start:
                lane.append(bar)
                break
        else:
            if len(found) < _MOST_LANES:
                found.append([bar])
            else:
                found[-1].append(bar)
    return found


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the time between a run's beginning and end; ``folded`` or to scale."""

    start: float
    end: float
    folded: bool = False


def pieces(line: Timeline) -> list[Piece]:
    """The run's time cut into parts, long gaps folded."""
    gaps = sorted(_gaps(line), key=lambda gap: gap[0] - gap[1])
    rest = line.ended - line.began
    folds = 0
    for number, (start, end) in enumerate(gaps, 1):
        rest -= end - start
        if end - start > _LONG * rest:
            folds = number
    found: list[Piece] = []
    at = line.began
    for start, end in sorted(gaps[:folds]):
        if start > at or not found:
            found.append(Piece(at, start))
        found.append(Piece(start, end, folded=True))
        at = end
    found.append(Piece(at, line.ended))
    return found


def _gaps(line: Timeline) -> Iterator[tuple[float, float]]:
    """Times in which nothing works."""
    at = line.began
    for start, end in sorted(each for bar in line.bars for each in bar.working()):
        if start > at:
            yield at, start
        at = max(at, end)
    if line.ended > at:
        yield at, line.ended


@dataclass(slots=True)
class Scale:
    """Where times are on a line, in px.

    Attributes:
        line: what is drawn.
        left: where the run begins.
        width: of the whole line.
        fold: width of a folded piece.
        pieces: with the px at which each begins.
    """

    line: Timeline
    left: float
    width: float
    fold: float
    pieces: list[tuple[Piece, float]] = field(default_factory=list)
    per_second: float = 0.0

    def __post_init__(self) -> None:
        cut = pieces(self.line)
        folds = sum(piece.folded for piece in cut)
        self.fold = min(self.fold, self.width / (2 * folds)) if folds else self.fold
        room = self.width - folds * self.fold
        length = sum(p.end - p.start for p in cut if not p.folded)
        # Moments alone have no length: each piece gets an equal part.
        empty = room / max(1, len(cut) - folds) if length <= 0 else 0.0
        self.per_second = room / length if length > 0 else 0.0
        x = self.left
        for piece in cut:
            self.pieces.append((piece, x))
            scaled = (piece.end - piece.start) * self.per_second + empty
            x += self.fold if piece.folded else scaled

    def x(self, at: float) -> float:
        """Where a time is; at the border of two pieces, in the later one."""
        piece, begin = self.pieces[0]
        for piece, begin in reversed(self.pieces):  # noqa: B007 - the one that fits
            if at >= piece.start:
                break
        inside = max(0.0, min(at, piece.end) - piece.start)
        if piece.folded:
            return begin + self.fold * inside / max(1e-9, piece.end - piece.start)
        return begin + inside * self.per_second
