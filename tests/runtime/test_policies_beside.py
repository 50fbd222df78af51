"""Policies beside what else a step may be: in a group, gated, repeated, a flow."""

from __future__ import annotations

from urllib.error import HTTPError

import anyio
import pytest
from pydantic import BaseModel

from flowkit import (
    DefinitionError,
    Flow,
    Policy,
    Rate,
    Region,
    Retry,
    any_of,
    each,
    gather,
    listen,
    or_,
    start,
    testing,
)
from flowkit.plot.parts import marks
from flowkit.runtime.clock import now
from flowkit.runtime.resumption import resume
from tests.runtime.stored import MemoryStore, flow_named

FLAT = {"factor": 1, "jitter": "none"}
SOON = Retry(3, first=0)
LATER = Retry(3, first=10, **FLAT)


async def still():
    """Let all that can move get to where it waits."""
    for _ in range(30):
        await anyio.lowlevel.checkpoint()


async def kicked(flow, clock, seconds, times):
    """The result of a flow while the clock moves on."""
    found = []

    async def go():
        found.append(await flow.kickoff_async())

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        for _ in range(times):
            await still()
            clock.advance(seconds)
        await still()
    return found[0]


def test_an_instance_is_tried_again_in_its_lane() -> None:
    """A failed attempt is no failure of the instance, and the group waits for it."""
    tries = []

    class Leads(Flow):
        @start()
        def leads(self):
            return ["ann", "bob", "eve"]

        @listen(each(leads, failures="fail_fast"), retry=SOON)
        def score(self, lead):
            tries.append(lead)
            if lead != "ann" and tries.count(lead) < 3:
                raise OSError(lead)
            return lead.upper()

        @listen(gather(score))
        def report(self, scores):
            return scores

    assert Leads().kickoff() == ["ANN", "BOB", "EVE"]
    assert sorted(tries) == ["ann"] + ["bob"] * 3 + ["eve"] * 3


async def test_an_instance_that_waits_for_a_retry_counts_in_the_limit(clock) -> None:
    """It is at work: the next item begins when it has ended."""
    tries = []

    class Leads(Flow):
        @start()
        async def leads(self):
            return [1, 2]

        @listen(each(leads, limit=1), retry=LATER)
        async def score(self, lead):
            tries.append((lead, int(now())))
            if now() < 1_010:
                raise OSError
            return lead

        @listen(gather(score))
        async def report(self, scores):
            return scores

    assert await kicked(Leads(), clock, 10, 2) == [1, 2]
    assert tries == [(1, 1_000), (1, 1_010), (2, 1_010)]


def test_an_instance_that_fails_for_good_is_its_groups_matter() -> None:
    """Its fallback stands in first; collected failures do not end the run."""

    class Leads(Flow):
        @start()
        def leads(self):
            return [1, 2, 3]

        @listen(each(leads, failures="collect"), retry=SOON)
        def score(self, lead):
            if lead == 2:
                raise OSError("two")
            return lead

        @listen(gather(score))
        def report(self, scores):
            return [str(each) for each in scores]

    flow = Leads()
    assert flow.kickoff() == ["1", "two", "3"]
    assert flow.run.failures == []

    class Falling(Leads):
        leads, report = Leads.leads, Leads.report

        @listen(each(Leads.leads), retry=SOON, fallback=0)
        def score(self, lead):
            if lead == 2:
                raise OSError("two")
            return lead

    flow = Falling()
    assert flow.kickoff() == ["1", "0", "3"]
    assert flow.run.degraded == ("score",)


def test_a_groups_failure_ends_its_branch_alone_where_the_run_goes_on() -> None:
    """As any failure that nobody listens to, and all come out where collected."""

    def made(mode):
        class Leads(Flow, on_error=mode):
            @start()
            def leads(self):
                return [1, 2]

            @start()
            def other(self):
                return "other"

            @listen(each(leads, limit=1))
            def score(self, lead):
                raise OSError(str(lead))

            @listen(gather(score))
            def report(self, scores):
                return scores

            @listen(other)
            def rest(self):
                return "rest"

        return Leads()

    flow = made("continue")
    assert flow.kickoff() == "rest"
    assert flow.run.status == "completed"
    assert [str(each) for each in flow.run.failures] == ["1"]
    flow = made("collect")
    with pytest.raises(ExceptionGroup) as caught:
        flow.kickoff()
    assert [str(each) for each in caught.value.exceptions] == ["1"]
    assert flow.run.status == "failed"


