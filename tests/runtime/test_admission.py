"""Admission: how many runs of a flow are at work, who waits, who is refused."""

from __future__ import annotations

import gc
import threading

import anyio
import anyio.lowlevel
import pytest

from flowkit import (
    Admission,
    EventBus,
    Flow,
    Retry,
    event,
    listen,
    runs,
    signals,
    start,
)
from flowkit.cli.show import came_of
from flowkit.errors import AdmissionError, AdmissionFullError, RunError, ShedError
from flowkit.observe.path import waited as waits_in
from flowkit.runtime import shared
from flowkit.runtime.clock import ManualClock, now, use_clock
from flowkit.runtime.kinds import known
from flowkit.runtime.launch import new_run
from flowkit.runtime.resumption import resume_async
from tests.runtime.stored import MemoryStore, flow_named


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


async def pause(times=30):
    """Let everything get as far as it can."""
    for _ in range(times):
        await anyio.lowlevel.checkpoint()


async def until(condition):
    """Wait for what a thread has a part in."""
    while not condition():  # noqa: ASYNC110 - nobody tells
        await anyio.sleep(0.001)


async def ticks(clock, seconds, times=1):
    """Let what waits for the clock get there, and move it."""
    for _ in range(times):
        await pause()
        clock.advance(seconds)
        await pause()


def places(cls):
    """What stands in the process's places of a class."""
    state = known[cls].admission.places.state(None)
    return len(state.inside), state.waiting


def held(**options):
    """A flow class whose runs stay until they are let go, and what they did."""

    class Held(Flow[dict], **options):
        release = anyio.Event()
        begun: list = []

        @start()
        async def work(self):
            self.begun.append(self.state["n"])
            await self.release.wait()
            return self.state["n"]

    Held.release, Held.begun = anyio.Event(), []
    return Held


async def test_ten_runs_keep_within_an_admission(clock) -> None:
    """Three at a time, in the order they came, none lost."""
    inside, most, order = [], [], []

    class Calls(Flow[dict], admission=3):
        @start()
        async def call(self):
            order.append(self.state["n"])
            inside.append(1)
            most.append(len(inside))
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            inside.pop()

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(Calls().kickoff_async, {"n": number})
    assert (max(most), len(most), inside) == (3, 10, [])
    assert sorted(order) == list(range(10))
    assert places(Calls) == (0, 0)


async def test_a_full_line_refuses_before_anything_is_begun(clock) -> None:
    """By an error that says how full it is, a handle that says so, and a signal."""
    cls = held(admission=Admission(1, queue=1))
    told = []

    def hear(sender, run, error):
        told.append((sender, run, error))

    async with anyio.create_task_group() as group:
        for number in range(2):
            group.start_soon(cls().kickoff_async, {"n": number})
            await pause()
        flow = cls()
        with signals.run_rejected.connected_to(hear, sender=cls):
            with pytest.raises(AdmissionFullError) as caught:
                await flow.kickoff_async({"n": 2})
        assert str(caught.value) == (
            "Held takes no run on now: 1 are at work and 1 wait, and its admission "
            "allows 1 at once, 1 in line. Begin it again later, or allow a longer "
            "queue."
        )
        assert (caught.value.flow, caught.value.retry_after) == ("Held", None)
        assert told == [(cls, flow.run, caught.value)]
        assert (flow.run.status, flow.run.records) == ("failed", [])
        assert flow.run.failures == [caught.value]
        with pytest.raises(AdmissionFullError):
            flow.run.wait()
        cls.release.set()
    assert cls.begun == [0, 1]
    assert await flow.kickoff_async({"n": 2}) == 2


async def test_a_run_that_would_come_too_late_is_refused_at_once(clock) -> None:
    """By how long others took of late, and how many are before it."""

    class Slow(Flow[dict], admission=1, deadline="15s"):
        @start()
        async def work(self):
            await self.sleep(10)

    async with anyio.create_task_group() as group:
        group.start_soon(Slow().kickoff_async)
        await ticks(clock, 10)  # now it is known how long one takes
    async with anyio.create_task_group() as group:
        group.start_soon(Slow().kickoff_async)
        await pause()
        group.start_soon(Slow().kickoff_async)
        await pause()
        with pytest.raises(ShedError) as caught:
            await Slow().kickoff_async()
        assert str(caught.value) == (
            "Slow does not take this run on: its turn would come in about 20s, and it "
            "has to be over in 15s. Begin it again when less is to do, give it more "
            "time (deadline=), or let more runs be at work."
        )
        assert caught.value.retry_after == 20
        assert isinstance(caught.value, TimeoutError)
        group.cancel_scope.cancel()
    assert places(Slow) == (0, 0)


