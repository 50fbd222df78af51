"""What the event bus promises: who gets an event, in what order, and what is refused."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
import threading

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pydantic import BaseModel, field_validator

from flowkit import EventBus, Flow, and_, event, listen, start
from flowkit.runtime import local_post, loops, signals
from flowkit.runtime.kinds import known
from flowkit.runtime.receipt import Receipt, Rejection


class Paid(BaseModel):
    """A payload."""

    k: str
    cents: int = 0


class Moody(BaseModel):
    """A payload whose own code raises."""

    k: str

    @field_validator("k")
    @classmethod
    def look(cls, value: str) -> str:
        """Raise what pydantic does not expect."""
        raise RuntimeError(value)


class Case(Flow):
    """Begins by ``opened``, woken by ``closed``, by the field ``k``."""

    @start(on=event("opened", key="k"))
    async def opens(self, payload):
        self.state["seen"] = [payload["k"]]

    @listen(event("closed", key="k"))
    async def closes(self, payload):
        self.stop(payload.get("how"))


class Joined(Flow):
    """Needs both events before ``both`` runs."""

    @start(on=event("begin", key="k"))
    async def first(self) -> int:
        return 1

    @listen(and_(first, event("later", key="k")))
    async def both(self, first: int, later: Paid):
        return (first, later)


class Kicked(Flow):
    """Begins by kickoff and waits for an event by its state's ``order``."""

    @start()
    async def begins(self):
        return "begun"

    @listen(event("shipped", key="order"))
    async def ships(self, payload):
        self.stop(payload["by"])


class Order(BaseModel):
    """A state with a field named like the key."""

    order: int = 0


class Stated(Flow[Order]):
    """Its state has a default where the key stands."""

    @start(on=event("begin", key="order"))
    async def first(self): ...

    @listen(event("more", key="order"))
    async def more(self):
        self.stop("woken")


class Broken(Flow):
    """Its start raises."""

    @start(on=event("opened"))
    async def fails(self):
        msg = "no luck"
        raise ValueError(msg)


class Needs(BaseModel):
    """A state with a required field."""

    need: int


class Demanding(Flow[Needs]):
    """Its state takes the field from the payload."""

    @start(on=event("need"))
    async def begins(self): ...


@pytest.fixture
def bus():
    """A bus with a thread of its own, closed afterwards."""
    with EventBus() as made:
        yield made


# --- handlers -----------------------------------------------------------------------


def test_handlers_are_plain_async_or_without_parameter(bus):
    """Each kind is called once, with the payload if it wants it."""
    got = []

    @bus.on("e")
    def plain(payload):
        got.append(("plain", payload))

    @bus.on("e")
    async def waits(payload):
        await checkpoint()
        got.append(("async", payload))

    def bare():
        got.append("bare")

    assert bus.on("e", bare) is bare
    receipt = bus.send("e", 5)
    bus.drain()
    assert receipt
    assert [each.rpartition(".")[2] for each in receipt.handlers] == [
        "plain",
        "waits",
        "bare",
    ]
    assert sorted(got, key=str) == [("async", 5), ("plain", 5), "bare"]
    assert plain.__name__ == "plain"
    assert waits.__name__ == "waits"


def test_objects_and_partials_are_handlers(bus):
    """An async __call__ is awaited, a partial keeps its argument, hints count."""
    got = []

    class Taker:
        async def __call__(self, paid: Paid):
            await checkpoint()
            got.append(paid)

    bus.on("e", Taker())
    bus.on("e", functools.partial(lambda tag, payload: got.append(tag), "tag"))
    assert bus.send("e", {"k": "x"})
    bus.drain()
    assert sorted(map(str, got)) == ["k='x' cents=0", "tag"]


def test_a_handler_is_taken_away_by_itself_or_with_its_name(bus):
    """Off says whether there was one; a bound method is found again."""
    got: list[object] = []

    def other(payload):
        got.append("other")

    bus.on("e", got.append)
    bus.on("e", other)
    assert bus.off("e", got.append) is True
    assert bus.off("e", got.append) is False
    bus.send("e", 1)
    bus.drain()
    assert got == ["other"]
    bus.on("e", got.append)
    assert bus.off("e") is True
    assert bus.off("e") is False
    assert bus.send("e", 1).status == "unknown"


