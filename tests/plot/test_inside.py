"""Steps that run flows in pictures: closed with a mark, or shown from inside."""

from __future__ import annotations

import json

import pytest

from flowkit import Flow, listen, router, runs, start
from flowkit.journal.memory import MemoryStore
from flowkit.picture.nested import class_diagram
from flowkit.plot.model import nested


class Refund(Flow):
    """Gives it back."""

    @start()
    def look(self):
        return 1

    @listen(look)
    def pay_back(self):
        return 2


class Charge(Flow):
    """Charges a card."""

    @start()
    def check(self):
        return True

    @router(check, emit=["ok", "no"])
    def decide(self):
        return "ok"

    @listen("ok")
    async def book(self):
        return "booked"

    refund = listen("no", flow=Refund)


class Order(Flow):
    """Charges, then ships."""

    @start()
    def take(self):
        return None

    charge = listen(take, flow=Charge)

    @listen(charge)
    async def ship(self):
        return "shipped"

    @listen(charge.failed)
    def mend(self):
        return "mended"


class Fact(Flow):
    """Runs itself."""

    @start()
    def look(self):
        return self.state.get("n", 0)

    below = listen(look, flow="Fact")


def ways(drawn):
    return {(edge.source, edge.target, edge.kind) for edge in drawn.edges}


def test_a_closed_step_has_a_mark_with_the_name_of_its_flow() -> None:
    """In words where there are no icons."""
    drawn = class_diagram(Order)
    (charge,) = [node for node in drawn.nodes if node.marks]
    assert charge.id == "charge"
    assert [(mark.icon, mark.tip, mark.text) for mark in charge.marks] == [
        ("flow", "runs Charge", "Charge")
    ]
    assert drawn.groups == ()


def test_a_step_shown_from_inside_is_a_box_around_its_flow() -> None:
    """In by the step's node, out by the flow's last ones, a failure from the step."""
    drawn = class_diagram(Order, {"charge"})
    (box,) = drawn.groups
    assert (box.name, box.kind) == ("charge: Charge", "flow")
    assert box.nodes == (
        "charge",
        "charge/check",
        "charge/decide",
        "charge/book",
        "charge/refund",
    )
    assert ways(drawn) == {
        ("take", "charge", "step"),
        ("charge", "charge/check", "step"),
        ("charge/check", "charge/decide", "step"),
        ("charge/decide", "charge/book", "label"),
        ("charge/decide", "charge/refund", "label"),
        ("charge/book", "ship", "step"),
        ("charge/refund", "ship", "step"),
        ("charge", "mend", "failed"),
    }


def test_all_levels_are_boxes_in_boxes() -> None:
    """A path names a step of an inner flow, and opens those around it."""
    drawn = class_diagram(Order, True)
    assert drawn == class_diagram(Order, ["charge/refund"])
    boxes, _, around = nested(drawn)
    assert [box.name for box in boxes] == ["charge: Charge", "refund: Refund"]
    assert around == [-1, 0]
    assert ("charge/refund", "charge/refund/look", "step") in ways(drawn)
    assert ("charge/refund/pay_back", "ship", "step") in ways(drawn)
    assert ("charge", "charge/refund/look", "step") not in ways(drawn)


def test_a_flow_within_itself_stays_closed() -> None:
    """A recursion is one level of picture."""
    drawn = class_diagram(Fact, True)
    assert [node.id for node in drawn.nodes] == ["look", "below"]
    assert drawn.nodes[1].marks[0].text == "Fact"


@pytest.mark.parametrize("suffix", ["html", "svg", "mmd", "dot", "json"])
def test_every_format_shows_it_closed_and_open(tmp_path, suffix) -> None:
    """The class's own ``plot`` takes ``expand=``."""
    closed, opened = tmp_path / f"closed.{suffix}", tmp_path / f"open.{suffix}"
    Order.plot(closed)
    Order.plot(opened, expand=True)
    shut, wide = closed.read_text("utf-8"), opened.read_text("utf-8")
    assert "Charge" in shut
    assert "pay_back" not in shut
    assert "pay_back" in wide
    if suffix == "mmd":
        assert 'subgraph g0["charge: Charge"]' in wide
    if suffix == "dot":
        assert "subgraph cluster_1" in wide
    if suffix == "json":
        assert [group["kind"] for group in json.loads(wide)["groups"]] == ["flow"] * 2
    if suffix in {"svg", "html"}:
        assert wide.count('class="group flow"') == 2


def test_a_run_shows_its_called_run_inside(tmp_path) -> None:
    """Each step how it fared there; what was not called is not gone through."""
    store = MemoryStore("memory:plots")
    order = Order(store=store)
    order.kickoff(id="order")
    file = tmp_path / "run.json"
    runs.plot("order", file, expand=True, store=store)
    drawn = json.loads(file.read_text("utf-8"))
    states = {
        node["id"]: node["status"] and node["status"]["state"]
        for node in drawn["nodes"]
    }
    assert states["charge/book"] == "done"
    assert states["charge/refund"] is None
    assert states["charge/refund/look"] is None
    taken = {(each["source"], each["target"]): each["taken"] for each in drawn["edges"]}
    assert taken["charge", "charge/check"] == [1]
    assert taken["charge/book", "ship"] == [1]
    assert taken["charge/refund/pay_back", "ship"] == [0]
    assert taken["charge/refund/look", "charge/refund/pay_back"] == [0]


def test_a_step_that_runs_no_flow_cannot_be_opened() -> None:
    """The error names those that can."""
    with pytest.raises(ValueError, match="no step") as caught:
        class_diagram(Order, {"chargee"})
    assert str(caught.value) == (
        "Order has no step 'chargee' that runs a flow. Did you mean 'charge'? "
        "These steps run flows: 'charge'."
    )
