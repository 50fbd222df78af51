"""Runs played by a script, clocks that stand still and jump."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from flowkit import Flow, event, human_feedback, listen, start, timer
from flowkit.errors import InputError, RunError
from flowkit.runtime.clock import current_clock, now
from flowkit.testing import (
    Answers,
    Arrives,
    TimePasses,
    assert_path,
    jumping_clock,
    manual_clock,
    play,
    stores,
    stub,
)
from tests.testing.flows import Order, Parcels

SCRIPT = [Arrives("address", "Oslo"), TimePasses(), Answers("inspect", "yes")]


def arrives(name, payload=None):
    return Arrives(name, payload)


@pytest.mark.parametrize("stored", [False, True])
async def test_a_run_gets_what_the_script_says_when_it_waits(stored) -> None:
    """An event, two weeks, an answer: on either loop, with a store and without."""
    make = (lambda: Order(store="memory:")) if stored else Order
    run = play(make, {"total": 5}, outside=SCRIPT)
    assert (run.status, run.result) == ("completed", "yes")
    assert_path(run, "receive", "charge", "ship", "inspect")


def test_a_run_begins_by_an_event_and_is_reviewed() -> None:
    """Then a timer goes off and an event ends it."""
    outside = [
        Answers("ask", "send"),
        TimePasses("2d"),
        TimePasses("1d"),
        Arrives("returned", "broken"),
    ]
    run = play(Parcels, begins=Arrives("ordered", {"id": 4}), outside=outside)
    assert (run.status, run.result, run.key) == ("completed", "broken", "4")
    assert run.state["packed"] == [4]


def test_a_run_that_waits_for_more_is_left_waiting() -> None:
    """It does not wait in memory for a time that never comes."""
    run = play(Order)
    assert (run.status, run.awaits) == ("waiting", ("address",))


def test_what_never_came_is_an_error() -> None:
    """With where the run stands."""
    with pytest.raises(AssertionError) as caught:
        play(Order, outside=[Arrives("adress", "Oslo")])  # codespell:ignore
    assert str(caught.value) == (
        "Order was to get the event 'adress', and waits for address. Its path so far: "
        "receive, charge."
    )
    with pytest.raises(AssertionError) as caught:
        play(Order, {"total": 200}, outside=[Answers("inspect", "yes")])
    assert str(caught.value) == (
        "Order was to get the answer 'yes' to inspect, and is completed. Its path so "
        "far: receive, charge, apologise."
    )


def test_a_bad_answer_or_payload_is_the_callers_error() -> None:
    """It is raised where the run is played."""
    with pytest.raises(InputError):
        play(Order, outside=[*SCRIPT[:2], Answers("inspect", "perhaps")])

    class Counts(Flow):
        @start()
        def begin(self):
            return 1

        @listen(event("more"))
        def add(self, more: int):
            return more + 1

    with pytest.raises(InputError):
        play(Counts, outside=[Arrives("more", "many")])
    assert play(Counts, outside=[Arrives("more", 2)]).result == 3


def test_an_event_is_for_the_run_that_is_played(memory_store) -> None:
    """Not for an older one that waits for the same."""
    older, run = play(Order), play(Order, outside=SCRIPT)
    assert (older.status, run.status) == ("waiting", "completed")


def test_a_failed_run_is_given_not_raised() -> None:
    """Its outcome raises."""
    with stub(Order, "charge", returns=ConnectionError("bank")):
        run = play(Order)
    assert run.status == "failed"
    with pytest.raises(ConnectionError):
        run.outcome()


def test_a_called_flow_gets_its_part_of_the_script() -> None:
    """The run that waits is asked, not the one that called it."""

    class Outer(Flow):
        @start()
        async def begin(self):
            return await self.call(Order, {"total": 3})

    run = play(Outer, outside=SCRIPT)
    assert (run.status, run.result) == ("completed", "yes")


def test_proposals_are_approved_rejected_and_edited() -> None:
    """By the verbs of ``flowkit.tasks``."""

    class Asks(Flow):
        @start()
        async def propose(self):
            decision = await self.ask_async("Pay?", proposal=10)
            return decision.verdict, decision.value

    def answered(**given):
        return play(Asks, outside=[Answers("propose", **given)]).result

    assert answered(verb="approve", by="ann") == ("approved", 10)
    assert answered(verb="reject", comment="no") == ("rejected", None)
    assert answered(verb="edit", value=7) == ("edited", 7)


def test_time_jumps_over_waits_and_timers() -> None:
    """Sleeping costs nothing; what sleeps less wakes first."""
    seen = []

    class Naps(Flow):
        @start()
        async def long(self):
            await self.sleep("14d")
            seen.append(("long", now()))

        @start()
        def short(self):
            self.sleep("1d")
            seen.append(("short", now()))

        @listen(timer("2d"))
        def between(self):
            seen.append(("between", now()))

    day = 86_400.0
    with jumping_clock(at=0.0) as clock:
        Naps().kickoff()
        assert clock.now() == 14 * day
    assert seen == [("short", day), ("between", 2 * day), ("long", 14 * day)]


async def test_time_jumps_on_either_loop(jumping_clock) -> None:
    """The fixture, in an async test; a timeout is a time as well."""
    begun = now()
    with pytest.raises(TimeoutError):
        await Order().kickoff_async()
    assert now() - begun == 86_400


def test_a_manual_clock_stands_still() -> None:
    """And the one before is put back."""
    before = current_clock()
    with manual_clock(at=5.0) as clock:
        assert now() == 5.0
        clock.advance(2)
        assert now() == 7.0
    assert current_clock() is before


def test_a_review_with_a_provider_asks_it() -> None:
    """The script is for whom nobody else asks."""

    class Says:
        def request_feedback(self, context, flow):
            return "fine"

    class Draft(Flow):
        @start()
        @human_feedback(message="Good?", provider=Says())
        def write(self):
            return "text"

    assert play(Draft).result.feedback == "fine"


@pytest.mark.parametrize("stored", [True, False])
def test_a_run_whose_called_run_waits_is_left_with_it(stored) -> None:
    """Nothing of the script is left for either of them."""

    class Calls(Flow):
        @start()
        async def begin(self):
            return await self.call(Order, {"total": 3})

    with stores.memory_store() if stored else nullcontext():
        run = play(Calls)
    assert run.status == "waiting"
    assert run.awaits == (f"run:{run.id}:1:0",)


def test_an_event_that_begins_no_run_says_which_do() -> None:
    """The kit names them, and what was probably meant."""
    with pytest.raises(RunError) as caught:
        play(Draft, begins=arrives("drafed"))
    assert str(caught.value) == (
        "Draft has no start on the event 'drafed'. Did you mean 'drafted'? It begins "
        "by 'asked', 'drafted'."
    )
    with pytest.raises(RunError) as caught:
        play(Alone, begins=arrives("drafted"))
    assert str(caught.value) == (
        "Alone has no start on the event 'drafted'. It begins by no event: leave out "
        "begins=."
    )


class Draft(Flow):
    """Begins by two events."""

    @start(event("drafted"))
    def take(self):
        pass

    @start(event("asked"))
    def ask_for(self):
        pass


class Alone(Flow):
    """Begins by none."""

    @start()
    def begin(self):
        pass