def test_a_bound_method_is_taken_away():
    """Each look at a method makes a new object; it is the same handler."""

    class Desk:
        def take(self, payload): ...

    desk = Desk()
    bus = EventBus()
    bus.on("e", desk.take)
    assert bus.off("e", desk.take) is True


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_failing_handler_is_reported_and_stops_nothing(bus, caplog, kind):
    """Signal and log name it; the other handler is called."""
    got, told = [], []

    def plain(payload):
        raise ValueError(payload)

    async def waits(payload):
        raise ValueError(payload)

    failing = plain if kind == "plain" else waits

    def observer(sender, **arguments):
        told.append((sender, arguments))

    bus.on("e", failing)
    bus.on("e", got.append)
    with signals.handler_failed.connected_to(observer):
        bus.send("e", "bad")
        bus.drain()
    assert got == ["bad"]
    [(sender, arguments)] = told
    assert sender is bus
    assert set(arguments) == {"name", "handler", "error"}
    assert arguments["name"] == "e"
    assert arguments["handler"] == failing.__qualname__
    assert repr(arguments["error"]) == "ValueError('bad')"
    [line] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert line.getMessage() == (
        f"the handler {failing.__qualname__} of 'e' raised ValueError('bad')"
    )


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_handler_that_exits_does_not_end_the_bus(bus, kind):
    """sys.exit in a handler is a failure of it."""
    got = []

    def plain():
        sys.exit(3)

    async def waits():
        sys.exit(3)

    bus.on("e", plain if kind == "plain" else waits)
    bus.on("f", got.append)
    bus.send("e")
    bus.drain()
    bus.send("f", 1)
    bus.drain()
    assert got == [1]


# --- flows --------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [5, int, "Case"])
def test_only_flow_classes_are_registered(bus, wrong):
    """The error says what was given."""
    with pytest.raises(TypeError) as caught:
        bus.register(wrong)
    assert str(caught.value) == f"EventBus.register takes Flow classes, not {wrong!r}."


def test_a_flow_object_is_not_registered(bus):
    """Its class is."""
    with pytest.raises(TypeError, match=r"^EventBus.register takes Flow classes, not "):
        bus.register(Case())


def test_a_class_registered_twice_gets_an_event_once(bus):
    """One run begins."""
    bus.register(Case, Case)
    bus.register(Case)
    assert len(bus.send("opened", {"k": "x"}).runs) == 1


def test_every_class_gets_an_event_once(bus):
    """Two classes, two runs, and a handler beside them."""

    class Second(Flow):
        @start(on=event("opened"))
        async def opens(self): ...

    got = []
    bus.register(Case, Second)
    bus.on("opened", got.append)
    receipt = bus.send("opened", {"k": "x"})
    bus.drain()
    assert [type(run.flow) for run in receipt.runs] == [Case, Second]
    assert [run.status for run in receipt.runs] == ["waiting", "completed"]
    assert got == [{"k": "x"}]


def test_an_event_wakes_the_run_with_its_key_only(bus):
    """Two runs wait; the other goes on waiting."""
    bus.register(Case)
    one = bus.send("opened", {"k": "1"}).runs[0]
    two = bus.send("opened", {"k": "2"}).runs[0]
    bus.drain()
    assert bus.open_runs == [one, two]
    assert bus.send("closed", {"k": "2", "how": "well"}).runs == [two]
    bus.drain()
    assert (one.status, two.status, two.result) == ("waiting", "completed", "well")
    assert bus.open_runs == [one]


def test_the_key_given_to_send_wins_over_the_payload(bus):
    """Explicit at both ends."""
    bus.register(Case)
    run = bus.send("opened", {"k": "other"}, key="mine").runs[0]
    bus.drain()
    receipt = bus.send("closed", {"k": "elsewhere"}, key="mine")
    assert receipt.runs == [run]
    assert receipt.key == "mine"


