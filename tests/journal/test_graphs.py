"""Definitions as text, their names, and what a new one lacks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkit.core.definition import (
    Definition,
    Each,
    Join,
    Leaf,
    Region,
    Schedule,
    Step,
)
from flowkit.journal.codec import UnreadableError
from flowkit.journal.graphs import (
    definition_from,
    graph_hash,
    graph_text,
    missing_positions,
)

DRAFT = Step("draft", start=True, doc="Begin.", file="/a/b.py", line=4)
BOTH = Join("and", (Leaf("draft", "step"), Leaf("check", "step")), need=2)
FLOW = Definition(
    "News",
    (
        DRAFT,
        Step("check", start=True),
        Step("publish", trigger=BOTH, router=True, labels=("ok", "no"), line=9),
    ),
)


def test_a_definition_comes_back_with_its_places():
    """Equality leaves places out, so they are compared by themselves."""
    found = definition_from(graph_text(FLOW))
    assert found == FLOW
    assert type(found.steps[2].trigger) is Join
    assert type(found.steps[2].trigger.inputs[0]) is Leaf
    assert [tuple(each) for each in found.steps] == [tuple(s) for s in FLOW.steps]


def test_the_text_says_what_differs_from_a_plain_step():
    """Nothing at its default is written."""
    assert json.loads(graph_text(FLOW)) == {
        "name": "News",
        "steps": [
            {
                "name": "draft",
                "start": True,
                "doc": "Begin.",
                "file": "/a/b.py",
                "line": 4,
            },
            {"name": "check", "start": True},
            {
                "name": "publish",
                "router": True,
                "trigger": {
                    "kind": "and",
                    "inputs": [
                        {"name": "draft", "kind": "step"},
                        {"name": "check", "kind": "step"},
                    ],
                    "need": 2,
                },
                "labels": ["ok", "no"],
                "line": 9,
            },
        ],
    }


def test_the_hash_is_of_the_graph():
    """Places and docstrings aside, everything counts."""
    moved = FLOW._replace(
        steps=(DRAFT._replace(doc="", file="c.py", line=1), *FLOW.steps[1:])
    )
    assert graph_hash(moved) == graph_hash(FLOW)
    assert len(graph_hash(FLOW)) == 16
    others = [
        FLOW._replace(strict=True),
        FLOW._replace(max_firings=5),
        FLOW._replace(name="Other"),
        FLOW._replace(steps=FLOW.steps[:2]),
        FLOW._replace(steps=(*FLOW.steps[:2], FLOW.steps[2]._replace(labels=()))),
    ]
    hashes = {graph_hash(each) for each in others}
    assert len(hashes) == len(others)
    assert graph_hash(FLOW) not in hashes


def test_the_hash_of_a_graph_stays():
    """Stores hold it: a change of this text starts every run anew."""
    assert graph_hash(Definition("F", (Step("a", start=True),))) == "088a01b7306155d3"


def test_a_schedule_is_part_of_the_graph():
    """It comes back as it was; every word of it counts."""
    plain = Step("mail", start=True, conditional=True)
    schedules = [
        Schedule(every=900.0),
        Schedule(cron="0 6 * * 1-5"),
        Schedule(cron="0 6 * * 1-5", tz="Europe/Berlin"),
        Schedule(cron="0 6 * * 1-5", missed="skip"),
    ]
    flows = [
        Definition("F", (plain._replace(schedule=each),)) for each in [None, *schedules]
    ]
    for flow in flows:
        found = definition_from(graph_text(flow))
        assert found == flow
        assert type(found.steps[0].schedule) is type(flow.steps[0].schedule)
    assert len({graph_hash(flow) for flow in flows}) == len(flows)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name":"F","steps":[{"new":1}]}'])
def test_an_unreadable_definition_is_told(text):
    """With what to do."""
    with pytest.raises(UnreadableError, match="A stored definition cannot be read"):
        definition_from(text)


NAMES = st.text(max_size=5)
CONDITIONS = st.recursive(
    st.builds(
        Leaf,
        NAMES,
        st.sampled_from(
            [
                "step",
                "name",
                "event",
                "failed",
                "timeout",
                "cancelled",
                "timer",
                "gather",
            ]
        ),
        st.none() | NAMES,
        st.booleans(),
        st.booleans(),
        NAMES,
        st.floats(0),
        st.integers(0, 9),
        NAMES,
        st.sampled_from(["ignore", "cancel"]),
    ),
    lambda inner: st.builds(
        Join,
        st.sampled_from(["and", "or", "any_of", "merge", "all_active", "times"]),
        st.lists(inner, max_size=3).map(tuple),
        st.integers(0, 5),
        st.sampled_from(["ignore", "block", "cancel"]),
        st.floats(0, 1e9),
        st.floats(0, 1e9),
    ),
    max_leaves=6,
)
STEPS = st.builds(
    Step,
    NAMES,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | CONDITIONS,
    st.none() | st.lists(NAMES, max_size=3).map(tuple),
    st.booleans(),
    st.none() | st.integers(0, 9),
    st.booleans(),
    st.none() | st.builds(Schedule, st.floats(0, 1e9), NAMES, NAMES),
    NAMES,
    st.none()
    | st.builds(
        Each,
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(0, 9),
        st.sampled_from(["fail_fast", "finish", "collect"]),
        st.none() | st.floats(0, 9),
    ),
    NAMES,
    st.none() | st.builds(Region, NAMES, NAMES),
    st.none() | st.tuples(NAMES, NAMES),
    st.sampled_from(["", "while", "until"]),
    st.lists(NAMES, max_size=2).map(tuple),
    st.none() | st.lists(NAMES, max_size=2).map(tuple),
    st.booleans(),
    st.lists(st.tuples(NAMES, NAMES), max_size=2).map(tuple),
    NAMES,
    NAMES,
    NAMES,
    st.integers(0, 99),
)
DEFINITIONS = st.builds(
    Definition,
    NAMES,
    st.lists(STEPS, max_size=3).map(tuple),
    st.integers(0, 200),
    st.booleans(),
)


@given(DEFINITIONS)
def test_any_definition_comes_back(definition):
    """Text for text, and hash for hash."""
    text = graph_text(definition)
    found = definition_from(text)
    assert found == definition
    assert graph_text(found) == text
    assert graph_hash(found) == graph_hash(definition)


def test_a_definition_that_has_all_lacks_nothing():
    """More steps do no harm."""
    new = FLOW._replace(steps=(*FLOW.steps, Step("more", trigger=Leaf("ok"))))
    assert missing_positions(FLOW, {"draft": [1]}, {"publish": ["draft"]}, new) == []
    assert missing_positions(FLOW, {"draft"}, {"publish"}, new) == []


def test_a_step_that_is_gone_is_named_with_its_firings():
    """And with what it may be called now."""
    new = Definition("News", (Step("drafts", start=True), Step("x", start=True)))
    assert missing_positions(FLOW, {"draft": [7], "publish": [8, 9]}, {}, new) == [
        "step draft (firing 7) is gone; did you mean drafts?",
        "step publish (firings 8, 9) is gone",
    ]
    assert missing_positions(FLOW, ["draft"], [], new) == [
        "step draft is gone; did you mean drafts?"
    ]


def test_an_input_that_is_gone_is_named_with_its_join():
    """Only those with tokens, if they are known."""
    inputs = (Leaf("draft", "step"), Leaf("checked", "step"))
    step = FLOW.steps[2]._replace(trigger=BOTH._replace(inputs=inputs))
    new = FLOW._replace(steps=(*FLOW.steps[:2], step))
    assert missing_positions(FLOW, [], {"publish": ["draft"]}, new) == []
    assert missing_positions(FLOW, [], {"publish": ["check"]}, new) == [
        (
            "step publish holds a token of check in and_(draft, check), which is "
            "and_(draft, checked) now; did you mean checked?"
        )
    ]
    assert missing_positions(FLOW, [], ["publish"], new)
    gone = FLOW._replace(steps=FLOW.steps[:2])
    assert missing_positions(FLOW, [], ["publish"], gone) == [
        "step publish, whose and_(draft, check) holds tokens, is gone"
    ]
    bare = FLOW._replace(steps=(*FLOW.steps[:2], Step("publish", start=True)))
    assert missing_positions(FLOW, [], {"publish": ["check"]}, bare) == [
        (
            "step publish holds a token of check in and_(draft, check), which is a "
            "start now"
        )
    ]