def test_a_groups_failure_is_compensated_each_instance_newest_first() -> None:
    """Each committed instance is undone once, with what it returned."""
    undone = []

    class Trip(Flow, on_error="compensate"):
        @start(undo="free")
        def reserve(self):
            return [1, 2, 3]

        @listen(each(reserve, limit=1), undo="cancel_booking")
        def book(self, place):
            if place == 3:
                raise OSError("full")
            return f"booking {place}"

        @listen(gather(book))
        def done(self, bookings):
            return bookings

        def cancel_booking(self, booking):
            undone.append(booking)

        def free(self, places):
            undone.append(places)

    flow = Trip()
    with pytest.raises(OSError, match="full"):
        flow.kickoff()
    assert undone == ["booking 2", "booking 1", [1, 2, 3]]
    assert flow.run.status == "compensated"


def test_a_handler_of_all_errors_hears_what_a_group_leaves() -> None:
    """It stands outside: the group's policy comes first, who gathers fails then."""
    heard = []

    class Leads(Flow, on_error="note"):
        @start()
        def leads(self):
            return [1, 2]

        @listen(each(leads, limit=1))
        def score(self, lead):
            raise OSError(str(lead))

        @listen(gather(score))
        def report(self, scores):
            return scores

        def note(self, error):
            heard.append(str(error))
            return "noted"

    flow = Leads()
    assert flow.kickoff() == "noted"
    assert heard == ["1"]


async def test_a_step_keeps_its_mutex_while_it_waits_for_a_retry(clock) -> None:
    """What it began may stand half done outside: nobody comes between."""
    order = []

    class Till(Flow):
        @start(mutex="till", retry=LATER)
        async def first(self):
            order.append("first")
            if len(order) == 1:
                raise OSError
            return 1

        @start(mutex="till")
        async def second(self):
            order.append("second")
            return 2

        @listen(or_(first, second), max_firings=2)
        async def both(self):
            return None

    await kicked(Till(), clock, 10, 1)
    assert order == ["first", "first", "second"]


async def test_a_region_is_held_while_a_step_in_it_waits_for_a_retry(clock) -> None:
    """The region is not left before its last step has ended."""
    order = []
    desk = Region("desk", mutex="desk")

    class Office(Flow):
        @start(region=desk)
        async def one(self):
            order.append("one")

        @listen(one, region=desk, retry=LATER)
        async def two(self):
            order.append("two")
            if order.count("two") == 1:
                raise OSError

        @start(mutex="desk")
        async def other(self):
            order.append("other")

    await kicked(Office(), clock, 10, 2)
    assert order == ["one", "two", "two", "other"]


def test_each_turn_of_a_repeated_step_has_all_attempts() -> None:
    """What the turns before left stays; only the one that failed is made again."""
    tries = []

    class Poll(Flow):
        @start()
        def begin(self):
            self.state["done"] = 0

        @listen(begin, until=lambda state: state["done"] >= 3, retry=Retry(2, first=0))
        def turn(self):
            tries.append(self.attempt)
            if len(tries) % 2:
                raise OSError
            self.state["done"] += 1
            return self.state["done"]

    assert Poll().kickoff() == 3
    assert tries == [1, 2, 1, 2, 1, 2]


def test_a_fallback_stands_in_for_one_turn() -> None:
    """The test is asked after it as after the step itself."""

    class Poll(Flow):
        @start()
        def begin(self):
            self.state["done"] = 0

        @listen(begin, until=lambda state: state["done"] >= 2, fallback="degraded")
        def turn(self):
            raise OSError

        def degraded(self):
            self.state["done"] += 1

    class Counting(Poll):
        begin = Poll.begin

        @listen(begin, until=lambda state: state["done"] >= 2, fallback=Poll.degraded)
        def turn(self):
            raise OSError

    flow = Counting()
    flow.kickoff()
    assert flow.state["done"] == 2


def test_what_a_step_has_yielded_is_passed_over_by_its_next_attempt() -> None:
    """Each item gets one instance, however often the step begins."""
    tries = []

    class Pages(Flow):
        @start(retry=SOON)
        def pages(self):
            tries.append(None)
            for page in range(3):
                if page == 2 and len(tries) < 3:
                    raise OSError
                yield page

        @listen(each(pages))
        def read(self, page):
            return page * 10

        @listen(gather(read))
        def all(self, read):
            return read

    assert Pages().kickoff() == [0, 10, 20]
    assert len(tries) == 3


def ordering():
    """A flow whose step runs another one, which fails twice; what was tried."""
    tries = []

    class Charge(Flow):
        @start()
        def check(self):
            tries.append("check")

        @listen(check)
        def pay(self):
            tries.append("pay")
            if tries.count("pay") < 3:
                raise OSError("declined")
            return "paid"

    class Order(Flow):
        @start()
        def order(self):
            return {"id": 7}

        charge = listen(order, flow=Charge, retry=SOON)

        @listen(charge)
        def done(self, charge):
            return charge

    return Order, tries