@pytest.mark.parametrize("first", [17, "17"])
def test_a_number_as_key_is_its_text(bus, first):
    """17 and "17" are one key, given or carried."""
    bus.register(Case)
    run = bus.send("opened", {"k": first}).runs[0]
    bus.drain()
    assert run.key == "17"
    assert bus.send("closed", {}, key=17).runs == [run]


def test_a_callable_reads_the_key(bus):
    """From a payload of any shape; one that raises finds none."""

    class Called(Flow):
        @start(on=event("opened", key=lambda payload: payload["in"]["k"]))
        async def opens(self, payload): ...

        @listen(event("closed", key=lambda payload: payload[1]))
        async def closes(self, payload):
            self.stop("closed")

    bus.register(Called)
    run = bus.send("opened", {"in": {"k": 5}}).runs[0]
    bus.drain()
    assert bus.send("closed", ["x", 6]).kept
    assert bus.send("closed", []).kept
    assert bus.send("closed", ["x", 5]).runs == [run]


def test_a_payload_that_raises_when_its_key_is_read_is_refused(bus):
    """Send never raises for what is wrong with an event."""

    class Odd:
        @property
        def k(self):
            msg = "not now"
            raise ValueError(msg)

    bus.register(Case)
    receipt = bus.send("opened", Odd())
    assert receipt.status == "invalid"
    assert receipt.reason == "Case could not begin: ValueError('not now')"


def test_a_kicked_off_run_is_found_by_its_state(bus):
    """The key's field of the state, as text."""
    bus.register(Kicked)
    flow = Kicked()
    flow.kickoff({"order": 17})
    assert flow.run.status == "waiting"
    assert bus.send("shipped", {"order": "17", "by": "sea"}).runs == [flow.run]
    bus.drain()
    assert flow.run.result == "sea"


def test_the_key_that_began_a_run_wins_over_its_state():
    """Regression F: a state field of the key's name is not looked at."""
    with EventBus() as bus:
        bus.register(Stated)
        run = bus.send("begin", {"order": 17}).runs[0]
        bus.drain()
        assert bus.send("more", {"order": 17}).runs == [run]
        bus.drain()
        assert run.result == "woken"
        assert bus.open_runs == []


def test_the_oldest_open_run_takes_an_event(bus):
    """Of two with one key; then the other."""

    class Pair(Flow):
        @start()
        async def begins(self): ...

        @listen(event("next", key="k"))
        async def ends(self):
            self.stop()

    bus.register(Pair)
    flows = [Pair() for _ in range(3)]
    for flow in flows:
        flow.kickoff({"k": "same"})
    taken = []
    for _ in flows:
        taken += bus.send("next", {"k": "same"}).runs
        bus.drain()
    assert taken == [flow.run for flow in flows]


def test_a_waiting_run_takes_an_event_before_a_new_one_begins(bus):
    """One name both begins a run and is waited for."""

    class Both(Flow):
        @start(on=event("e", key="k"))
        async def begins(self): ...

        @listen(event("e", key="k"))
        async def again(self):
            self.stop("again")

    bus.register(Both)
    run = bus.send("e", {"k": "x"}).runs[0]
    bus.drain()
    assert bus.send("e", {"k": "x"}).runs == [run]
    bus.drain()
    assert run.result == "again"
    assert bus.send("e", {"k": "x"}).runs[0] is not run


# --- kept events --------------------------------------------------------------------


def test_an_early_event_is_found_by_a_run_begun_later():
    """Regression A: the join still needs the start that begins the run."""
    with EventBus() as bus:
        bus.register(Joined)
        early = bus.send("later", {"k": "x"})
        assert (early.status, early.kept, early.runs) == ("accepted", True, [])
        assert early
        assert bus.kept == 1
        run = bus.send("begin", {"k": "x"}).runs[0]
        bus.drain()
        assert run.outputs == [1, (1, Paid(k="x"))]
        assert run.status == "completed"
        assert bus.kept == 0


def test_in_a_join_the_payload_is_checked_against_the_parameter_of_its_name(bus):
    """Regression C: not against the first parameter."""
    bus.register(Joined)
    run = bus.send("begin", {"k": "x"}).runs[0]
    assert bus.send("later", {"k": "x", "cents": 5})
    bus.drain()
    assert run.result == (1, Paid(k="x", cents=5))