async def test_a_deadline_that_passes_in_line_sheds_the_run(clock) -> None:
    """Nothing of it runs, and its place in the line is free."""
    cls = held(admission=1, deadline="10s")
    outcomes, told = [], []

    async def go(flow):
        try:
            await flow.kickoff_async({"n": 0})
        except Exception as error:
            outcomes.append(error)

    def hear(sender, run, error):
        told.append(error)

    store = MemoryStore("memory:test")
    flows = [cls(store=store), cls(store=store)]
    with signals.run_rejected.connected_to(hear, sender=cls):
        async with anyio.create_task_group() as group:
            group.start_soon(go, flows[0])
            await ticks(clock, 1)
            group.start_soon(go, flows[1])
            await pause()
            assert places(cls) == (1, 1)
            flows[0].run.until = None  # this one has all the time there is
            flows[0].run.lookout.close()
            await ticks(clock, 10)
            await until(lambda: places(cls) == (1, 0))
            cls.release.set()
    (error,) = outcomes
    assert str(error).startswith(
        "Held was not begun in time: its deadline, 10s after it was taken on, came "
        "before its turn. Nothing of it has run: begin it again when less is to do, "
        "or give it more time (deadline=)."
    )
    assert (type(error), told) == (ShedError, [error])
    assert cls.begun == [0]
    found = runs.get(flows[1].run.id, store=store)
    assert (found.status, found.error[:35]) == (
        "failed",
        "ShedError: Held was not begun in ti",
    )


async def test_who_waited_is_told_and_noted(clock) -> None:
    """By signals, and in the run's journal."""
    cls = held(admission=1)
    store = MemoryStore("memory:test")
    told = []

    def queued(sender, run, ahead):
        told.append(("queued", ahead))

    def admitted(sender, run, waited):
        told.append(("admitted", waited))

    flows = [cls(store=store) for _ in range(3)]
    with (
        signals.run_queued.connected_to(queued, sender=cls),
        signals.run_admitted.connected_to(admitted, sender=cls),
    ):
        async with anyio.create_task_group() as group:
            for number, flow in enumerate(flows):
                group.start_soon(flow.kickoff_async, {"n": number})
                await pause()
            await ticks(clock, 5)
            cls.release.set()
    assert told == [("queued", 0), ("queued", 1), ("admitted", 5.0), ("admitted", 5.0)]
    (first,) = runs.history(flows[0].run.id, store=store)
    assert first.limits == []
    (third,) = runs.history(flows[2].run.id, store=store)
    (waited,) = third.limits
    assert (waited.limit, waited.what, waited.seconds) == ("admission", "waited", 5.0)
    assert waits_in(third) == {"admission": 5.0}
    assert came_of(third) == "2; waited 5.0s for admission"


async def test_a_cancelled_run_gives_its_place_in_the_line_up(clock) -> None:
    """And the next one has it."""
    cls = held(admission=1)
    flows = [cls() for _ in range(3)]
    async with anyio.create_task_group() as group:
        for number, flow in enumerate(flows):
            group.start_soon(flow.kickoff_async, {"n": number})
            await pause()
        flows[1].run.cancel()
        await pause()
        assert flows[1].run.status == "cancelled"
        assert places(cls) == (1, 1)
        cls.release.set()
    assert cls.begun == [0, 2]


async def test_a_caller_that_is_cancelled_leaves_the_line(clock) -> None:
    """The kickoff's own task is cancelled."""
    cls = held(admission=1)
    flow = cls()
    async with anyio.create_task_group() as group:
        group.start_soon(cls().kickoff_async, {"n": 0})
        await pause()
        with anyio.move_on_after(0):
            await flow.kickoff_async({"n": 1})
        assert places(cls) == (1, 0)
        cls.release.set()
    assert flow.run.status == "cancelled"


