"""Groups, regions, locks, gates, turns and cancels in a diagram."""

from __future__ import annotations

from flowkit.core.definition import Definition, Each, Join, Leaf, Region, Step
from flowkit.core.hedging import Hedge
from flowkit.core.policies import Policy
from flowkit.plot.diagram import Diagram, diagram
from flowkit.plot.icons import ICONS
from flowkit.plot.model import Group, Mark
from tests.plot.flows import after

LOCKED = Region("payment", "account")
SHOP = Definition(
    "Shop",
    (
        Step("split", start=True),
        Step(
            "pack",
            trigger=after("split"),
            each=Each(limit=8, batch=2, failures="collect", max_failures=0.1),
        ),
        Step("weigh", router=True, trigger=after("pack"), labels=("ok", "heavy")),
        Step("stamp", trigger=Leaf("ok"), mutex="printer"),
        Step("ship", trigger=Leaf("stamp", "gather", need=3)),
        Step("call", trigger=Leaf("heavy", "gather", until="call.until")),
        Step("charge", trigger=after("ship"), region=LOCKED, test="until"),
        Step("refund", trigger=Leaf("charge", "cancelled"), region=LOCKED),
        Step(
            "stop",
            trigger=Leaf("halt", "event"),
            cancels=("ship", "region(payment)", "gone"),
            emits=("stopped", "told"),
        ),
        Step("tell", trigger=Leaf("stopped"), during=("ship", "charge")),
        Step("note", trigger=Leaf("told", "event"), test="while"),
        Step(
            "sum_up", trigger=Join("window", (Leaf("x", "event"),), 9, span=60, gap=5)
        ),
    ),
)


def drawn() -> Diagram:
    """The shop's diagram."""
    return diagram(SHOP)


def ways() -> set[tuple[str, str, str, str]]:
    """Source, target, label and kind of every edge."""
    return {(e.source, e.target, e.label, e.kind) for e in drawn().edges}


def of(name: str) -> tuple[Mark, ...]:
    """The marks of a step."""
    return next(node.marks for node in drawn().nodes if node.name == name)


def test_what_runs_once_for_each_item_stands_in_a_box() -> None:
    """From the step that fans out to before the one that gathers; limits are marks."""
    fan = drawn().groups[0]
    assert (fan.name, fan.kind) == ("for each of split", "each")
    assert fan.nodes == ("pack", "weigh", "stamp")
    assert fan.marks == (
        Mark("limit", "at most 8 at once", "8"),
        Mark("several", "2 items each", "2"),
        Mark("breaker", "failures are among the results; up to 10% are borne", "10%"),
    )


def test_instances_of_one_payload_are_counted() -> None:
    """``times=`` fans out without a list."""
    steps = (
        Step("a", start=True),
        Step("b", trigger=after("a"), each=Each(times=5, max_failures=2)),
    )
    assert diagram(Definition("F", steps)).groups == (
        Group(
            "5 times",
            ("b",),
            "each",
            "once for each item",
            (Mark("breaker", "a failure cancels the others; up to 2 are borne", "2"),),
        ),
    )


def test_gathers_are_ways_that_say_how_much_is_enough() -> None:
    """From the step that left the results, or the router of the label."""
    assert ("stamp", "ship", "gather 3", "gather") in ways()
    assert ("weigh", "call", "heavy, gather until enough", "gather") in ways()
    assert not [node for node in drawn().nodes if node.kind == "end"]


def test_a_gather_that_cancels_the_rest_says_so() -> None:
    """As a join does: it is another pattern than one that lets them end."""
    shop = Definition(
        "Shop",
        (
            Step("split", start=True),
            Step("pack", trigger=after("split"), each=Each()),
            Step("ship", trigger=Leaf("pack", "gather", need=2, rest="cancel")),
        ),
    )
    labels = [each.label for each in diagram(shop).edges if each.kind == "gather"]
    assert labels == ["gather 2, cancel rest"]


def test_a_region_is_a_box_and_its_lock_a_mark() -> None:
    """Steps need not be neighbours in the class."""
    assert drawn().groups[1] == Group(
        "payment",
        ("charge", "refund"),
        "region",
        "a region",
        (Mark("lock", "only one at a time holds 'account'", "account"),),
    )


def test_locks_gates_and_turns_are_marks_of_a_step() -> None:
    """Each with a tip that says what it means."""
    assert of("stamp") == (
        Mark("lock", "only one at a time holds 'printer'", "printer"),
    )
    assert of("tell") == (Mark("gate", "starts only between ship and charge"),)
    assert of("charge") == (Mark("loop", "repeated until its test holds", "until"),)
    assert of("note") == (Mark("loop", "repeated while its test holds", "while"),)
    assert of("split") == ()


def test_calls_beside_and_elsewhere_are_marks_of_a_step() -> None:
    """With what their policies say."""
    policy = Policy(hedge=Hedge("500ms", most=3), isolate="process")
    steps = (Step("ask", start=True, policies=policy.texts),)
    (node,) = diagram(Definition("Ask", steps)).nodes
    assert node.marks == (
        Mark("hedge", "hedge: after 0.5s, 3 calls at most"),
        Mark("isolate", "isolate: process"),
    )
    assert {"hedge", "isolate"} <= ICONS.keys()


def test_what_a_step_cancels_is_a_way_of_its_own() -> None:
    """To the step, or to the first of a region; it closes no loop."""
    assert ("stop", "ship", "cancels", "cancel") in ways()
    assert ("stop", "charge", "cancels payment", "cancel") in ways()
    assert not [group for group in drawn().groups if group.kind == "loop"]
    assert ("charge", "refund", "cancelled", "failed") in ways()


def test_what_a_step_emits_leads_to_who_hears_it() -> None:
    """As a name or as an event."""
    assert ("stop", "tell", "stopped", "event") in ways()
    assert ("stop", "event:told", "emits", "event") in ways()
    assert not [node for node in drawn().nodes if node.kind == "outside"]


def test_a_window_says_what_ends_it() -> None:
    """A count, a time, a gap."""
    marks = {node.name: node.mark for node in drawn().nodes}
    assert marks["sum_up"] == "window 9, 1m, gap 5s"