def test_an_early_event_is_checked_when_it_comes(bus):
    """Regression D: an invalid one is refused at once and spoils no later start."""
    bus.register(Joined)
    early = bus.send("later", {"k": "x", "cents": "soon"})
    assert early.status == "invalid"
    assert early.reason == (
        "The payload for Joined.both does not fit Paid: cents: Input should be a "
        "valid integer, unable to parse string as an integer, got 'soon'"
    )
    assert bus.kept == 0
    run = bus.send("begin", {"k": "x"}).runs[0]
    bus.drain()
    assert run.status == "waiting"
    assert bus.send("later", {"k": "x", "cents": 5}).runs == [run]
    bus.drain()
    assert run.status == "completed"


def test_an_early_event_is_found_by_a_kickoff(bus):
    """The run waits, finds what was kept, and ends on the bus."""
    bus.register(Kicked)
    assert bus.send("shipped", {"order": 3, "by": "air"}).kept
    flow = Kicked()
    flow.kickoff({"order": 3})
    bus.drain()
    assert flow.run.result == "air"
    assert bus.kept == 0


def test_classes_of_one_name_keep_their_own_events(bus):
    """Two modules may both have a Purchase."""

    def made(module):
        class Same(Flow):
            @start()
            async def begins(self): ...

            @listen(event("e"))
            async def ends(self, payload):
                self.stop(payload)

        Same.__module__ = module
        return Same

    one, two = made("shop.one"), made("shop.two")
    bus.register(one, two)
    bus.send("e", "both")
    assert bus.kept == 2
    first, second = one(), two()
    first.kickoff()
    bus.drain()
    assert bus.kept == 1
    second.kickoff()
    bus.drain()
    assert [first.run.result, second.run.result] == ["both", "both"]


def test_an_event_for_a_run_that_just_ended_is_kept(bus, monkeypatch):
    """Regression E: the run ends between the bus's look and its queue."""
    bus.register(Case)
    run = bus.send("opened", {"k": "x"}).runs[0]
    bus.drain()
    real = local_post.has_room

    def late(waiting, name, key):
        found = real(waiting, name, key)
        if found and not waiting.over:
            waiting.cancel("ends now")
        return found

    monkeypatch.setattr(local_post, "has_room", late)
    bus.send("closed", {"k": "x"})
    bus.drain()
    assert run.status == "cancelled"
    assert bus.kept == 1
    assert not run.pending


def test_a_kept_event_has_a_time_to_live(clock):
    """Exactly as old as allowed it is found; older it is gone."""
    with EventBus(keep_for=10) as bus:
        bus.register(Kicked)
        bus.send("shipped", {"order": 1, "by": "sea"})
        bus.send("shipped", {"order": 2, "by": "sea"})
        clock.advance(10)
        one, two = Kicked(), Kicked()
        one.kickoff({"order": 1})
        bus.drain()
        clock.advance(0.5)
        two.kickoff({"order": 2})
        bus.drain()
        assert [one.run.status, two.run.status] == ["completed", "waiting"]
        assert bus.kept == 0


def test_the_oldest_kept_event_makes_room_and_is_reported(clock, caplog):
    """By the receipt's deque, a signal and a log line, though time stands still."""
    told = []

    def observer(sender, **arguments):
        told.append(arguments)

    with EventBus(keep=2) as bus, signals.event_rejected.connected_to(observer):
        bus.register(Kicked)
        for order in (1, 2, 3):
            payload = {"order": order, "by": "sea"}
            assert bus.send("shipped", payload, id=f"id-{order}").kept
        assert bus.kept == 2
        reason = "kept for a later wait, but newer events needed the room"
        assert list(bus.rejected) == [Rejection("shipped", "id-1", "dropped", reason)]
        assert told == [
            {
                "name": "shipped",
                "payload": {"order": 1, "by": "sea"},
                "key": "1",
                "id": "id-1",
                "reason": reason,
            }
        ]
        assert f"event 'shipped' refused: {reason}" in caplog.messages


# --- transient and optional ---------------------------------------------------------


