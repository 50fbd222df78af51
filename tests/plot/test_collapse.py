"""Large diagrams become small enough to read."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from flowkit.core.definition import Definition, Join, Step
from flowkit.plot import render_diagram
from flowkit.plot.collapse import MOST, collapsed
from flowkit.plot.diagram import diagram
from flowkit.plot.model import Diagram, Edge, Group, Node, Status
from tests.plot.flows import after, chain, with_status


def row(count: int) -> Diagram:
    """Steps one after another."""
    steps = [Step("s0", start=True)]
    steps += [Step(f"s{n}", trigger=after(f"s{n - 1}")) for n in range(1, count)]
    return diagram(Definition("Row", tuple(steps)))


def fan(count: int) -> Diagram:
    """Steps beside each other between two."""
    names = [f"load_{n}" for n in range(count)]
    steps = [Step("a", start=True), *(Step(name, trigger=after("a")) for name in names)]
    steps.append(Step("z", trigger=Join("and", tuple(map(after, names)))))
    return diagram(Definition("Fan", tuple(steps)))


def tangled(count: int, seed: int) -> Diagram:
    """Steps that follow others at random, with loops."""
    chance = random.Random(seed)
    names = [f"s{n}" for n in range(count)]
    edges = [
        Edge(names[chance.randrange(max(0, n - 9), n)], names[n])
        for n in range(1, count)
        for _ in range(chance.choice((1, 2)))
    ]
    edges += [Edge(*chance.sample(names, 2), "back", "label") for _ in range(9)]
    nodes = (Node(name, name, "listen", start=name == "s0") for name in names)
    return Diagram("Tangled", tuple(nodes), tuple(dict.fromkeys(edges)))


def members(drawn: Diagram) -> list[str]:
    """Every step that a diagram shows or stands for."""
    return [name for node in drawn.nodes for name in node.members or (node.name,)]


def test_up_to_the_limit_nothing_changes() -> None:
    """A diagram of 300 nodes is drawn as it is."""
    assert collapsed(row(MOST)) == row(MOST)


def test_steps_in_a_row_become_one_node() -> None:
    """Its name tells from where to where, its members are all there."""
    drawn = collapsed(row(MOST + 1))
    assert [(n.kind, n.name, n.about) for n in drawn.nodes] == [
        ("start", "s0", ""),
        ("several", "s1 .. s300", "300 steps"),
    ]
    assert drawn.nodes[1].members == tuple(f"s{n}" for n in range(1, 301))
    assert drawn.facts[-1].text == (
        "301 nodes, drawn as 2: what belongs together is one"
    )


def test_steps_with_the_same_neighbours_become_one_node() -> None:
    """A fan-out of 400 is three nodes, and its join stays."""
    drawn = collapsed(fan(400))
    assert [node.name for node in drawn.nodes] == ["a", "load_0 .. load_399", "z"]
    assert [(e.source, e.target) for e in drawn.edges] == [
        ("a", "several:load_0"),
        ("several:load_0", "z"),
    ]


def test_routers_that_branch_and_their_labels_stay() -> None:
    """What decides the way is what a reader looks for; loops stay visible."""
    whole = diagram(chain(1000))
    drawn = collapsed(whole)
    assert len(drawn.nodes) < MOST
    kept = {edge.label for edge in drawn.edges if edge.kind == "label"}
    assert {f"back_{n}" for n in range(30, 1000, 30)} <= kept
    assert sum(edge.back for edge in drawn.edges) == sum(e.back for e in whole.edges)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_graph_the_limit_is_kept_and_no_step_lost(seed: int) -> None:
    """Also where nothing belongs together."""
    whole = tangled(700, seed)
    drawn = collapsed(whole)
    assert len(drawn.nodes) <= MOST
    assert sorted(members(drawn)) == sorted(node.name for node in whole.nodes)
    known = {node.id for node in drawn.nodes}
    assert all({edge.source, edge.target} <= known for edge in drawn.edges)
    assert len(known) == len(drawn.nodes)


def test_sub_flows_are_closed_first() -> None:
    """A sub-flow shown from inside is one node again before steps are put together."""
    nodes = tuple(Node(f"s{n}", f"s{n}", "listen") for n in range(310))
    inner = tuple(f"s{n}" for n in range(100, 200))
    whole = Diagram("F", nodes, (), (Group("Invoice", inner, "flow"),))
    drawn = collapsed(whole)
    closed = next(node for node in drawn.nodes if node.kind == "flow")
    assert (closed.name, closed.about) == ("Invoice", "100 steps")
    assert len(drawn.nodes) == 211


def test_boxes_are_not_mixed() -> None:
    """What is in a box is not put together with what is outside."""
    whole = row(400)
    whole = replace(
        whole,
        groups=(Group("locked", tuple(f"s{n}" for n in range(50, 60)), "region"),),
    )
    drawn = collapsed(whole)
    assert [node.name for node in drawn.nodes] == [
        "s0",
        "s1 .. s49",
        "s50 .. s59",
        "s60 .. s399",
    ]
    assert drawn.groups[0].nodes == ("several:s50",)


def test_what_failed_stays_visible_and_the_rest_is_summed_up() -> None:
    """The reader of a large run looks for the failure."""
    statuses = {f"s{n}": Status("done", "1 ms") for n in range(200)}
    statuses["s150"] = Status("failed", "ValueError: no")
    drawn = collapsed(with_status(row(400), statuses))
    told = {node.name: node.status for node in drawn.nodes}
    assert told["s150"] == Status("failed", "ValueError: no")
    assert told["s1 .. s149"] == Status("done", "149 done")
    assert told["s151 .. s399"] == Status("done", "49 done")


def test_ways_put_together_are_counted_together() -> None:
    """What a run took of them is the sum."""
    whole = fan(400)
    edges = tuple(replace(edge, taken=(1,)) for edge in whole.edges)
    drawn = collapsed(replace(whole, edges=edges, runs=1))
    assert [edge.taken for edge in drawn.edges] == [(400,), (400,)]


def test_data_keeps_every_node() -> None:
    """Only what is looked at is made smaller."""
    for form in ("json", "dot"):
        drawn = render_diagram(row(400), form)
        assert isinstance(drawn, str)
        assert '"s200"' in drawn or 'label="s200"' in drawn
    for form in ("svg", "html", "mmd"):
        assert ">s200<" not in str(render_diagram(row(400), form))
