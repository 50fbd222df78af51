"""The structure of each kind of drawing, held against what was looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowkit.plot import svg_of
from flowkit.plot.diagram import diagram
from flowkit.plot.gantt import svg as svg_of_timeline
from flowkit.plot.model import Diagram, Fact, Status
from flowkit.plot.timeline import Bar, Timeline, Wait
from tests.plot.flows import NESTED, NEWS, OPEN, chain, synthetic
from tests.plot.outline import compare


def run_over(drawn: Diagram) -> Diagram:
    """A run over the newsroom: it went round once, publishing failed, one waits."""
    statuses = {
        "collect": Status("done", "1.2 s"),
        "review": Status("done", "3 s in all", 2, ("2: done", "4: done")),
        "revise": Status("running", "2 attempts, for 1 s"),
        "publish": Status("failed", "0.5 s\nValueError: no"),
        "editor_ok": Status("waiting"),
    }
    turns = {"again": 1, "approved": 1, "": 2}
    return replace(
        drawn,
        nodes=tuple(replace(n, status=statuses.get(n.name)) for n in drawn.nodes),
        edges=tuple(replace(e, taken=(turns.get(e.label, 0),)) for e in drawn.edges),
        runs=1,
        facts=(Fact("Newsroom: failed after 5 s", "failed"), Fact("run 7")),
    )


def two_runs(drawn: Diagram) -> Diagram:
    """Two runs that part at the review."""
    statuses = {
        "collect": Status("same", "A 1 s, B 1 s"),
        "review": Status("differs", "A again\nB approved"),
        "revise": Status("first", "1 s"),
        "publish": Status("second", "2 s"),
    }
    turns = {"again": (1, 0), "approved": (0, 1), "": (1, 1)}
    return replace(
        drawn,
        nodes=tuple(replace(n, status=statuses.get(n.name)) for n in drawn.nodes),
        edges=tuple(replace(e, taken=turns.get(e.label, (0, 0))) for e in drawn.edges),
        runs=2,
        facts=(Fact("A: completed", "first"), Fact("B: completed", "second")),
    )


DRAWINGS = {
    "class": diagram(NEWS),
    "class_open": diagram(OPEN),
    "class_nested": diagram(NESTED),
    "class_30_steps": diagram(chain(30)),
    "class_collapsed": diagram(chain(330)),
    "boxes": synthetic(),
    "run": run_over(diagram(NEWS)),
    "two_runs": two_runs(diagram(NEWS)),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_has_the_structure_that_was_looked_at(name: str) -> None:
    """Classes, texts and order; places may move."""
    compare(name, svg_of(DRAWINGS[name], theme="light"))


def test_a_timeline_has_the_structure_that_was_looked_at() -> None:
    """A loop, a wait that is folded, a failure, an open end."""
    bars = (
        Bar("read", 1, 0, 2, "done", "2 s", "read 1: done"),
        Bar("judge", 2, 2, 3, "done", "1 s", "judge 2: done"),
        Bar(
            "judge", 3, 3, 9_004, "failed", "2 h 30 min", "", (Wait(4, 9_003, "paid"),)
        ),
        Bar("tell", 4, 9_004, 9_006, "running", "2 s"),
    )
    facts = (Fact("Desk: running for 2 h 30 min", "running"),)
    line = Timeline("Desk", 0, 9_006, bars, facts)
    compare("timeline", svg_of_timeline(line, theme="light"))