def test_a_flow_step_in_memory_is_called_anew() -> None:
    """Each attempt is a run of its own."""
    order, tries = ordering()
    assert order().kickoff() == "paid"
    assert tries == ["check", "pay"] * 3


def test_a_stored_flow_step_goes_on_where_it_failed() -> None:
    """What the called run had finished is not done again."""
    order, tries = ordering()
    assert order(store="memory:").kickoff() == "paid"
    assert tries == ["check", "pay", "pay", "pay"]


async def test_a_flow_step_out_of_time_takes_its_run_along(clock) -> None:
    """The called run is cancelled, and the next attempt calls another one."""
    seen = []

    class Slow(Flow):
        @start()
        async def wait(self):
            seen.append("began")
            try:
                if seen.count("began") == 1:
                    await anyio.sleep_forever()
            except BaseException:
                seen.append("cancelled")
                raise
            return "in time"

    class Order(Flow):
        @start()
        async def order(self):
            return {}

        slow = listen(order, flow=Slow, timeout=5, retry=Retry(2, first=0))

        @listen(slow)
        async def done(self, slow):
            return slow

    assert await kicked(Order(), clock, 5, 1) == "in time"
    assert seen == ["began", "cancelled", "began"]


async def test_a_step_that_waits_for_a_retry_can_be_withdrawn(clock) -> None:
    """Its time is withdrawn with it, and the run does not wait for it."""
    tries = []

    class Race(Flow):
        @start(retry=Retry(9, first=100, **FLAT))
        async def slow(self):
            tries.append(None)
            raise OSError

        @start()
        async def quick(self):
            return "quick"

        @listen(quick)
        async def ends(self):
            await self.sleep(10)
            assert self.cancel(Race.slow)
            return "ended"

        @listen(slow.cancelled)
        async def told(self):
            return "told"

    flow = Race()
    assert await kicked(flow, clock, 10, 1) == "told"
    assert len(tries) == 1
    assert flow.run.status == "completed"
    assert now() == 1_010


def test_a_retry_in_a_group_is_resumed_where_it_stood(clock) -> None:
    """After a crash the instance waits for the rest of its time, the others are done."""
    store = MemoryStore("memory:lanes")
    tries = []

    class Lanes(Flow, store=store):
        @start()
        def leads(self):
            return [1, 2]

        @listen(each(leads, limit=2), retry=Retry(2, first=500, **FLAT))
        def score(self, lead):
            tries.append((lead, int(now())))
            if lead == 2 and now() < 1_500:
                raise OSError
            return lead

        @listen(gather(score))
        def report(self, scores):
            return scores

    flow_named(Lanes)
    run = Lanes().kickoff()
    assert run.status == "waiting"
    assert resume(run.id, store=store).status == "waiting"
    clock.advance(500)
    assert resume(run.id, store=store) == [1, 2]
    assert sorted(tries) == [(1, 1_000), (2, 1_000), (2, 1_500)]


def test_a_policy_of_the_class_holds_for_instances() -> None:
    """``defaults=`` reaches steps of groups and flow steps alike."""

    class Leads(Flow, defaults=Policy(retry=SOON)):
        @start()
        def leads(self):
            return [1]

        @listen(each(leads))
        def score(self, lead):
            if self.attempt < 3:
                raise OSError
            return lead

        @listen(gather(score))
        def report(self, scores):
            return scores

    assert Leads().kickoff() == [1]


def test_a_stub_that_fails_is_tried_again() -> None:
    """The testing kit replaces the body of a step, not its policies."""

    class Pays(Flow):
        @start(retry=SOON)
        def pay(self):
            return "paid"

        @listen(pay, fallback="by hand")
        def send(self):
            return "sent"

    with testing.fail(Pays, "pay", times=2) as pay, testing.fail(Pays, "send"):
        flow = Pays()
        assert flow.kickoff() == "by hand"
    assert pay.count == 3
    assert flow.run.degraded == ("send",)


def test_a_picture_marks_the_policies_of_steps() -> None:
    """With what a reader must reckon with, in few characters."""

    class Pays(Flow):
        @start(retry=Retry(4), timeout="20s", fallback=0, cache="1h", undo="free")
        def pay(self):
            return "paid"

        def free(self, paid): ...

    step = Pays.definition().step("pay")
    assert [(each.icon, each.text) for each in marks(step)] == [
        ("retry", "4"),
        ("timeout", "20s"),
        ("cache", ""),
        ("fallback", ""),
        ("undo", ""),
    ]