def test_threads_keep_within_an_admission() -> None:
    """Blocking kickoffs of synchronous steps in several threads."""
    inside, most = [], []
    lock = threading.Lock()

    class Calls(Flow, admission=2):
        @start()
        def call(self):
            with lock:
                inside.append(1)
                most.append(len(inside))
            threading.Event().wait(0.005)

        @listen(call)
        def after(self):
            with lock:
                inside.pop()

    threads = [threading.Thread(target=Calls().kickoff) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (max(most), len(most)) == (2, 8)


def test_start_is_refused_at_once() -> None:
    """Not in its thread, where nobody would hear it."""

    class Held(Flow, admission=Admission(1, queue=0)):
        release = threading.Event()

        @start()
        def work(self):
            self.release.wait()

    run = Held().start()
    with pytest.raises(AdmissionFullError):
        Held().start()
    Held.release.set()
    run.wait()
    Held().start().wait()


async def test_a_run_that_waits_outside_has_no_place(clock) -> None:
    """It stands in line once more when it goes on, before those that begin."""

    class Asks(Flow[dict], admission=1):
        order: list = []

        @start()
        def begin(self):
            self.order.append(f"begin {self.state['n']}")

        @listen(event("paid"))
        async def paid(self):
            self.order.append(f"paid {self.state['n']}")
            await Busy.release.wait()

    class Busy:
        release = anyio.Event()

    Asks.order = []
    flows = [Asks() for _ in range(3)]
    for number, flow in enumerate(flows[:2]):
        await flow.kickoff_async({"n": number})
    assert places(Asks) == (0, 0)
    async with anyio.create_task_group() as group:

        async def pay(flow):
            from flowkit.runtime.runner import drive

            flow.run.event("paid", None, None, None)
            await drive(flow.run)

        group.start_soon(pay, flows[0])
        await pause()
        group.start_soon(flows[2].kickoff_async, {"n": 2})
        await pause()
        group.start_soon(pay, flows[1])
        await pause()
        assert Asks.order == ["begin 0", "begin 1", "paid 0"]
        Busy.release.set()
    assert Asks.order[3:] == ["paid 1", "begin 2"]


async def test_a_long_sleep_has_no_place(clock) -> None:
    """From when its step has left memory until it goes on, in its turn."""

    class Sleeps(Flow[dict], admission=1):
        order: list = []

        @start()
        async def work(self):
            if self.state["n"] == 0:
                await self.sleep("1h")
            elif self.state["n"] == 2:
                await Sleeps.release.wait()
            self.order.append(self.state["n"])

    Sleeps.order, Sleeps.release = [], anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(Sleeps().kickoff_async, {"n": 0})
        await pause()
        group.start_soon(Sleeps().kickoff_async, {"n": 1})
        await ticks(clock, 59)
        assert places(Sleeps) == (1, 1)
        await ticks(clock, 2)
        assert (Sleeps.order, places(Sleeps)) == ([1], (0, 0))
        group.start_soon(Sleeps().kickoff_async, {"n": 2})
        await ticks(clock, 3_600)
        assert (Sleeps.order, places(Sleeps)) == ([1], (1, 0))
        Sleeps.release.set()
    assert Sleeps.order == [1, 2, 0]
    assert places(Sleeps) == (0, 0)


@pytest.mark.parametrize("stored", [False, True])
async def test_what_a_run_calls_goes_with_it(stored) -> None:
    """A recursion of flows with one place does not wait for itself."""
    store = MemoryStore("memory:test") if stored else None

    class Inner(Flow[dict], admission=Admission(1, queue=0)):
        @start()
        async def work(self):
            left = self.state["left"]
            if not left:
                return "down"
            if left % 2:
                return await Inner(store=store).kickoff_async({"left": left - 1})
            return await self.call(Inner, {"left": left - 1})

    flow_named(Inner, f"Inner{stored}")
    assert await Inner(store=store).kickoff_async({"left": 4}) == "down"
    assert places(Inner) == (0, 0)


@pytest.mark.parametrize("stored", [False, True])
async def test_a_called_flow_that_refuses_fails_its_step(stored) -> None:
    """Like any failure of a call; nothing of the called run is left."""
    store = MemoryStore("memory:test") if stored else None
    cls = held(admission=Admission(1, queue=0), store=store)
    flow_named(cls, f"Refuses{stored}")

    class Outer(Flow, store=store):
        @start()
        async def work(self):
            await self.call(cls, {"n": 1})

        @listen(work.failed)
        def why(self, error):
            return type(error).__name__

    flow_named(Outer, f"Outer{stored}")
    async with anyio.create_task_group() as group:
        group.start_soon(cls().kickoff_async, {"n": 0})
        await until(lambda: cls.begun)
        assert await Outer().kickoff_async() == "AdmissionFullError"
        cls.release.set()
    if store is not None:
        found = runs.list(store=store)
        assert sorted(each.status for each in found) == ["completed", "completed"]


async def test_a_step_tries_a_refused_flow_again(clock) -> None:
    """Like any call that a limit refuses; it is told how long to wait."""
    cls = held(admission=Admission(1, queue=0))

    class Outer(Flow):
        @start(retry=Retry(3, first=5, jitter="none"))
        async def work(self):
            return await cls().kickoff_async({"n": self.attempt})

    outcomes = []

    async def go():
        outcomes.append(await Outer().kickoff_async())

    async with anyio.create_task_group() as group:
        group.start_soon(cls().kickoff_async, {"n": 0})
        await pause()
        group.start_soon(go)
        await pause()
        cls.release.set()
        await ticks(clock, 5)
    assert outcomes == [2]


class Order(Flow[dict], admission=Admission(2, queue=3)):
    """Begun by an event; stays until it is let go."""

    release: anyio.Event
    begun: list

    @start(event("ordered"))
    async def work(self, payload: int):
        self.begun.append(payload)
        await self.release.wait()

    @listen(event("paid"))
    async def paid(self, payload: int):
        self.begun.append(f"paid {payload}")


class Late(Flow[dict], admission=1, deadline="1m"):
    """Has a deadline."""

    release: anyio.Event

    @start(event("late"))
    async def work(self, payload: int):
        await self.release.wait()


class Ledger(Flow[dict]):
    """Takes the same events."""

    begun: list

    @start(event("ordered"))
    async def enter(self, payload: int):
        self.begun.append(payload)


@pytest.fixture(params=["memory", "store"])
def bus_of(request):
    """Makes a bus, with a store or without."""
    shared.forget_all()
    Late.release = anyio.Event()
    for cls in (Order, Ledger, Late):
        cls.begun = []
        door = known[cls].admission
        if door is not None:
            door.__init__(door.flow, known[cls].place, door.value)
    Order.release = anyio.Event()

    def make():
        if request.param == "memory":
            return EventBus()
        return EventBus(store=MemoryStore("memory:test"))

    return make


async def test_an_event_is_accepted_or_its_sender_is_told(bus_of) -> None:
    """What was accepted runs, in its turn; what was refused may be sent again."""
    told = []

    def hear(sender, run, error):
        told.append(type(error))

    async with bus_of() as bus:
        bus.register(Order)
        with signals.run_rejected.connected_to(hear, sender=Order):
            receipts = [
                await bus.send_async("ordered", number, id=f"order {number}")
                for number in range(7)
            ]
        await pause()
        assert [each.status for each in receipts] == ["accepted"] * 5 + ["full"] * 2
        assert receipts[5].reason.startswith(
            "Order takes no run on now: 2 are at work and 3 wait, and its admission "
            "allows 2 at once, 3 in line. Begin it again "
        )
        assert (bool(receipts[4]), bool(receipts[5])) == (True, False)
        assert [each.status for each in bus.rejected] == ["full"] * 2
        assert told == [AdmissionFullError] * 2
        assert set(Order.begun) == {0, 1}
        again = await bus.send_async("ordered", 1, id="order 1")
        assert again.status == "duplicate"
        Order.release.set()
        await until(lambda: 4 in Order.begun)
        again = await bus.send_async("ordered", 5, id="order 5")
        assert again.status == "accepted"
    assert sorted(Order.begun) == [0, 1, 2, 3, 4, 5]
    assert set(Order.begun[:5]) == {0, 1, 2, 3, 4}


async def test_an_event_is_taken_by_all_or_by_none(bus_of) -> None:
    """So that it can be sent again, and nobody has it twice."""
    async with bus_of() as bus:
        bus.register(Ledger, Order)
        for number in range(5):
            assert await bus.send_async("ordered", number)
        refused = await bus.send_async("ordered", 5, id="five")
        assert refused.status == "full"
        Order.release.set()
        await until(lambda: 4 in Order.begun)
        assert await bus.send_async("ordered", 5, id="five")
    assert sorted(Order.begun) == sorted(Ledger.begun) == [0, 1, 2, 3, 4, 5]


async def test_an_event_for_a_run_that_waits_is_never_refused(bus_of) -> None:
    """It was taken on before; its turn comes."""
    async with bus_of() as bus:
        bus.register(Order)
        Order.release.set()
        assert await bus.send_async("ordered", 0, key="a")
        await bus.drain()
        Order.release = anyio.Event()
        for number in range(1, 6):
            assert await bus.send_async("ordered", number, key=str(number))
        await pause()
        assert not await bus.send_async("ordered", 9, key="9")
        assert await bus.send_async("paid", 0, key="a")
        Order.release.set()
        await bus.drain()
        assert "paid 0" in Order.begun[3:6]  # ahead of those that begin
    assert set(Order.begun) == {0, 1, 2, 3, 4, 5, "paid 0"}


async def test_an_event_that_would_come_too_late_is_shed(bus_of) -> None:
    """Its sender is told before anybody has it."""
    async with bus_of() as bus:
        bus.register(Late)
        receipts = [await bus.send_async("late", 0)]
        known[Late].admission.places.state(None).mean = 100.0
        receipts.append(await bus.send_async("late", 1))
        Late.release.set()
    assert [each.status for each in receipts] == ["accepted", "shed"]
    assert receipts[1].reason.startswith(
        "Late does not take this run on: its turn would come in about 1m40s, and it "
    )


async def test_what_a_run_leaves_behind_is_none_of_it(clock) -> None:
    """A task of a step that kicks off when its run is over waits for its turn."""
    cls = held(admission=1)
    over = anyio.Event()
    async with anyio.create_task_group() as group:

        async def later():
            await over.wait()
            await cls().kickoff_async({"n": 2})

        class Leaves(cls, admission=1):
            @start()
            async def leave(self):
                group.start_soon(later)

        cls.release.set()
        await Leaves().kickoff_async({"n": 0})
        cls.release = anyio.Event()
        group.start_soon(cls().kickoff_async, {"n": 1})
        await pause()
        over.set()
        await pause()
        assert places(cls) == (1, 1)
        cls.release.set()


async def test_runs_in_line_leave_the_bus_to_others(bus_of) -> None:
    """They take no place among what the bus does at once."""
    async with bus_of() as bus:
        bus._shop.limit = 3
        bus.register(Order)
        for number in range(5):
            assert await bus.send_async("ordered", number)
        heard = []
        bus.on("other", heard.append)
        assert await bus.send_async("other", 1)
        await until(lambda: heard)
        Order.release.set()
    assert len(Order.begun) == 5


def test_a_dead_letter_that_is_refused_stays_one(clock) -> None:
    """Whatever is sent again and not taken is not lost."""

    class Waits(Flow[dict], admission=Admission(1, queue=0)):
        release = threading.Event()

        @start(event("sent"))
        def work(self, payload: int):
            self.release.wait()

    flow_named(Waits)
    with EventBus(store=MemoryStore("memory:test")) as bus:
        assert not bus.send("sent", 1)  # nobody takes it yet
        (dead,) = bus.dead
        bus.register(Waits)
        assert bus.send("sent", 2)
        assert bus.requeue(dead.number).status == "full"
        assert bus.dead == [dead]
        Waits.release.set()
        bus.drain()
        assert bus.requeue(dead.number)
        assert bus.dead == []


async def test_a_scheduled_run_is_never_refused(clock) -> None:
    """Nobody would be told: it waits for its turn."""
    begun = []

    class Ticks(Flow[dict], admission=Admission(1, queue=0)):
        release = anyio.Event()

        @start(every="10s")
        async def tick(self, at):
            begun.append(now())
            await self.release.wait()

    Ticks.release = anyio.Event()
    async with EventBus() as bus:
        bus.register(Ticks)
        for _ in range(300):
            if len(begun) == 1 and known[Ticks].admission.places.state(None)._first:
                break
            clock.advance(1)
            await anyio.sleep(0.001)
        assert len(begun) == 1
        Ticks.release.set()
        await until(lambda: len(begun) > 1)


async def test_a_resumed_run_waits_for_its_turn(clock) -> None:
    """A run from the store is never refused."""
    store = MemoryStore("memory:test")

    class Waits(Flow[dict], admission=Admission(1, queue=0)):
        @start()
        def work(self): ...

        @listen(event("go"))
        async def goes(self): ...

        @listen(goes)
        async def on(self):
            return "gone on"

    flow_named(Waits, "WaitsOnce")
    waiting = await Waits(store=store).kickoff_async()
    door = known[Waits].admission
    door.places.enter(None, "/busy")
    outcomes = []

    async def go():
        outcomes.append(await resume_async(waiting.id, store=store))

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        await pause()
        assert outcomes == []
        door.places.leave(None, "/busy")
    assert outcomes[0].status == "waiting"


def test_an_admission_is_inherited_and_shared_by_name() -> None:
    """Each class has places of its own, unless they have a name."""
    value = Admission(3, name="together")

    class One(Flow, admission=value):
        @start()
        def work(self): ...

    class Two(One): ...

    class Own(Flow, admission=5):
        @start()
        def work(self): ...

    class Child(Own): ...

    assert known[One].admission.places is known[Two].admission.places
    assert known[Own].admission.places is not known[Child].admission.places
    assert known[Child].admission.value == Admission(5)
    assert str(Admission(5, queue=2, name="x")) == "5 at once, 2 in line (x)"
    with pytest.raises(ValueError, match="declares the Admission 'together' as 4 at"):

        class Other(Flow, admission=Admission(4, name="together")):
            @start()
            def work(self): ...


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Admission(0), "Admission(runs=..) takes a count from 1, not 0."),
        (
            lambda: Admission(1, queue=-1),
            "Admission(queue=..) takes a count from 0, not -1.",
        ),
        (
            lambda: type("F", (Flow,), {}, admission="many"),
            (
                "admission takes an Admission, not 'many'. Write admission=100, or "
                "Admission(100, queue=1000)."
            ),
        ),
    ],
)
def test_an_admission_that_means_nothing_is_refused(make, text) -> None:
    """With the form that is meant."""
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == text


