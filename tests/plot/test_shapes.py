"""Boxes around nodes, marks, badges, long names and what a run leaves on a drawing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from flowkit.plot import render_diagram, svg_of
from flowkit.plot.dot import dot
from flowkit.plot.html import html
from flowkit.plot.icons import ICONS
from flowkit.plot.layout import layout
from flowkit.plot.measure import NAME_SIZE, node_size, text_width, wrap
from flowkit.plot.mermaid import mermaid
from flowkit.plot.model import (
    Diagram,
    Edge,
    Fact,
    Group,
    Mark,
    Node,
    Status,
    nested,
    plain_label,
    touched_by_runs,
)
from tests.plot.flows import synthetic

NS = "{http://www.w3.org/2000/svg}"


def elements(drawn: str, kind: str) -> list[ET.Element]:
    """Elements that have a class."""
    return [
        each
        for each in ET.fromstring(drawn).iter()
        if kind in each.get("class", "").split()
    ]


def texts(drawn: str, kind: str) -> list[str]:
    """Texts of elements that have a class."""
    return ["".join(each.itertext()) for each in elements(drawn, kind)]


def test_boxes_are_a_forest_outer_ones_first() -> None:
    """A group across another one is no box, a loop is none either."""
    boxes, inside, around = nested(synthetic())
    assert [box.name for box in boxes] == ["each order", "stock"]
    assert inside == {"b": 1, "c": 0}
    assert around == [-1, 0]


def test_a_box_holds_its_nodes_and_no_others() -> None:
    """Also one in another; nothing of one box lies in the other."""
    placed = layout(synthetic())
    boxes = {box.node.id: box for box in placed.boxes}
    assert [frame.group.name for frame in placed.frames] == ["each order", "stock"]
    for frame in placed.frames:
        right, low = frame.x + frame.width, frame.y + frame.height
        for name, box in boxes.items():
            middle = box.x + box.width / 2, box.y + box.height / 2
            within = frame.x < middle[0] < right and frame.y < middle[1] < low
            assert within == (name in frame.group.nodes), (frame.group.name, name)
    outer, inner = placed.frames
    assert outer.x < inner.x
    assert inner.x + inner.width < outer.x + outer.width


def test_a_box_is_as_wide_as_its_title() -> None:
    """With its marks, however small the step in it is."""
    name = "a region with quite a long name"
    marks = (Mark("lock", "one at a time", "account"),)
    group = Group(name, ("a",), "region", marks=marks)
    placed = layout(Diagram("F", (Node("a", "a", "start"),), groups=(group,)))
    assert placed.frames[0].width >= text_width(name + "account", 11)


def test_boxes_have_title_icon_and_tip() -> None:
    """What a box is stands in its corner; the pointer is told more."""
    drawn = svg_of(synthetic())
    assert texts(drawn, "frame-title") == ["each order", "stock"]
    region = next(e for e in elements(drawn, "group") if "region" in e.get("class", ""))
    assert region.findtext(NS + "title") == "stock\none at a time"
    assert len(elements(drawn, "policy")) == 3


def test_marks_show_icon_text_and_tip() -> None:
    """A policy is an icon with a number; what it means is one pointer away."""
    drawn = svg_of(synthetic())
    tips = [each.findtext(NS + "title") for each in elements(drawn, "policy")]
    assert {"up to 3 attempts", "cached for 1h"} <= set(tips)
    assert texts(drawn, "mark-text") == ["3"]
    plain = replace(synthetic().nodes[1], marks=())
    assert node_size(synthetic().nodes[1])[1] > node_size(plain)[1]


@pytest.mark.parametrize("name", sorted(ICONS))
def test_every_icon_is_a_path_in_its_square(name: str) -> None:
    """No icon leaves the 16 px it has."""
    numbers = [float(each) for each in re.findall(r"[MLHV]?(\d+\.?\d*)", ICONS[name])]
    assert re.fullmatch(r"[MmLlHhVvCcSsAaQqZz0-9 .,-]+", ICONS[name])
    assert max(numbers) <= 16


def test_sub_flows_and_several_steps_have_shapes_of_their_own() -> None:
    """A second border, and a second box behind."""
    drawn = svg_of(synthetic())
    assert len(elements(drawn, "inner")) == 1
    assert len(elements(drawn, "behind")) == 1
    assert {"sub-flow of 4 steps", "3 steps"} <= set(texts(drawn, "note"))


def test_texts_have_boxes_and_marks_too() -> None:
    """Mermaid nests subgraphs, DOT clusters; marks are told in words."""
    lines = [line.strip() for line in mermaid(synthetic()).splitlines()]
    first, second = 'subgraph g0["each order"]', 'subgraph g1["stock"]'
    assert lines.index(first) < lines.index(second)
    assert 'n1["b<br/>up to 3 attempts<br/>cached for 1h"]' in lines
    assert 'n2 -.-x|"timeout"| n1' in lines
    drawn = dot(synthetic())
    assert drawn.index("subgraph cluster_0 {") < drawn.index("subgraph cluster_1 {")
    assert 'label="stock" style=dashed' in drawn
    assert drawn.count("{") == drawn.count("}")


def test_a_page_without_the_engine_gets_boxes_to_place() -> None:
    """The browser is told which node is in which box, and which box in which."""
    page = html(synthetic(), engine=False)
    assert '"inside": {"b": 1, "c": 0}, "around": [-1, 0]' in page
    assert page.count('data-group="1"') == 2


def test_an_edge_says_what_runs_made_of_it() -> None:
    """A count above one; of two runs who went there, where that differs."""
    edge = Edge("a", "b", "again", "label")
    told = {
        (): "again",
        (1,): "again",
        (3,): "again \N{MULTIPLICATION SIGN}3",
        (0, 0): "again",
        (2, 2): "again \N{MULTIPLICATION SIGN}2",
        (1, 0): "again (A)",
        (1, 2): "again (A, B \N{MULTIPLICATION SIGN}2)",
    }
    for taken, text in told.items():
        assert plain_label(replace(edge, taken=taken)) == text
    assert plain_label(Edge("a", "b", taken=(0, 1))) == "B"


def run_over() -> Diagram:
    """A run that failed in c and did not come to the sub-flow."""
    drawn = synthetic(runs=1)
    statuses = {
        "a": Status("done", "1 s"),
        "b": Status("done", "2 s in all", 2),
        "c": Status("failed", "ValueError: no", story=("4: failed",)),
    }
    nodes = (replace(node, status=statuses.get(node.id)) for node in drawn.nodes)
    edges = (
        replace(edge, taken=(2 if edge.target == "b" else int(edge.target == "c"),))
        for edge in drawn.edges
    )
    facts = (Fact("Synthetic: failed after 4 s", "failed"), Fact("run 17"))
    return replace(drawn, nodes=tuple(nodes), edges=tuple(edges), facts=facts)


def test_what_a_run_did_not_touch_steps_back() -> None:
    """Missed nodes and ways are drawn thin; taken ones thick."""
    assert touched_by_runs(synthetic()) == {"a", "b", "c", "sub", "many"}
    assert touched_by_runs(run_over()) == {"a", "b", "c"}
    drawn = svg_of(run_over())
    missed = [each.get("data-id") for each in elements(drawn, "missed")]
    assert [each for each in missed if each] == ["sub", "many"]
    assert (
        len([e for e in elements(drawn, "edge") if "taken" in e.get("class", "")]) == 3
    )
    assert "missed opacity:0.5" in mermaid(run_over())


def test_a_badge_counts_firings_above_one() -> None:
    """A step that fired twice says so at its corner."""
    assert texts(svg_of(run_over()), "badge-text") == ["\N{MULTIPLICATION SIGN}2"]


def test_facts_stand_above_a_drawing_and_in_every_format() -> None:
    """What became of the run is told, whatever the picture is read with."""
    drawn = svg_of(run_over())
    assert texts(drawn, "fact") == ["Synthetic: failed after 4 s", "run 17"]
    assert "Synthetic: failed after 4 s. run 17" in drawn
    for form in ("html", "mmd", "dot", "json"):
        assert "failed after 4 s" in str(render_diagram(run_over(), form))


def test_a_long_fact_goes_on_in_the_next_line() -> None:
    """Nothing is lost where a drawing is narrow."""
    text = "they part where " + "a long tale of labels is told " * 3
    drawn = svg_of(Diagram("F", (Node("a", "a", "start"),), facts=(Fact(text),)))
    told = texts(drawn, "fact")
    assert len(told) > 1
    assert " ".join(told) == text.strip()


def test_long_names_wrap_where_words_end() -> None:
    """Underscores and capitals end a line, and three lines are the most."""
    name = "download_the_quarterly_report_and_check_it_twice"
    lines = wrap(name, NAME_SIZE, 200, 3)
    assert len(lines) == 2
    assert "".join(lines) == name
    assert all(text_width(line, NAME_SIZE) <= 200 for line in lines)
    assert wrap("LoadTheReport", NAME_SIZE, 60, 3) == ("LoadThe", "Report")
    assert wrap("x" * 500, NAME_SIZE, 100, 3)[2].endswith("…")
    assert wrap("", NAME_SIZE, 100, 3) == ("",)
    drawn = svg_of(Diagram("F", (Node("a", name, "start"),)))
    assert texts(drawn, "name") == [
        "download_the_quarterly_report_",
        "and_check_it_twice",
    ]


def test_a_labelled_way_to_itself_has_room_for_its_label() -> None:
    """The label lies below the step and within the drawing."""
    node = Node("a", "a", "router")
    loop = Edge("a", "a", "a_rather_long_label", "label", back=True)
    placed = layout(Diagram("F", (node,), (loop,)))
    (line,), (box,) = placed.lines, placed.boxes
    assert line.at[1] > box.y + box.height
    assert line.at[0] - text_width(loop.label, 11) / 2 > 0
    assert line.at[0] + text_width(loop.label, 11) / 2 < placed.width
    assert line.points[-1][1] == pytest.approx(box.y + box.height, abs=1)