def test_a_cache_of_what_is_no_result_is_a_fault() -> None:
    """A turn is not the whole step, and items are not its result."""
    with pytest.raises(DefinitionError) as caught:

        class Odd(Flow):
            @start(cache="1h")
            def items(self):
                yield 1

            @listen(items, until=lambda state: True, cache="1h")
            def turns(self): ...

    said = str(caught.value)
    assert (
        "Odd.items has cache= and yields its items: a kept result would hold none of "
        "them. Give the cache to a step of its own. (test_policies_beside.py:"
    ) in said
    assert (
        "Odd.turns has cache= and repeats itself: a kept result would be that of one "
        "turn. Give the cache to a step of its own. (test_policies_beside.py:"
    ) in said


async def test_a_race_withdraws_who_waits_for_a_retry(clock) -> None:
    """The first to end well cancels the rest, times to come included (R8)."""
    tries = []

    class Race(Flow):
        @start(retry=Retry(9, first=100, **FLAT))
        async def slow(self):
            tries.append(None)
            raise OSError

        @start()
        async def quick(self):
            await self.sleep(10)
            return "quick"

        @listen(any_of(1, slow, quick, rest="cancel"))
        async def won(self):
            return "won"

    flow = Race()
    assert await kicked(flow, clock, 10, 1) == "won"
    assert (len(tries), flow.run.status, now()) == (1, "completed", 1_010)


def test_a_run_with_policies_is_killed_at_every_record() -> None:
    """A retry in a lane, a fallback and a flow step: each record is a place to stop."""

    class Kept(Flow):
        @start()
        def leads(self):
            return [1, 2]

        @listen(each(leads, limit=1), retry=SOON, fallback=0)
        def score(self, lead):
            if lead == 2 or self.attempt == 1:
                raise OSError(str(lead))
            return lead

        @listen(gather(score), retry=SOON)
        def report(self, scores):
            if self.attempt == 1:
                raise OSError
            return scores

    assert testing.survives_kills(flow_named(Kept)) > 8


async def test_a_stream_tells_of_retries_and_compensation() -> None:
    """Each deferral is a frame, and a run that was undone says so."""

    class Trip(Flow, on_error="compensate"):
        @start(undo="free", retry=SOON)
        def reserve(self):
            if self.attempt == 1:
                raise OSError("again")
            return "seat"

        @listen(reserve)
        def fly(self, seat):
            raise OSError("no plane")

        def free(self, seat): ...

    stream = Trip().stream()
    with pytest.raises(OSError, match="no plane"):
        async for _ in stream:
            pass
    told = [(each.type, each.data.get("step")) for each in stream.frames]
    assert ("method_execution_deferred", "reserve") in told
    assert told[-2:] == [
        ("method_execution_finished", "free"),
        ("flow_compensated", None),
    ]


async def test_all_policies_of_a_step_work_together() -> None:
    """In one decorator, with defaults of the class, a deadline and compensation."""
    log = []
    broken = [HTTPError("crm", 503, "away", None, None), ValueError("no card")]

    class Trip(BaseModel):
        city: str = ""

    class Booking(
        Flow[Trip],
        defaults=Policy(timeout=30, retry=3),
        deadline="15m",
        on_error="compensate",
    ):
        def release(self, reserved):
            log.append(f"release {reserved}")

        def cached_profile(self, error):
            return f"cached after {type(error).__name__}"

        @start(undo=release)
        async def reserve(self):
            return f"room in {self.state.city}"

        @listen(
            reserve,
            retry=Retry(5, on=HTTPError, first=0, most=60, budget=Rate(9, per="1m")),
            timeout=20,
            breaker="crm of all together",
            rate=Rate(100, per="1m"),
            fallback={ValueError: cached_profile},
            undo=release,
        )
        async def charge(self, order):
            log.append(f"charge {self.attempt}")
            if broken:
                raise broken.pop(0)
            return order

        @listen(charge, retry=False)
        async def ship(self, charged):
            raise OSError("no carrier")

    flow = Booking()
    with pytest.raises(OSError, match="no carrier"):
        await flow.kickoff_async({"city": "Ulm"})
    assert flow.run.status == "compensated"
    assert flow.run.degraded == ("charge",)
    assert log == [
        "charge 1",
        "charge 2",
        "release cached after ValueError",
        "release room in Ulm",
    ]
    told = {step.name: dict(step.policies) for step in Booking.definition().steps}
    assert told["ship"] == {"timeout": "30s"}
    assert told["charge"] == {
        "retry": "5 attempts, on HTTPError, wait 0s, x2 up to 1m",
        "timeout": "20s",
        "rate": "100 in 1m",
        "breaker": "crm of all together",
        "fallback": "ValueError: cached_profile",
        "undo": "release",
    }
