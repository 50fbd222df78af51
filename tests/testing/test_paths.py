"""The path of a run, and how a wrong one is shown."""

from __future__ import annotations

import pytest

from flowkit import Flow, listen, start
from flowkit.testing import any_order, assert_path, path_of, play, stub
from tests.testing.flows import Order, Parcels
from tests.testing.test_script import arrives


def refused(run, *steps, **more):
    with pytest.raises(AssertionError) as caught:
        assert_path(run, *steps, **more)
    return str(caught.value)


def test_a_wrong_path_is_shown_line_by_line() -> None:
    """What was expected and what was taken, with what a router chose there."""
    flow = Order()
    flow.kickoff({"total": 200})
    assert refused(flow, "receive", "charge", "ship", "inspect") == (
        "Order took another path (- expected, + taken):\n"
        "    receive\n"
        "    charge\n"
        "  - ship\n"
        "  - inspect\n"
        "  + apologise"
    )
    assert refused(flow.run, "receive", "apologise") == (
        "Order took another path (- expected, + taken):\n"
        "    receive\n"
        "  + charge  (chose 'declined')\n"
        "    apologise"
    )


def test_a_failed_step_shows_what_it_raised() -> None:
    """As ``step.failed``."""
    with stub(Order, "receive", returns=ValueError("no money")):
        run = play(Order)
    assert path_of(run) == ["receive.failed"]
    assert refused(run, "receive") == (
        "Order took another path (- expected, + taken):\n"
        "  - receive\n"
        "  + receive.failed  (ValueError: no money)"
    )


def test_a_run_without_steps_says_so() -> None:
    """Before the first kickoff."""
    assert path_of(Order()) == []
    assert refused(Order(), "receive") == (
        "Order took another path (- expected, + taken):\n"
        "  - receive\n"
        "  no step has ended"
    )


def test_steps_side_by_side_may_end_in_any_order() -> None:
    """Said by any_order or by a set; a step that ended twice is there twice."""
    run = play(Parcels, begins=arrives("ordered", {"id": 1}))
    assert_path(run, "pack", any_order("weigh", "label"))
    assert_path(run, "pack", {"label", Parcels.weigh})
    assert refused(run, "pack", any_order("label", "label"))[:46] == (
        "Parcels took another path (- expected, + taken"
    )


def test_a_stopping_step_is_part_of_the_path() -> None:
    """It did what it had to do."""

    class Ends(Flow):
        @start()
        def begin(self):
            return 1

        @listen(begin)
        def end(self, one):
            self.stop("over")

    flow = Ends()
    assert flow.kickoff() == "over"
    assert_path(flow, "begin", "end")


def test_a_stored_run_is_read_by_its_id(memory_store) -> None:
    """Without its flow."""
    flow = Order()
    flow.kickoff({"total": 200}, id="o-1")
    assert_path("o-1", "receive", "charge", "apologise")
    assert refused("o-1", "receive", "charge", store=memory_store) == (
        "Run o-1 took another path (- expected, + taken):\n"
        "    receive\n"
        "    charge\n"
        "  + apologise"
    )
