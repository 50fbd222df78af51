"""The model that every drawing starts from."""

from __future__ import annotations

import pytest

from flowkit.core.definition import Definition, Join, Leaf, Schedule, Step
from flowkit.define.labels import Read
from flowkit.plot.diagram import Edge, Status, diagram
from tests.plot.flows import NESTED, NEWS, OPEN, after, chain, with_status


def edges(drawn: object) -> set[tuple[str, str, str]]:
    """Edges as source, target and label."""
    return {(e.source, e.target, e.label) for e in drawn.edges}  # type: ignore[attr-defined]


def test_every_step_is_a_node_of_its_kind() -> None:
    """Routers win over starts and listeners; events and ends join them."""
    kinds = {node.id: node.kind for node in diagram(NEWS).nodes}
    assert kinds == {
        "collect": "start",
        "review": "router",
        "revise": "listen",
        "publish": "listen",
        "alert": "listen",
        "event:editor_ok": "event",
        "end:review": "end",
    }


def test_a_node_carries_what_a_reader_asks_for() -> None:
    """Docstring, source, place, labels and the async mark."""
    drawn = diagram(NEWS, sources={"review": "def review(self): ..."})
    nodes = {node.id: node for node in drawn.nodes}
    assert nodes["collect"].is_async
    assert nodes["review"].place == "news.py:41"
    assert nodes["review"].doc == "Decide about the draft."
    assert nodes["review"].source == "def review(self): ..."
    assert nodes["review"].labels == ("approved", "again", "rejected")
    assert nodes["collect"].place == ""


@pytest.mark.parametrize("definition", [NEWS, OPEN, chain(100)])
def test_every_label_edge_of_a_router_is_labelled(definition: Definition) -> None:
    """No picture shows a way out of a router without its label."""
    routers = {step.name for step in definition.steps if step.router}
    found = [edge for edge in diagram(definition).edges if edge.source in routers]
    assert found
    assert all(edge.label for edge in found)


def test_declared_labels_lead_to_their_listeners() -> None:
    """One edge for each label and listener, and nothing possible about it."""
    drawn = diagram(NEWS)
    assert ("review", "publish", "approved") in edges(drawn)
    assert ("review", "revise", "again") in edges(drawn)
    assert not any(edge.possible for edge in drawn.edges)


def test_a_label_that_nobody_hears_leads_to_an_end() -> None:
    """What ends a run is visible."""
    assert ("review", "end:review", "rejected") in edges(diagram(NEWS))


def test_inferred_labels_are_used_where_none_are_declared() -> None:
    """Reading the source replaces guesses by labels."""
    read = Read(("known_label", "other_label"))
    drawn = diagram(OPEN, inferred={"choose": read})
    assert ("choose", "known", "known_label") in edges(drawn)
    assert not any(edge.possible for edge in drawn.edges)


def test_declared_labels_win_over_inferred_ones() -> None:
    """The source is not asked about a router that declares its labels."""
    drawn = diagram(NEWS, inferred={"review": Read(("other",), open=True)})
    assert drawn == diagram(NEWS)


def test_an_open_router_possibly_gives_every_label_nobody_else_gives() -> None:
    """Known labels are solid, the rest is dashed, and both are labelled."""
    drawn = diagram(OPEN, inferred={"choose": Read(("known_label",), open=True)})
    assert set(drawn.edges) == {
        Edge("choose", "known", "known_label", "label"),
        Edge("choose", "unknown", "other_label", "label", possible=True),
    }
    edges = diagram(OPEN).edges
    assert edges
    assert all(edge.possible for edge in edges)


def test_a_name_that_nobody_gives_comes_from_outside() -> None:
    """A source node stands for whoever sends it."""
    drawn = diagram(Definition("F", (Step("a", trigger=Leaf("sent")),)))
    assert [(node.id, node.kind) for node in drawn.nodes] == [
        ("a", "listen"),
        ("outside:sent", "outside"),
    ]
    assert drawn.edges == (Edge("outside:sent", "a", kind="event"),)


def test_a_name_of_a_step_is_that_step() -> None:
    """A leaf nobody resolved still finds its step."""
    steps = (Step("a", start=True), Step("b", trigger=Leaf("a")))
    assert diagram(Definition("F", steps)).edges == (Edge("a", "b"),)


def test_a_missing_step_is_drawn_as_outside() -> None:
    """A faulty definition can be drawn, too."""
    drawn = diagram(Definition("F", (Step("a", trigger=after("gone")),)))
    assert drawn.edges == (Edge("outside:gone", "a"),)


def test_a_router_heard_as_a_step_says_always() -> None:
    """Its edge has no label of its own, so it says when it is taken."""
    steps = (Step("r", start=True, router=True), Step("b", trigger=after("r")))
    assert diagram(Definition("F", steps)).edges == (Edge("r", "b", "always"),)


