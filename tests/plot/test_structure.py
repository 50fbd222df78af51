"""The structure in CrewAI's shape."""

from __future__ import annotations

import json

from flowkit.core.definition import Definition, Join, Leaf, Step
from flowkit.plot.structure import build_flow_structure
from tests.plot.flows import NEWS, after


def test_a_structure_has_the_published_keys() -> None:
    """It is plain data with four keys."""
    found = build_flow_structure(NEWS)
    assert list(found) == ["nodes", "edges", "start_methods", "router_methods"]
    assert found["start_methods"] == ["collect"]
    assert found["router_methods"] == ["review"]
    assert json.loads(json.dumps(found)) == found


def test_a_plain_start_has_no_trigger_keys() -> None:
    """Keys that do not apply are absent."""
    node = build_flow_structure(NEWS, "Given")["nodes"]["collect"]
    assert node == {"type": "start", "class_name": "Given"}


def test_a_router_names_its_declared_labels_and_its_trigger() -> None:
    """The type is router, whatever else the step is."""
    assert build_flow_structure(NEWS)["nodes"]["review"] == {
        "type": "router",
        "class_name": "Newsroom",
        "is_router": True,
        "router_events": ["approved", "again", "rejected"],
        "condition_type": "OR",
        "trigger_condition_type": "OR",
        "trigger_methods": ["collect", "revise"],
        "trigger_condition": {"type": "OR", "conditions": ["collect", "revise"]},
    }


def test_a_single_name_is_or_without_a_condition() -> None:
    """Only or_ and and_ have a trigger_condition."""
    assert build_flow_structure(NEWS)["nodes"]["revise"] == {
        "type": "listen",
        "class_name": "Newsroom",
        "condition_type": "OR",
        "trigger_condition_type": "OR",
        "trigger_methods": ["again"],
    }


def test_a_router_without_trigger_or_labels_is_if() -> None:
    """What is not declared is not guessed."""
    definition = Definition("F", (Step("r", start=True, router=True),))
    assert build_flow_structure(definition)["nodes"]["r"] == {
        "type": "router",
        "class_name": "F",
        "is_router": True,
        "condition_type": "IF",
    }


def test_edges_name_methods_and_declared_labels_only() -> None:
    """Names that are no method give no edge; labels come after the triggers."""
    plain = {"condition_type": "OR", "is_router_event": False}
    label = {"condition_type": None, "is_router_event": True}
    assert build_flow_structure(NEWS)["edges"] == [
        {"source": "collect", "target": "review", **plain},
        {"source": "revise", "target": "review", **plain},
        {"source": "review", "target": "publish", **label, "router_event": "approved"},
        {"source": "review", "target": "revise", **label, "router_event": "again"},
    ]


def test_names_below_an_and_give_and_edges() -> None:
    """Also those of an or_ inside it; the condition keeps its nesting."""
    trigger = Join("or", (after("a"), Join("and", (after("b"), after("c")))))
    names = ("a", "b", "c")
    steps = (*(Step(n, start=True) for n in names), Step("d", trigger=trigger))
    found = build_flow_structure(Definition("F", steps))
    assert [(e["source"], e["condition_type"]) for e in found["edges"]] == [
        ("a", "OR"),
        ("b", "AND"),
        ("c", "AND"),
    ]
    assert found["nodes"]["d"]["trigger_condition"] == {
        "type": "OR",
        "conditions": ["a", {"type": "AND", "conditions": ["b", "c"]}],
    }


def test_a_label_heard_by_two_steps_gives_two_edges() -> None:
    """One edge from a router to each listener of each label."""
    steps = (
        Step("r", start=True, router=True, labels=("x",)),
        Step("a", trigger=Leaf("x")),
        Step("b", trigger=Join("and", (Leaf("x"), Leaf("e", "event")))),
    )
    found = build_flow_structure(Definition("F", steps))["edges"]
    assert [(e["source"], e["target"], e["router_event"]) for e in found] == [
        ("r", "a", "x"),
        ("r", "b", "x"),
    ]