def test_a_transient_event_is_not_kept(bus):
    """A run that waits takes it; without one it is nobody's."""

    class Fleeting(Flow):
        @start()
        async def begins(self): ...

        @listen(event("tick", transient=True))
        async def ticks(self):
            self.stop("ticked")

    bus.register(Fleeting)
    receipt = bus.send("tick")
    assert not receipt
    assert not receipt.kept
    assert bus.kept == 0
    flow = Fleeting()
    flow.kickoff()
    assert flow.run.status == "waiting"
    assert bus.send("tick").runs == [flow.run]
    bus.drain()
    assert flow.run.result == "ticked"


def test_an_optional_event_keeps_no_run_waiting(bus):
    """The run is over when nothing else is left to do."""

    class Maybe(Flow):
        @start()
        async def begins(self):
            return "done"

        @listen(event("more", optional=True))
        async def more(self): ...

    bus.register(Maybe)
    flow = Maybe()
    assert flow.kickoff() == "done"
    assert flow.run.status == "completed"
    assert bus.open_runs == []


# --- refused ------------------------------------------------------------------------


def test_a_repeated_id_counts_once(bus):
    """The second receipt is true and says duplicate; nothing is reported."""
    got = []
    bus.on("e", got.append)
    assert bus.send("e", 1, id="a").status == "accepted"
    again = bus.send("e", 2, id="a")
    bus.drain()
    assert again.status == "duplicate"
    assert again
    assert repr(again) == "<Receipt of 'e': duplicate>"
    assert got == [1]
    assert not bus.rejected


def test_the_id_of_a_refused_event_is_not_used_up(bus):
    """Mended and sent again it is taken."""
    got = []

    @bus.on("e")
    def take(paid: Paid):
        got.append(paid)

    assert bus.send("e", {}, id="a").status == "invalid"
    assert bus.send("e", {"k": "x"}, id="a").status == "accepted"
    bus.drain()
    assert got == [Paid(k="x")]


def test_an_unknown_name_is_answered_with_the_nearest(bus, caplog):
    """Full text, in receipt, deque, signal and log."""
    bus.register(Case)
    told = []

    def observer(sender, **arguments):
        told.append((sender, arguments))

    with signals.event_rejected.connected_to(observer):
        receipt = bus.send("opend", {"k": 1}, key="x", id="i")
    reason = "No flow and no handler takes the event 'opend'. Did you mean 'opened'?"
    assert not receipt
    assert receipt.status == "unknown"
    assert receipt.reason == reason
    assert repr(receipt) == f"<Receipt of 'opend': unknown: {reason}>"
    assert list(bus.rejected) == [Rejection("opend", "i", "unknown", reason)]
    arguments = {"name": "opend", "payload": {"k": 1}, "key": "x", "id": "i"}
    assert told == [(bus, arguments | {"reason": reason})]
    assert caplog.messages == [f"event 'opend' refused: {reason}"]


def test_an_unknown_name_like_no_other_is_answered_with_what_to_do(bus):
    """No guess without likeness."""
    bus.register(Case)
    assert bus.send("weather").reason == (
        "No flow and no handler takes the event 'weather'. "
        "Register a flow or a handler."
    )


def test_a_payload_is_checked_against_a_handlers_parameter(bus):
    """All faults in one sentence."""

    @bus.on("paid")
    def take(paid: Paid): ...

    receipt = bus.send("paid", {"cents": "soon"})
    assert receipt.status == "invalid"
    assert receipt.reason == (
        f"The payload for the handler {take.__qualname__} of 'paid' does not fit "
        "Paid: k: Field required; cents: Input should be a valid integer, unable to "
        "parse string as an integer, got 'soon'"
    )


def test_a_payload_is_checked_against_a_declared_model(bus):
    """Before any subscriber; those get the model."""
    got = []
    bus.on("paid", got.append)
    bus.declare("paid", Paid)
    receipt = bus.send("paid", {"k": "x", "cents": "soon"})
    assert receipt.status == "invalid"
    assert receipt.reason == (
        "Event 'paid' does not fit Paid: cents: Input should be a valid integer, "
        "unable to parse string as an integer, got 'soon'"
    )
    assert bus.send("paid", {"k": "x", "cents": "5"})
    bus.drain()
    assert got == [Paid(k="x", cents=5)]