def test_failures_and_events_have_edges_of_their_kind() -> None:
    """A failed step says so, an event says how it finds its run."""
    found = set(diagram(NEWS).edges)
    assert Edge("publish", "alert", "failed", "failed") in found
    assert Edge("event:editor_ok", "publish", "by id", "event") in found
    step = Step("a", trigger=Leaf("e", "event", transient=True, optional=True))
    drawn = diagram(Definition("F", (step,)))
    assert drawn.edges[0].label == "transient, optional"


@pytest.mark.parametrize(
    ("join", "mark"),
    [
        (Join("and", (after("a"), after("b"))), "all"),
        (Join("or", (after("a"), after("b"))), "any"),
        (Join("merge", (after("a"), after("b"))), "each"),
        (Join("all_active", (after("a"), after("b"))), "all active"),
        (Join("times", (after("a"),), need=3), "x3"),
        (Join("any_of", (after("a"), after("b"), after("a")), need=2), "2 of 3"),
        (
            Join("any_of", (after("a"), after("b")), rest="cancel"),
            "1 of 2, cancel rest",
        ),
        (Join("or", (after("a"), after("b")), rest="block"), "any, block rest"),
    ],
)
def test_a_join_is_marked_on_its_node(join: Join, mark: str) -> None:
    """The mark tells how many inputs are waited for and what becomes of the rest."""
    steps = (Step("a", start=True), Step("b", start=True), Step("c", trigger=join))
    assert diagram(Definition("F", steps)).nodes[2].mark == mark


def test_inner_joins_are_nodes() -> None:
    """Each join inside another has its own mark and leads to the outer one."""
    drawn = diagram(NESTED)
    joins = {node.id: node.name for node in drawn.nodes if node.kind == "join"}
    assert joins == {"join:d.0": "any", "join:d.0.1": "x2", "join:d.1": "2 of 3"}
    found = edges(drawn)
    assert {("join:d.0", "d", ""), ("join:d.0.1", "join:d.0", "")} <= found
    assert {("b", "join:d.0.1", ""), ("a", "join:d.0", ""), ("c", "d", "")} <= found


def test_the_edge_that_closes_a_loop_is_a_back_edge() -> None:
    """Loops are entered at their start, so the way back is what is marked."""
    drawn = diagram(NEWS)
    assert [(e.source, e.target) for e in drawn.edges if e.back] == [
        ("revise", "review")
    ]
    assert [group.nodes for group in drawn.groups] == [("review", "revise")]


def test_a_loop_through_a_start_written_last_goes_back_to_the_start() -> None:
    """Where the steps stand in the class does not matter."""
    steps = (
        Step("b", router=True, trigger=after("a"), labels=("more",)),
        Step("a", start=True, trigger=Leaf("more")),
    )
    back = [e for e in diagram(Definition("F", steps)).edges if e.back]
    assert [(e.source, e.target, e.label) for e in back] == [("b", "a", "more")]


def test_a_step_that_triggers_itself_is_a_loop() -> None:
    """The smallest loop has one node."""
    step = Step("a", start=True, router=True, trigger=Leaf("on"), labels=("on",))
    drawn = diagram(Definition("F", (step,)))
    assert drawn.edges == (Edge("a", "a", "on", "label", back=True),)
    assert drawn.groups[0].nodes == ("a",)


def test_a_very_long_chain_needs_no_recursion() -> None:
    """Cycles are found without the interpreter's stack."""
    drawn = diagram(chain(3000))
    assert len([edge for edge in drawn.edges if edge.back]) == len(drawn.groups)


def test_a_run_is_drawn_over_its_steps() -> None:
    """A status goes with the step of its name."""
    drawn = with_status(diagram(NEWS), {"collect": Status("done", "1.2 s")})
    assert drawn.nodes[0].status == Status("done", "1.2 s")
    assert drawn.nodes[1].status is None


def test_an_empty_flow_can_be_drawn() -> None:
    """Nothing in, nothing out."""
    drawn = diagram(Definition("Empty"))
    assert (drawn.nodes, drawn.edges, drawn.groups) == ((), (), ())


def test_a_schedule_is_drawn_as_an_event_is() -> None:
    """Its node shows the times, its edge the zone; two steps may share it."""
    nightly = Schedule(cron="0 6 * * 1-5", tz="Europe/Berlin")
    steps = (
        Step("poll", start=True, conditional=True, schedule=Schedule(every=900.0)),
        Step("mail", start=True, conditional=True, schedule=nightly),
        Step("print", start=True, conditional=True, schedule=nightly),
    )
    drawn = diagram(Definition("Timed", steps))
    events = {node.id: node.name for node in drawn.nodes if node.kind == "event"}
    assert events == {
        "schedule:every 15m UTC": "every 15m",
        "schedule:0 6 * * 1-5 Europe/Berlin": "0 6 * * 1-5",
    }
    assert edges(drawn) == {
        ("schedule:every 15m UTC", "poll", ""),
        ("schedule:0 6 * * 1-5 Europe/Berlin", "mail", "Europe/Berlin"),
        ("schedule:0 6 * * 1-5 Europe/Berlin", "print", "Europe/Berlin"),
    }
