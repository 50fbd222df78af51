"""A run over time: the scale that folds, the lanes, and what is drawn of them."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from flowkit.plot import TIMELINES, render_timeline
from flowkit.plot.gantt import svg
from flowkit.plot.model import Fact
from flowkit.plot.timeline import Bar, Piece, Scale, Timeline, Wait, lanes, pieces

NS = "{http://www.w3.org/2000/svg}"
BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()


def bar(
    step: str, start: float, end: float, *waits: tuple[float, float], **more: Any
) -> Bar:
    """A bar whose times count from the run's beginning."""
    found = tuple(Wait(BEGAN + a, BEGAN + b, f"waited {b - a:g} s") for a, b in waits)
    said = {"firing": 1, "state": "done", **more}
    return Bar(step, start=BEGAN + start, end=BEGAN + end, waits=found, **said)


def line(
    *bars: Bar, ended: float | None = None, facts: tuple[Fact, ...] = ()
) -> Timeline:
    """A timeline that ends with its last bar."""
    end = max(each.end for each in bars) if ended is None else BEGAN + ended
    return Timeline("Order", BEGAN, end, bars, facts)


def cut(drawn: Timeline) -> list[tuple[float, float, bool]]:
    """Pieces, their times counted from the run's beginning."""
    return [(p.start - BEGAN, p.end - BEGAN, p.folded) for p in pieces(drawn)]


def named(drawn: str, kind: str) -> list[ET.Element]:
    """Elements that have a class."""
    every = ET.fromstring(drawn).iter()
    return [each for each in every if kind in each.get("class", "").split()]


PAID = line(
    bar("receive", 0, 1),
    bar("charge", 1, 10_801, (2, 10_800)),
    bar("ship", 10_801, 10_803),
)


def test_a_long_wait_is_folded() -> None:
    """What waits does not work: three hours for a payment take no room."""
    assert cut(PAID) == [(0, 2, False), (2, 10_800, True), (10_800, 10_803, False)]


def test_a_wait_beside_which_something_works_is_not_folded() -> None:
    """Time is folded where nothing works, not where one step waits."""
    drawn = line(bar("wait", 0, 100, (1, 99)), bar("work", 0, 100))
    assert cut(drawn) == [(0, 100, False)]


def test_a_time_without_any_execution_is_folded_as_well() -> None:
    """The run waited for an event that begins a step; at its end, for its end."""
    drawn = line(bar("a", 0, 1), bar("b", 500, 501), ended=9_000)
    assert cut(drawn) == [
        (0, 1, False),
        (1, 500, True),
        (500, 501, False),
        (501, 9_000, True),
        (9_000, 9_000, False),
    ]


def test_a_wait_that_is_not_long_beside_the_rest_is_drawn_to_scale() -> None:
    """Up to four tenths of what is left it can be read as it is."""
    assert cut(line(bar("a", 0, 10), bar("b", 14, 20))) == [(0, 20, False)]
    assert cut(line(bar("a", 0, 10), bar("b", 30, 40)))[1] == (10, 30, True)


def test_times_never_go_back_on_the_scale() -> None:
    """A later time is never left of an earlier one, folded or not."""
    scale = Scale(PAID, 100.0, 640.0, 58.0)
    places = [scale.x(BEGAN + at / 10) for at in range(0, 108_030, 7)]
    assert places == sorted(places)
    assert scale.x(BEGAN) == 100.0
    assert scale.x(PAID.ended) == pytest.approx(740.0)
    assert scale.x(BEGAN + 10_800) - scale.x(BEGAN + 2) == pytest.approx(58.0)


def test_a_run_of_moments_has_a_scale_too() -> None:
    """Under a clock that stands still nothing has a length."""
    still = line(bar("a", 0, 0), bar("b", 0, 0))
    assert pieces(still) == [Piece(BEGAN, BEGAN)]
    assert Scale(still, 0.0, 640.0, 58.0).x(BEGAN) == 0.0
    assert ET.fromstring(svg(still)) is not None


def test_folds_never_take_more_than_half_the_room() -> None:
    """A run that waits often stays readable."""
    bars = [bar("a", at * 1_000, at * 1_000 + 1) for at in range(40)]
    scale = Scale(line(*bars), 0.0, 640.0, 58.0)
    folds = [piece for piece, _ in scale.pieces if piece.folded]
    assert len(folds) == 39
    assert scale.fold * len(folds) == pytest.approx(320.0)


def test_executions_of_a_step_share_a_lane_unless_they_overlap() -> None:
    """A loop is one row, a fan-out as many as go on at a time."""
    turns = [bar("a", n, n + 1, firing=n) for n in range(5)]
    assert [len(lane) for lane in lanes(turns)] == [5]
    beside = [bar("a", 0, 5, firing=n) for n in range(3)]
    assert [len(lane) for lane in lanes(beside)] == [1, 1, 1]
    many = [bar("a", 0, 5, firing=n) for n in range(50)]
    assert len(lanes(many)) == 12


