"""Joins that can never be met: which are found, and that none is found wrongly."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowkit.core import closing
from flowkit.core.closing import unmet_joins
from flowkit.core.definition import Definition, Join, Leaf, Step
from flowkit.core.net import Net
from flowkit.core.validate import hints, validate
from flowkit.define.conditions import all_active, and_, any_of, event, merge, or_, times
from tests.conftest import PROVE
from tests.core.breaking import fails, over
from tests.core.nets import Case, tangled
from tests.core.player import BEGIN, flow, play, router

EXAMPLES = settings(max_examples=100_000 if PROVE else 200)


def unmet(definition: Definition) -> list[tuple[str, str, str]]:
    """Step, why and cure of each join found."""
    return [
        (each.trigger.node.name, each.why, each.cure)
        for each in unmet_joins(Net(definition))
    ]


def one_of(*conditions: Any, labels: list[str]) -> Step:
    """A router that declares one label at a time."""
    return router(*conditions, labels=labels)._replace(single=True)


BOTH = "Write or_(..) if either is enough, or have the router return both labels."
OUT = "Take it out of the condition, or give it a trigger."
COUNT = "Lower the count, or put its step into a loop."


def test_both_labels_of_a_router_that_runs_once_never_come() -> None:
    """Directly, and behind the steps that they lead to."""
    found = flow(
        check=one_of(labels=["ok", "bad"]),
        both=and_("ok", "bad"),
        good="ok",
        poor="bad",
        late=and_("good", "poor"),
        well=or_("good", "poor"),
        whole=all_active("good", "poor"),
    )
    assert unmet(found) == [
        ("both", "check runs once and chooses one of 'ok' and 'bad'", BOTH),
        ("late", "check runs once and chooses one label", BOTH),
    ]


def test_a_router_that_may_run_again_or_choose_several_is_trusted() -> None:
    """In a loop, by an event, or with a list of labels."""
    again = one_of(or_("begin", "again"), labels=["x", "y", "again"])
    assert unmet(flow(begin=BEGIN, check=again, both=and_("x", "y"))) == []
    heard = one_of(event("e"), labels=["x", "y"])
    assert unmet(flow(begin=BEGIN, check=heard, both=and_("x", "y"))) == []
    several = router(labels=["x", "y"])
    assert unmet(flow(check=several, both=and_("x", "y"))) == []
    two = one_of(labels=["x", "y"])
    assert unmet(flow(one=two, two=two, both=and_("x", "y"))) == []


def test_a_label_that_comes_otherwise_is_possible() -> None:
    """From another router, or from one whose labels nobody declares."""
    once = one_of(labels=["x", "y"])
    assert unmet(flow(one=once, other=router(), both=and_("x", "y"))) == []
    assert unmet(flow(one=once, other=router(labels=["y"]), both=and_("x", "y"))) == []


def test_a_count_that_is_never_reached() -> None:
    """A step ends as often as its sources do; in a loop as often as it likes."""
    assert unmet(flow(begin=BEGIN, third=times(3, "begin"))) == [
        ("third", "begin comes once at most, and is needed 3 times", COUNT)
    ]
    twice = flow(a=BEGIN, b=BEGIN, c=merge("a", "b"), d=times(3, "c"), e=times(2, "c"))
    assert unmet(twice) == [
        ("d", "c comes 2 times at most, and is needed 3 times", COUNT)
    ]
    loop = one_of(or_("begin", "more"), labels=["more", "end"])
    assert unmet(flow(begin=BEGIN, turn=loop, third=times(3, "turn"))) == []


def test_an_input_that_nothing_leads_to() -> None:
    """One is told; a join of which nothing can come is unreachable, no more."""
    found = flow(begin=BEGIN, lost="lost2", lost2="lost", both=and_("begin", "lost"))
    assert unmet(found) == [("both", "lost can never come", OUT)]
    gone = flow(begin=BEGIN, lost="lost2", lost2="lost", both=and_("lost", "lost2"))
    assert unmet(gone) == []


def test_what_comes_from_outside_may_come() -> None:
    """Events, names that nobody gives, timers, failures."""
    found = flow(
        begin=BEGIN,
        a=and_("begin", event("e")),
        b=and_("begin", "name"),
        c=and_("begin", "begin.failed"),
        d=any_of(2, "begin", "name", event("e")),
    )
    assert unmet(found) == []
    timers = Definition(
        "Flow",
        (
            BEGIN._replace(name="begin"),
            Step("x", trigger=Leaf("t", "timer", after="begin", delay=1.0)),
            Step(
                "y", trigger=Join("and", (Leaf("begin", "step"), Leaf("x", "step")), 2)
            ),
            Step("z", trigger=Join("and", (Leaf("x", "step"), Leaf("t", "timer")), 2)),
        ),
    )
    assert unmet(timers) == []


def test_a_nested_join_is_looked_into() -> None:
    """Only if none of its ways is open."""
    once = one_of(labels=["x", "y"])
    closed = flow(check=once, a=BEGIN, j=or_(and_("x", "y"), and_("x", "y", "a")))
    assert [name for name, _, _ in unmet(closed)] == ["j"]
    opened = flow(check=once, a=BEGIN, j=or_(and_("x", "y"), and_("x", "a")))
    assert unmet(opened) == []


def test_the_fault_says_what_why_and_where() -> None:
    """In place of the hint that it takes several turns."""
    found = flow(check=one_of(labels=["ok", "bad"]), both=and_("ok", "bad"))
    assert [(each.level, each.text) for each in hints(found)] == [
        (
            "error",
            (
                "Flow.both waits for and_(ok, bad), which can never be met: check runs "
                "once and chooses one of 'ok' and 'bad'. Write or_(..) if either is "
                "enough, or have the router return both labels. (flow.py:2)"
            ),
        )
    ]


# --- soundness -------------------------------------------------------------------


def _chosen(draw: st.DrawFn, case: Case) -> Case:
    """The case, some of its routers declaring one label at a time, and keeping to it."""
    routes = dict(case.script["routes"])
    steps = []
    for each in case.definition.steps:
        if each.router and each.labels is not None and draw(st.booleans()):
            routes[each.name] = [labels[:1] for labels in routes[each.name]]
            steps.append(each._replace(single=True))
        else:
            steps.append(each)
    # A label may not come from outside: that is the routers' to give.
    events = [each for each in case.script["events"] if each[1] != "x"]
    script = {**case.script, "routes": routes, "events": events}
    return Case(case.definition._replace(steps=tuple(steps)), script)


@st.composite
def knotted(draw: st.DrawFn) -> Case:
    """Anything goes, with routers that choose one label."""
    return _chosen(draw, draw(tangled()))


@st.composite
def layered(draw: st.DrawFn) -> Case:
    """No loops: steps behind earlier steps and labels, so that bounds are low."""
    steps: dict[str, Any] = {"begin": BEGIN, "r0": one_of(labels=["x0", "y0"])}
    names = ["begin", "r0", "x0", "y0"]
    routes: dict[str, Any] = {"r0": [draw(st.sampled_from(["x0", "y0"]))]}
    for at in range(1, draw(st.integers(2, 6))):
        inputs = draw(st.lists(st.sampled_from(names), min_size=2, max_size=3))
        joined = draw(st.sampled_from([and_, and_, or_, merge, all_active]))(*inputs)
        counted = times(draw(st.integers(2, 3)), inputs[0])
        before = draw(st.sampled_from([joined, joined, inputs[0], counted]))
        if draw(st.booleans()):
            labels = [f"x{at}", f"y{at}"]
            steps[f"r{at}"] = one_of(before, labels=labels)
            one = st.sampled_from(labels)
            routes[f"r{at}"] = draw(st.lists(one, min_size=9, max_size=9))
            names += [f"r{at}", *labels]
        else:
            steps[f"s{at}"] = before
            names.append(f"s{at}")
    takes = {name: draw(st.integers(0, 3)) for name in steps}
    return Case(flow(**steps), {"routes": routes, "takes": takes})


def wrongly_found(case: Case) -> set[str]:
    """Steps behind joins that are said never to be met, and were."""
    said = {each.trigger for each in unmet_joins(Net(case.definition))}
    if not said:
        return set()
    alone = {
        each.node.name
        for each in said
        if len(each.node.triggers) == 1 and not each.node.direct
    }
    return alone & set(play(case.definition, **case.script).order)


def no_false_alarm(case: Case) -> None:
    """Sound: there is no way to fire one."""
    assert wrongly_found(case) == set()


@EXAMPLES
@given(knotted() | layered())
def test_no_join_that_fires_is_said_never_to_be_met(case: Case) -> None:
    """On any graph, with any script."""
    no_false_alarm(case)


def _as_often_once(self: Any, node: Any) -> float:
    return 1


def _never_outside(net: Any, leaf: Any, may: int, choice: Any) -> bool:
    return bool(net.sources(leaf) & may)


@pytest.mark.parametrize(
    ("name", "broken"),
    [("_Bounds.of", _as_often_once), ("_leaf_comes", _never_outside)],
)
def test_a_broken_rule_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Any
) -> None:
    """Bounds that forget loops, an outside that does not exist."""
    monkeypatch.setattr(f"flowkit.core.closing.{name}", broken)
    fails(over(lambda: layered() | knotted(), no_false_alarm))


@EXAMPLES
@given(knotted() | layered())
def test_no_definition_makes_the_check_fail(case: Case) -> None:
    """Whatever the graph."""
    faults = [*validate(case.definition, lambda _: ((), True)), *hints(case.definition)]
    for fault in faults:
        assert fault.text.startswith("Flow.")
        assert fault.text.endswith(")")


def test_a_bound_of_a_loop_is_infinite() -> None:
    """Also if it is asked for in the middle of itself."""
    net = Net(flow(begin=BEGIN, a=or_("begin", "b"), b="a", c="b"))
    bounds = closing._Bounds(net)
    assert [bounds.of(node) for node in net.nodes] == [1, inf, inf, inf]