def test_a_model_that_raises_refuses_the_event(bus):
    """Any error of a validator, declared or of a parameter, is a reason."""

    @bus.on("e")
    def take(moody: Moody): ...

    assert bus.send("e", {"k": "x"}).reason == (
        f"The payload for the handler {take.__qualname__} of 'e' could not be "
        "validated: RuntimeError('x')"
    )
    bus.declare("e", Moody)
    receipt = bus.send("e", {"k": "x"})
    assert receipt.status == "invalid"
    assert receipt.reason == "Event 'e' could not be validated: RuntimeError('x')"


@pytest.mark.parametrize("name", [None, 5, ["e"]])
def test_a_name_that_is_no_text_is_refused(bus, name):
    """Send never raises for what is wrong with an event."""
    bus.register(Case)
    receipt = bus.send(name)
    assert receipt.status == "invalid"
    assert receipt.reason == f"An event's name is text, not {name!r}."


def test_an_id_that_is_no_text_is_refused(bus):
    """It could not be remembered."""
    bus.register(Case)
    receipt = bus.send("opened", {"k": 1}, id=["i"])
    assert receipt.status == "invalid"
    assert receipt.reason == "An event's id is text, not ['i']."


@pytest.mark.parametrize("payload", [None, 5, {}])
def test_a_payload_without_a_required_field_begins_no_run(bus, payload):
    """The field is named, whatever the payload is."""
    bus.register(Demanding)
    assert bus.send("need", payload).reason == (
        "Invalid inputs for structured state: Demanding does not take them as Needs: "
        "need: Field required"
    )


def test_one_refusing_subscriber_does_not_stop_the_others(bus):
    """The receipt is true and tells the refusal, which is reported too."""
    got = []

    @bus.on("e")
    def strict(paid: Paid): ...

    bus.on("e", got.append)
    receipt = bus.send("e", {}, id="i")
    bus.drain()
    reason = (
        f"The payload for the handler {strict.__qualname__} of 'e' does not fit "
        "Paid: k: Field required"
    )
    assert receipt
    assert receipt.refusals == [reason]
    assert list(bus.rejected) == [Rejection("e", "i", "invalid", reason)]
    assert got == [{}]


def test_a_class_that_cannot_be_built_is_refused_alone(bus):
    """Its __init__ raises; the other class begins."""

    class Unbuilt(Flow):
        def __init__(self):
            msg = "no database"
            raise OSError(msg)

        @start(on=event("opened"))
        async def opens(self): ...

    bus.register(Unbuilt, Case)
    receipt = bus.send("opened", {"k": "x"})
    bus.drain()
    assert [type(run.flow) for run in receipt.runs] == [Case]
    assert receipt.refusals == ["Unbuilt could not begin: OSError('no database')"]


def test_a_failing_flow_is_reported_and_stops_nothing(bus, caplog):
    """By signal and log; the other class goes on."""
    told = []

    def observer(sender, run, error):
        told.append((sender, run, repr(error)))

    bus.register(Broken, Case)
    with signals.run_failed.connected_to(observer):
        broken, case = bus.send("opened", {"k": "x"}).runs
        bus.drain()
    assert (broken.status, case.status) == ("failed", "waiting")
    assert told == [(Broken, broken, "ValueError('no luck')")]
    assert [each for each in caplog.messages if each == f"{broken!r} failed"]
    assert bus.open_runs == [case]


def test_the_deque_of_rejections_is_bounded(bus):
    """The newest thousand stay."""
    for number in range(1_005):
        bus.send(f"n{number}")
    assert len(bus.rejected) == 1_000
    assert bus.rejected[0].name == "n5"


def test_a_receipt_nobody_took_is_false():
    """A receipt stands for somebody who has the event."""
    receipt = Receipt("e", None, None)
    assert not receipt
    receipt.kept = True
    assert receipt
    assert repr(receipt) == "<Receipt of 'e': accepted>"


# --- order and concurrency ----------------------------------------------------------


