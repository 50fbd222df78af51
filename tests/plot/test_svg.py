"""The SVG writer, with and without places."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest

from flowkit.core.definition import Definition, Leaf, Step
from flowkit.plot import layout as layouts
from flowkit.plot.diagram import Diagram, Status, diagram
from flowkit.plot.layout import Placed, layout, unplaced
from flowkit.plot.measure import fit, text_width
from flowkit.plot.svg import svg
from tests.plot.flows import HOSTILE, NESTED, NEWS, OPEN, chain, synthetic, to_svg

NS = "{http://www.w3.org/2000/svg}"


def classes(drawn: str, tag: str) -> list[str]:
    """Class attributes of all elements of a tag."""
    return [each.get("class", "") for each in ET.fromstring(drawn).iter(NS + tag)]


def inside(placed: Placed, x: float, y: float) -> list[str]:
    """Nodes whose inner area covers a point."""
    return [
        box.node.id
        for box in placed.boxes
        if box.x + 1 < x < box.x + box.width - 1
        and box.y + 1 < y < box.y + box.height - 1
    ]


def test_the_drawing_is_well_formed_and_has_a_title() -> None:
    """Readers that see nothing are told the flow, its size and its starts."""
    root = ET.fromstring(to_svg(NEWS))
    assert root.findtext(NS + "title") == "Newsroom"
    assert root.findtext(NS + "desc") == (
        "Flow Newsroom: 5 steps, 1 loops; starts: collect"
    )
    assert root.get("role") == "img"


def test_every_node_and_edge_is_drawn() -> None:
    """One group for each node, one for each line."""
    drawn = diagram(NEWS)
    groups = classes(to_svg(NEWS), "g")
    assert sum(each.startswith("node ") for each in groups) == len(drawn.nodes)
    assert groups.count("way") == len(drawn.edges)


def test_labels_have_a_halo_and_stand_once() -> None:
    """Each label is readable over a line, and ways that share it share the text."""
    steps = (
        Step("r", start=True, router=True, labels=("go",)),
        Step("a", trigger=Leaf("go")),
        Step("b", trigger=Leaf("go")),
    )
    drawn = to_svg(Definition("F", steps))
    assert drawn.count(">go</text>") == 1
    assert "paint-order: stroke" in drawn


def test_loops_possible_edges_and_failures_look_different() -> None:
    """The look does not depend on colour alone: widths and dashes differ."""
    paths = classes(to_svg(NEWS), "path")
    assert "edge step back" in paths
    assert "edge failed" in paths
    assert "edge label possible" in classes(to_svg(OPEN), "path")


def test_joins_show_their_mark() -> None:
    """On the step for an outer join, in a node of its own for an inner one."""
    texts = [e.text for e in ET.fromstring(to_svg(NESTED)).iter(NS + "text")]
    assert {"all", "any", "x2", "2 of 3"} <= set(texts)


@pytest.mark.parametrize(
    "state", ["ready", "running", "waiting", "done", "failed", "cancelled"]
)
def test_a_status_has_icon_border_and_note(state: Any) -> None:
    """Whoever sees no colour sees the icon and the border."""
    drawn = to_svg(NEWS, theme="light", statuses={"collect": Status(state, "1.2 s")})
    assert f"node start status-{state}" in classes(drawn, "g")
    assert "icon state" in classes(drawn, "path")
    assert re.search(rf"status-{state} .box {{[^}}]*stroke", drawn)
    assert ">1.2 s</text>" in drawn


def test_the_theme_follows_the_system_unless_chosen() -> None:
    """``auto`` brings both colour sets, the others one."""
    assert "prefers-color-scheme: dark" in to_svg(NEWS)
    light, dark = to_svg(NEWS, theme="light"), to_svg(NEWS, theme="dark")
    assert "prefers-color-scheme" not in light + dark
    assert ("#ffffff" in light, "#ffffff" in dark) == (True, False)
    with pytest.raises(ValueError, match="possible are 'auto', 'light' and 'dark'"):
        to_svg(NEWS, theme="blue")  # type: ignore[arg-type]


def test_drawings_in_one_page_do_not_recolour_each_other() -> None:
    """Every rule is bound to the class of its own drawing."""
    sheet = re.search("<style>(.*?)</style>", to_svg(NEWS, theme="dark"), re.DOTALL)
    assert sheet
    rules = [line for line in sheet[1].splitlines() if line]
    assert rules
    assert all(line.startswith("svg.flowkit.dark ") for line in rules)


def test_hostile_names_are_escaped() -> None:
    """Texts of a flow stay texts, also those XML cannot carry."""
    name = HOSTILE + "\x00\x1b"
    steps = (
        Step(name, start=True, doc=HOSTILE),
        Step("r", router=True, trigger=Leaf(name, "step"), labels=(HOSTILE,)),
        Step("b", trigger=Leaf(HOSTILE)),
    )
    drawn = to_svg(Definition(HOSTILE, steps))
    root = ET.fromstring(drawn)
    assert root.findtext(NS + "title") == HOSTILE
    assert "<script" not in drawn


def test_the_same_flow_gives_the_same_drawing() -> None:
    """A drawing in a repository changes only with its flow."""
    assert to_svg(NEWS) == to_svg(NEWS)


@pytest.mark.parametrize(
    "drawn",
    [*map(diagram, (NEWS, OPEN, NESTED, chain(100))), synthetic()],
    ids=lambda drawn: str(drawn.name),
)
def test_nodes_do_not_overlap_and_no_line_crosses_one(drawn: Diagram) -> None:
    """Lines run between nodes and end on their borders, into boxes too."""
    placed = layout(drawn)
    for box in placed.boxes:
        middle = (box.x + box.width / 2, box.y + box.height / 2)
        assert inside(placed, *middle) == [box.node.id]
    for line in placed.lines:
        for (ax, ay), (bx, by) in zip(line.points, line.points[1:], strict=False):
            for part in range(11):
                at = (ax + (bx - ax) * part / 10, ay + (by - ay) * part / 10)
                assert inside(placed, *at) == []


@pytest.mark.parametrize("definition", [NEWS, OPEN, chain(100)])
def test_labels_lie_on_their_own_line_and_apart(definition: Definition) -> None:
    """A label cannot be mistaken for that of another line."""
    placed = layout(diagram(definition))
    labelled = [line for line in placed.lines if line.edge.label and not line.shared]
    for line in labelled:
        assert inside(placed, *line.at) == []
        ys = [y for _, y in line.points]
        assert min(ys) <= line.at[1] <= max(ys)
    spots = [line.at for line in labelled]
    for index, (x, y) in enumerate(spots):
        for other_x, other_y in spots[index + 1 :]:
            assert abs(x - other_x) > 12 or abs(y - other_y) > 12


def test_lines_run_from_source_to_target() -> None:
    """The head of an edge is at its target, also on the way back."""
    placed = layout(diagram(NEWS))
    boxes = {box.node.id: box for box in placed.boxes}
    for line in placed.lines:
        ends = (line.edge.source, line.points[0]), (line.edge.target, line.points[-1])
        for name, (x, y) in ends:
            box = boxes[name]
            assert box.x - 1 <= x <= box.x + box.width + 1
            assert box.y - 1 <= y <= box.y + box.height + 1


def test_everything_lies_inside_the_drawing() -> None:
    """Nothing is cut off at the border."""
    placed = layout(diagram(chain(60)))
    for box in placed.boxes:
        assert 0 <= box.x <= placed.width - box.width
        assert 0 <= box.y <= placed.height - box.height
    for x, y in (point for line in placed.lines for point in line.points):
        assert 0 <= x <= placed.width
        assert 0 <= y <= placed.height


def test_without_places_the_same_shapes_are_written() -> None:
    """The browser gets nodes of the right size at no place yet."""
    drawn = diagram(NEWS)
    sizes = [(box.width, box.height) for box in layout(drawn).boxes]
    assert [(box.width, box.height) for box in unplaced(drawn).boxes] == sizes
    assert ET.fromstring(svg(unplaced(drawn))) is not None


def test_long_names_are_cut_and_kept_in_the_tip() -> None:
    """The drawing stays readable, the full name is one pointer away."""
    name = "a_name_" * 20
    drawn = to_svg(Definition("F", (Step(name, start=True),)))
    assert f">{name}<" not in drawn
    assert f"<title>{name} (start)" in drawn
    assert fit("short", 13, 100) == "short"
    assert text_width(fit(name, 13, 100), 13) <= 100


def test_a_merged_line_names_all_its_labels() -> None:
    """Two labels for one listener are one line with both names."""
    steps = (
        Step("r", start=True, router=True, labels=("x", "y")),
        Step("a", trigger=Leaf("x")),
    )
    twice = replace(diagram(Definition("F", steps)), groups=())
    other = replace(twice.edges[0], label="y")
    placed = layouts.layout(replace(twice, edges=(twice.edges[0], other)))
    assert [line.edge.label for line in placed.lines] == ["x | y"]


def test_a_drawing_carries_the_rules_it_uses_and_no_others() -> None:
    """A picture in a repository is small, and changes only with what it shows."""
    drawn = to_svg(NEWS)
    assert ".status-failed" not in drawn
    assert ".fold-band" not in drawn
    failed = to_svg(NEWS, statuses={"collect": Status("failed")})
    assert ".status-failed .box" in failed
    assert ".status-done" not in failed