def test_rows_are_in_the_order_steps_began() -> None:
    """Not in that of the class: time goes down as well as right."""
    drawn = svg(line(bar("late", 5, 6), bar("early", 0, 5)))
    names = ["".join(each.itertext()) for each in named(drawn, "row-name")]
    assert names == ["late", "early"]


def test_every_execution_is_a_bar_with_state_icon_and_tip() -> None:
    """Whoever sees no colour sees the icon."""
    bars = (
        bar("a", 0, 4, note="4 s", tip="a 1: done"),
        bar("b", 4, 5, state="failed", note="1 s, ValueError: no"),
    )
    drawn = svg(line(*bars), theme="light")
    found = named(drawn, "bar")
    assert [each.get("class") for each in found] == [
        "bar status-done",
        "bar status-failed",
    ]
    assert found[0].findtext(NS + "title") == "a 1: done"
    assert len(named(drawn, "state")) == 2
    assert ">4 s</text>" in drawn


def test_waits_and_folds_are_drawn_and_told() -> None:
    """The fold says how long it was, the wait what for."""
    drawn = svg(PAID)
    (wait,) = named(drawn, "wait")
    assert wait.findtext(NS + "title") == "waited 10798 s"
    (fold,) = named(drawn, "fold")
    assert fold.findtext(NS + "title") == "3 h in which nothing worked"
    assert ["".join(e.itertext()) for e in named(drawn, "fold-text")] == ["3 h"]


def test_the_axis_says_the_time_of_day_and_steps_from_there() -> None:
    """Each piece begins with its own time; labels do not lie on each other."""
    drawn = svg(PAID)
    clocks = ["".join(each.itertext()) for each in named(drawn, "first-tick")]
    assert clocks == ["12:00:00", "15:00:00"]
    ticks = sorted(float(e.get("x", "")) for e in named(drawn, "tick"))
    assert len(ticks) > 2
    assert all(b - a > 30 for a, b in pairwise(ticks))


def test_everything_lies_inside_the_drawing() -> None:
    """Also a name, a note and a bar at the border."""
    bars = [bar(f"{'long_' * 20}{n}", n, n + 1, note="x" * 80) for n in range(9)]
    root = ET.fromstring(svg(line(*bars)))
    wide, high = float(root.get("width", "")), float(root.get("height", ""))
    for each in root.iter(NS + "rect"):
        if each.get("class") != "paper":
            assert float(each.get("x", "0")) >= 0
            assert float(each.get("x", "0")) + float(each.get("width", "")) <= wide
            assert float(each.get("y", "0")) + float(each.get("height", "")) <= high


def test_facts_stand_above() -> None:
    """What became of the run is read first."""
    drawn = svg(
        line(bar("a", 0, 1), facts=(Fact("Order: completed after 1 s", "done"),))
    )
    (fact,) = named(drawn, "fact")
    assert fact.text == "Order: completed after 1 s"


def test_hostile_names_stay_text() -> None:
    """Steps may be named as they like."""
    name = "</script><b>&\"'\x00"
    drawn = line(bar(name, 0, 1, tip=name, note=name), facts=(Fact(name),))
    for form in ("svg", "html"):
        text = render_timeline(drawn, form)
        assert isinstance(text, str)
        assert "<b>" not in text
    assert ET.fromstring(svg(drawn)) is not None


def test_the_page_runs_one_script_and_loads_nothing() -> None:
    """Its policy names the script and the style by their hash."""
    page = render_timeline(PAID, "html")
    assert isinstance(page, str)
    assert page.count("<script>") == 1
    assert "unsafe" not in page
    assert page.count("'sha256-") == 2
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}


def test_mermaid_has_a_section_for_each_step() -> None:
    """Times are in milliseconds, an open end is at least one later."""
    drawn = line(bar("a", 0, 1, note="1 s"), bar("b", 1, 1, state="failed", firing=2))
    start = round(BEGAN * 1000)
    assert render_timeline(drawn, "mmd") == (
        "gantt\n"
        "    title Order\n"
        "    dateFormat x\n"
        "    axisFormat %H:%M:%S\n"
        "    section a\n"
        f"    1 done 1 s :done, {start}, {start + 1000}\n"
        "    section b\n"
        f"    2 failed :crit, {start + 1000}, {start + 1001}\n"
    )


def test_json_holds_every_bar() -> None:
    """Data for other programs, in seconds since the epoch."""
    found = json.loads(str(render_timeline(PAID, "json")))
    assert list(found) == ["name", "began", "ended", "bars", "facts"]
    assert found["bars"][1]["waits"] == [
        {"start": BEGAN + 2, "end": BEGAN + 10_800, "tip": "waited 10798 s"}
    ]


def test_every_format_of_a_timeline_is_drawn() -> None:
    """Each of them, from the same timeline."""
    for form in TIMELINES:
        assert render_timeline(PAID, form)