async def test_events_of_one_key_are_handled_one_at_a_time_in_order():
    """Though the listener suspends, and two keys go on side by side."""
    log, together = [], set()
    most = 0

    class Ordered(Flow):
        @start(on=event("begin", key="k"))
        async def begins(self): ...

        @listen(event("n", key="k"))
        async def takes(self, payload):
            nonlocal most
            key, number = payload["k"], payload["n"]
            log.append(("in", key, number))
            together.add(key)
            most = max(most, len(together))
            for _ in range(10 - number):
                await checkpoint()
            together.discard(key)
            log.append(("out", key, number))

    async with EventBus() as bus:
        bus.register(Ordered)
        for key in "ab":
            bus.send("begin", {"k": key})
        for number in range(8):
            for key in "ab":
                bus.send("n", {"k": key, "n": number})
        await bus.drain()
        for run in bus.open_runs:
            run.cancel()
    for key in "ab":
        mine = [(what, number) for what, each, number in log if each == key]
        assert mine == [(what, n) for n in range(8) for what in ("in", "out")]
    assert most == 2


async def test_an_async_bus_finishes_what_is_open_at_the_end_of_the_block():
    """Without a drain."""
    got = []

    async def slow(payload):
        for _ in range(5):
            await checkpoint()
        got.append(payload)

    async with EventBus() as bus:
        bus.on("e", slow)
        for number in range(3):
            bus.send("e", number)
    assert sorted(got) == [0, 1, 2]


async def test_what_is_sent_while_the_block_ends_is_done_in_it():
    """A handler's own events are work at hand, done in the same loop."""
    threads = []

    async with EventBus() as bus:

        @bus.on("n")
        async def again(number: int):
            threads.append(threading.current_thread())
            await checkpoint()
            if number:
                bus.send("n", number - 1)

        bus.send("n", 4)
    assert threads == [threading.current_thread()] * 5


async def test_a_block_that_fails_cancels_what_is_open_and_drains():
    """The error comes out; drain does not wait for what was cancelled."""
    ended = []

    async def forever():
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    bus = EventBus(limit=1)
    bus.on("e", forever)
    error = None
    try:
        async with bus:
            bus.send("e")
            bus.send("e")
            while not bus._shop._running:
                await checkpoint()
            await checkpoint()
            msg = "out"
            raise LookupError(msg)
    except* LookupError as group:
        error = group
    assert error is not None
    assert ended == [True]
    with anyio.fail_after(50):
        await bus.drain()


async def test_drain_is_awaited_in_a_loop_and_send_async_lets_others_run():
    """Three rounds in one block (regression B, in a loop)."""
    got = []
    async with EventBus() as bus:
        bus.register(Case)

        @bus.on("opened")
        async def take(payload):
            got.append(payload["k"])

        for number in range(3):
            receipt = await bus.send_async("opened", {"k": number}, id=f"{number}")
            assert receipt.runs[0].key == str(number)
            await bus.drain()
            assert got == list(range(number + 1))
        assert (await bus.send_async("opened", {}, id="0")).status == "duplicate"


async def test_after_the_block_the_flows_are_free_of_the_bus():
    """A later kickoff does not wake a bus that is closed."""
    async with EventBus() as bus:
        bus.register(Kicked)
    assert bus not in known[Kicked].buses


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_blocking_bus_works_round_after_round(backend):
    """Regression B: with sniffio installed the second round ran never."""
    libraries = []
    with EventBus(backend=backend) as bus:
        bus.register(Case)

        @bus.on("opened")
        async def take():
            libraries.append(anyio.get_current_task().name is not None)
            libraries.append("trio" if loops.in_running_loop() else "")

        for number in range(3):
            run = bus.send("opened", {"k": number}).runs[0]
            assert bus.drain() is None
            assert run.status == "waiting"
    assert len(libraries) == 6


def test_the_backend_is_the_event_loop_of_the_thread():
    """Trio when trio is asked for."""
    from flowkit.runtime.loops import on_trio

    found = []
    for backend in ("asyncio", "trio"):
        with EventBus(backend=backend) as bus:

            @bus.on("e")
            async def look():
                found.append(on_trio())

            bus.send("e")
    assert found == [False, True]


