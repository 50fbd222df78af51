"""Regression tests cut from stored runs: their text, and that they find a change."""

from __future__ import annotations

import pytest

from flowkit import Flow, event, listen, start
from flowkit.errors import InputError, RunError
from flowkit.testing import (
    Answers,
    Arrives,
    TimePasses,
    play,
    stub,
    testcase,
)
from flowkit.testing.source import literal
from tests.testing.flows import Adds, Order, Parcels
from tests.testing.test_script import SCRIPT


def run_source(source):
    """What pytest would do with it."""
    names = {}
    exec(compile(source, "cut.py", "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()


@pytest.fixture
def order(memory_store):
    """A stored run of everything that can come from outside."""
    return play(Order, {"total": 5}, outside=SCRIPT)


def test_the_source_plays_what_came_from_outside(order) -> None:
    """Inputs, an event, time, an answer; path, status and result are checked."""
    source = testcase(order.id[:13], name="test_a_paid_order")
    assert source == (
        f'"""Cut from run {order.id} of Order."""\n'
        "\n"
        "# begun 2026-01-01T00:00:00+00:00\n"
        "from flowkit.testing import (\n"
        "    Answers,\n"
        "    Arrives,\n"
        "    TimePasses,\n"
        "    assert_path,\n"
        "    play,\n"
        ")\n"
        "\n"
        "from tests.testing.flows import Order\n"
        "\n"
        "\n"
        "def test_a_paid_order():\n"
        "    run = play(\n"
        "        Order,\n"
        '        {"total": 5},\n'
        "        outside=[\n"
        '            Arrives("address", "Oslo"),\n'
        "            TimePasses(),\n"
        '            Answers("inspect", "yes"),\n'
        "        ],\n"
        "        at=1767225600.0,\n"
        "    )\n"
        '    assert_path(run, "receive", "charge", "ship", "inspect")\n'
        '    assert run.status == "completed"\n'
        '    assert run.result == "yes"\n'
    )
    run_source(source)


def test_a_changed_flow_fails_its_test(order) -> None:
    """Another way, or another result."""
    source = testcase(order.id)
    with stub(Order, "charge", returns="declined"), pytest.raises(AssertionError):
        run_source(source)
    with stub(Order, "ship", returns="nowhere"), pytest.raises(AssertionError):
        run_source(source)


async def test_stubbed_steps_give_what_they_gave(memory_store) -> None:
    """What they changed in the state, too; what they waited for is left out."""
    order = play(Order, {"total": 5}, outside=SCRIPT)
    source = testcase(order.id, stubs=["charge", "ship"])
    assert (
        "    with (\n"
        "        stub(\n"
        "            Order,\n"
        '            "charge",\n'
        '            in_turn=[Gives("paid", state={"charged": 5})],\n'
        "        ),\n"
        '        stub(Order, "ship", in_turn=["Oslo"]),\n'
        "    ):\n"
    ) in source or (
        'stub(Order, "charge", in_turn=[Gives("paid", state={"charged": 5})]),'
    ) in source
    assert "Arrives" not in source
    assert "TimePasses" not in source
    run_source(source)
    run_source(testcase(order.id, stubs="all"))


def test_a_run_begun_by_an_event_and_reviewed(memory_store) -> None:
    """Side by side means any order; a value without a literal keeps its stored text."""
    run = play(
        Parcels,
        begins=Arrives("ordered", {"id": 4}),
        outside=[Answers("ask", "send"), TimePasses(), Arrives("returned", {"n": 1})],
    )
    assert run.status == "completed"
    source = testcase(run.id)
    assert 'begins=Arrives("ordered", {"id": 4}, key="4")' in source
    assert 'any_order("label", "weigh")' in source
    run_source(source)
    stubbed = testcase(run.id, stubs=["pack"])
    assert """recorded('{"!data":["tests.testing.flows:Parcel\"""" in stubbed
    run_source(stubbed)


def test_a_failed_run_is_expected_to_fail(memory_store) -> None:
    """With the same words, if the step that failed is a stub."""
    with stub(Order, "charge", returns=ConnectionError("the bank is closed")):
        run = play(Order)
    source = testcase(run.id, stubs=["charge"])
    assert 'assert_path(run, "receive", "charge.failed")\n' in source
    assert 'assert str(run.failures[0]) == "the bank is closed"' in source
    run_source(source)
    with pytest.raises(AssertionError):
        run_source(testcase(run.id))


def test_a_run_that_waits_is_expected_to_wait(memory_store) -> None:
    """What has not come does not come."""
    run = play(Order, outside=[Arrives("address", "Oslo")])
    source = testcase(run.id)
    assert 'assert run.status == "waiting"\n' in source
    run_source(source)


def test_a_typed_state_and_a_chosen_id(memory_store) -> None:
    """The name of the test is made of both."""
    flow = Adds()
    flow.kickoff({"sum": 2}, id="A-1/7")
    source = testcase("A-1/7", stubs=["second"])
    assert "def test_adds_a_1_7():\n" in source
    assert 'Gives(3, state={"sum": 3})' in source
    run_source(source)


def test_what_cannot_be_repeated_is_refused(memory_store) -> None:
    """A run cancelled from outside, an unknown run, an unknown step."""
    run = play(Order)
    with pytest.raises(InputError) as caught:
        testcase(run.id, stubs=["pay"])
    assert str(caught.value) == f"Run {run.id!r} has no step 'pay' to stub."

    class Waits(Flow):
        @start()
        def begin(self):
            return 1

        @listen(event("go"))
        def end(self):
            return 2

    waits = Waits()
    waits.kickoff(id="gone")
    waits.run.cancel("enough")
    assert waits.run.status == "cancelled"
    with pytest.raises(InputError) as caught:
        testcase("gone")
    assert str(caught.value) == (
        "Run 'gone' was cancelled from outside, which no test can repeat: cut one of a "
        "run that ended by itself, or waits."
    )
    with pytest.raises(RunError):
        testcase("nothing")


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        1.5,
        "plain",
        "it's",
        'say "so"',
        'it\'s "both" and \\ and \n',
        "\N{SNOWMAN}\ud800",
        [1, [2.5, "x"]],
        (1,),
        (),
        {"a": (1, {"b": None})},
        {1: "x", (2, 3): []},
    ],
)
def test_a_literal_is_read_as_what_it_was(value) -> None:
    """Whatever stands in it."""
    assert eval(literal(value)) == value


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), [b"x"], {"a": 1j}])
def test_what_has_no_literal_is_left_to_the_store(value) -> None:
    """Also deep inside."""
    assert literal(value) is None
