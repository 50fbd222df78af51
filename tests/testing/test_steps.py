"""Stubs and faults by the name of a step."""

from __future__ import annotations

import pytest

from flowkit import Flow, human_feedback, listen, start
from flowkit.testing import Called, Gives, assert_path, fail, path_of, stub
from tests.testing.flows import Adds, Apart, Order


def test_a_stub_gives_its_result_and_keeps_the_arguments() -> None:
    """A router's result is routed; the step's own body does not run."""
    with stub(Order, "charge", returns="declined") as charge:
        flow = Order()
        assert flow.kickoff({"total": 7}) == "sorry"
    assert charge.calls == [Called((7,), {}, 2, 1)]
    assert (charge.count, repr(charge)) == (1, "<Order.charge: called 1 times>")
    assert "charged" not in flow.state
    assert_path(flow, "receive", "charge", "apologise")


def test_the_step_is_itself_again_after_the_block() -> None:
    """Also if the block fails."""
    with pytest.raises(ZeroDivisionError), stub(Order, Order.receive, returns=500):
        raise ZeroDivisionError
    flow = Order()
    flow.kickoff({"total": 100})
    assert flow.state["charged"] == 100


async def test_results_come_in_turn_and_exceptions_are_raised() -> None:
    """On either loop, in sync and async steps; each raise has its own exception."""
    error = TimeoutError("bank")
    with stub(Order, "charge", in_turn=[error, error, "declined"]):
        for _ in range(2):
            with pytest.raises(TimeoutError, match="bank") as caught:
                await Order().kickoff_async()
            assert caught.value is not error
            assert len(caught.value.__notes__) == 1
        assert await Order().kickoff_async() == "sorry"


def test_a_stub_without_further_results_says_so() -> None:
    """With the number of the call."""
    with stub(Order, "receive", in_turn=[]):
        with pytest.raises(AssertionError) as caught:
            Order().kickoff()
    assert str(caught.value) == (
        "Order.receive was called 1 times, and its stub has 0 results in_turn. Give it "
        "more, or find out why it is called again."
    )


async def test_a_function_can_stand_in_for_a_step() -> None:
    """It gets the flow and the step's arguments; an async step awaits what it gives."""

    async def charge(flow, total):
        flow.state["seen"] = total
        return "declined"

    with stub(Order, "charge", calls=charge):
        flow = Order()
        assert await flow.kickoff_async({"total": 3}) == "sorry"
    assert flow.state["seen"] == 3


def test_a_stub_can_change_the_state() -> None:
    """A dictionary's fields and a model's."""
    with stub(Adds, "second", returns=Gives("five", state={"sum": 5})):
        flow = Adds()
        assert flow.kickoff() == "five"
    assert flow.state.sum == 5


def test_a_stub_of_an_object_leaves_others_alone() -> None:
    """And one of a class means its subclasses, unless they override the step."""

    class Small(Order):
        pass

    class Other(Order):
        def receive(self):
            return 900

    one, other = Order(), Order()
    with stub(one, "receive", returns=100):
        assert (one.kickoff(), other.kickoff({"total": 200})) == ("sorry", "sorry")
    assert (one.state["charged"], other.state["charged"]) == (100, 200)
    with stub(Order, "receive", returns=300):
        small, big = Small(), Other()
        small.kickoff()
        big.kickoff()
    assert (small.state["charged"], big.state["charged"]) == (300, 900)


def test_a_stub_of_a_reviewed_step_is_reviewed() -> None:
    """What a person says of it is the flow's business still."""

    class Says:
        def request_feedback(self, context, flow):
            return f"{context.method_output}?"

    class Draft(Flow):
        @start()
        @human_feedback(message="Good?", provider=Says())
        def write(self):
            return "real"

        @listen(write)
        def publish(self, review):
            return review.feedback

    with stub(Draft, "write", returns="stub"):
        assert Draft().kickoff() == "stub?"


async def test_a_step_fails_so_often_and_then_works() -> None:
    """Before its body has run, or after it."""
    ran = []

    class Buys(Flow):
        @start()
        async def pay(self):
            ran.append("pay")
            return "paid"

    with fail(Buys, "pay", with_=ConnectionError("gone"), times=2) as pay:
        for _ in range(2):
            with pytest.raises(ConnectionError, match="gone"):
                await Buys().kickoff_async()
        assert ran == []
        assert await Buys().kickoff_async() == "paid"
    assert (pay.count, ran) == (3, ["pay"])
    with fail(Buys, "pay", with_=OSError, times=None, late=True):
        with pytest.raises(OSError):
            await Buys().kickoff_async()
    assert ran == ["pay", "pay"]


def test_a_failed_step_is_heard() -> None:
    """As any that fails; a sync step fails late, too."""

    class Buys(Flow):
        @start()
        def pay(self):
            return "paid"

        @listen("pay.failed")
        def apologise(self, pay):
            return str(pay)

    with fail(Buys, "pay", with_=ValueError("no"), late=True):
        flow = Buys()
        assert flow.kickoff() == "no"
    assert path_of(flow) == ["pay.failed", "apologise"]


def test_wrong_arguments_are_refused_with_a_hint() -> None:
    """What is there, or what was meant."""
    with pytest.raises(ValueError) as caught, stub(Order, "chrage"):
        pass
    assert str(caught.value) == "Order has no step 'chrage'. Did you mean 'charge'?"
    with pytest.raises(ValueError) as caught, stub(Adds, "x"):
        pass
    assert str(caught.value) == "Adds has no step 'x'. It has first, second."
    with pytest.raises(ValueError) as caught, stub(int, "x"):
        pass
    assert str(caught.value) == (
        "stub and fail take a flow class or object, not <class 'int'>."
    )
    with (
        pytest.raises(ValueError) as caught,
        stub(Adds, "first", returns=1, in_turn=[]),
    ):
        pass
    assert str(caught.value) == (
        "stub('first', returns=.., in_turn=..): give one of them."
    )
    with pytest.raises(TypeError) as caught, fail(Adds, "first", with_=3):
        pass
    assert str(caught.value) == "fail('first', with_=..) takes an exception, not 3."


def test_an_isolated_step_that_is_let_through_runs_in_its_process() -> None:
    """Its own work may end a process: never that of the test."""
    with fail(Apart, "crash", late=True) as calls:
        flow = Apart()
        assert flow.kickoff() == "attempt 2"
    assert calls.count == 2
    one, other = Apart(), Apart()
    with stub(one, "crash", returns="stubbed"):
        assert (one.kickoff(), other.kickoff()) == ("stubbed", "attempt 2")