def test_a_limit_of_one_does_one_thing_at_a_time():
    """In the order sent."""
    log = []
    with EventBus(limit=1) as bus:

        @bus.on("e")
        async def take(payload):
            log.append(("in", payload))
            await checkpoint()
            log.append(("out", payload))

        for number in range(4):
            bus.send("e", number)
    assert log == [(what, n) for n in range(4) for what in ("in", "out")]


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_a_step_sends_events(bus, kind):
    """To its own class's listeners and to handlers; drain waits for those too."""
    got = []

    class Sends(Flow):
        @start(on=event("begin", key="k"))
        def begins(self, payload):
            bus.send("told", payload)
            bus.send("end", payload)

        @listen(event("end", key="k"))
        async def ends(self):
            self.stop("ended")

    class Asends(Flow):
        @start(on=event("begin", key="k"))
        async def begins(self, payload):
            await bus.send_async("told", payload)
            await bus.send_async("end", payload)

        @listen(event("end", key="k"))
        async def ends(self):
            self.stop("ended")

    bus.register(Sends if kind == "sync" else Asends)
    bus.on("told", got.append)
    run = bus.send("begin", {"k": "x"}).runs[0]
    bus.drain()
    assert got == [{"k": "x"}]
    assert run.result == "ended"


def test_several_threads_send_at_once(bus):
    """Every event is counted once, every run begun once."""
    got = []
    lock = threading.Lock()

    @bus.on("opened")
    def take(payload):
        with lock:
            got.append(payload["k"])

    bus.register(Case)
    gate = threading.Barrier(4)

    def sends(first):
        gate.wait()
        for number in range(50):
            key = f"{first}-{number}"
            bus.send("opened", {"k": key}, id=key)
            bus.send("opened", {"k": "same"}, id=f"same-{number}")

    threads = [threading.Thread(target=sends, args=(each,)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    bus.drain()
    assert len(got) == 4 * 50 + 50
    assert len(set(got)) == 4 * 50 + 1
    assert len(bus.open_runs) == 250


# --- the end ------------------------------------------------------------------------


def test_close_finishes_what_is_open_and_frees_the_flows():
    """The thread is gone; a closed bus knows no flow any more."""
    got = []
    bus = EventBus()
    bus.register(Case)
    bus.on("opened", got.append)
    bus.send("opened", {"k": "x"})
    bus.close()
    assert got == [{"k": "x"}]
    assert bus not in known[Case].buses
    assert "flowkit-bus" not in [each.name for each in threading.enumerate()]
    bus.close()


def test_closing_or_draining_a_bus_that_did_nothing_returns_at_once():
    """No thread was started for it."""
    bus = EventBus()
    bus.drain()
    bus.close()
    assert "flowkit-bus" not in [each.name for each in threading.enumerate()]


@pytest.mark.parametrize("end", ["bus.close()", "bus.drain()", ""])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_program_with_a_bus_exits_without_a_warning(end, backend):
    """Closed, drained or left alone."""
    program = textwrap.dedent(f"""
        from flowkit import EventBus, Flow, event, start
        class F(Flow):
            @start(on=event("e"))
            async def begins(self): ...
        bus = EventBus(backend={backend!r})
        bus.register(F)
        bus.on("e", lambda payload: None)
        for n in range(3):
            bus.send("e", n)
        {end}
        print("end")
    """)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


class Light(BaseModel):
    amount: int


class Full(BaseModel):
    amount: int
    currency: str


def test_listeners_of_one_event_take_it_each_by_their_own_type() -> None:
    """One event, two models: neither refuses what fits it."""
    seen = []

    class Orders(Flow):
        @start()
        def begin(self):
            pass

        @listen(event("paid"))
        def count(self, paid: Light):
            seen.append(paid)

        @listen(event("paid"))
        def book(self, paid: Full):
            seen.append(paid)

    flow = Orders()
    flow.kickoff()
    assert flow.send("paid", {"amount": "7", "currency": "eur"})
    assert seen == [Light(amount=7), Full(amount=7, currency="eur")]


async def test_a_stored_bus_may_be_left_before_its_patrol_has_begun() -> None:
    """Entered and left at once, on either loop."""
    with anyio.fail_after(50):
        async with EventBus(store="memory:left-at-once") as bus:
            assert not await bus.send_async("nobody listens", 5)