async def test_an_admission_in_the_store_needs_one() -> None:
    """A run in memory is told so before it begins."""
    cls = held(admission=Admission(1, shared="store"))
    with pytest.raises(RunError) as caught:
        await cls().kickoff_async({"n": 1})
    assert str(caught.value).endswith(
        "through the store, and this run has none. Give the flow a store."
    )
    assert not isinstance(caught.value, AdmissionError)


async def test_a_place_of_a_run_left_behind_comes_back(clock) -> None:
    """Whoever asks next gives it back."""
    cls = held(admission=Admission(1, queue=0))
    run = new_run(cls(), {"n": 1})
    run.admission.begins(run)
    assert places(cls) == (1, 0)
    run.flow._flowkit.run = None
    del run
    gc.collect()
    cls.release.set()
    assert await cls().kickoff_async({"n": 2}) == 2


class Many(Flow[dict], admission=Admission(3, queue=5)):
    """Begun by events from several threads."""

    inside: list
    most: list
    done: list

    @start(event("many"))
    def begin(self, payload: int):
        self.inside.append(1)
        self.most.append(len(self.inside))
        self.state["n"] = payload

    @listen(begin)
    async def end(self):
        await anyio.lowlevel.checkpoint()
        self.inside.pop()
        self.done.append(self.state["n"])


@pytest.mark.parametrize("place", ["memory", "sqlite"])
def test_each_accepted_event_runs_once_however_many_are_refused(place, tmp_path):
    """Four threads send until all are accepted; never more than three at work."""
    Many.inside, Many.most, Many.done = [], [], []
    url = None if place == "memory" else f"sqlite:///{tmp_path}/many.db"
    refused = []
    with EventBus(store=url) as bus:
        bus.register(Many)

        def send(first):
            for number in range(first, 60, 4):
                while not (receipt := bus.send("many", number, id=str(number))):
                    refused.append(receipt.status)
                    threading.Event().wait(0.001)

        threads = [threading.Thread(target=send, args=(first,)) for first in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        bus.drain()
    assert sorted(Many.done) == [*range(60)]
    assert max(Many.most) <= 3
    assert set(refused) == {"full"}
    assert places(Many) == (0, 0)
