"""What signals tell, to whom, and that nobody who listens can harm a run."""

from __future__ import annotations

import inspect
import re
from contextlib import ExitStack
from typing import Literal

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pydantic import BaseModel

from flowkit import EventBus, Flow, and_, event, listen, router, start
from flowkit.errors import FlowkitWarning
from flowkit.runtime import signals

COMMON = {
    "run_begins": set(),
    "run_started": {"inputs"},
    "run_finished": {"status", "result"},
    "run_failed": {"error"},
    "run_waiting": {"events"},
    "run_queued": {"ahead"},
    "run_admitted": {"waited"},
    "run_rejected": {"error"},
    "step_started": {"step", "firing", "attempt"},
    "step_finished": {"step", "firing", "attempt", "output", "metrics"},
    "step_failed": {"step", "firing", "attempt", "error", "metrics"},
    "step_cancelled": {"step", "firing", "attempt"},
    "step_queued": {"step", "firing", "attempt", "limit", "name"},
    "step_admitted": {"step", "firing", "attempt", "limit", "name", "waited"},
    "step_deferred": {
        "step",
        "firing",
        "attempt",
        "why",
        "error",
        "due",
        "metrics",
    },
    "routed": {"step", "firing", "attempt", "labels"},
    "stuck": {"step", "reason"},
    "breaker_changed": {"name", "status"},
    "cache_hit": {"step", "firing", "attempt"},
    "step_hedged": {"step", "firing", "attempt", "call", "won"},
    "step_isolated": {"step", "firing", "attempt", "pid"},
    "state_changed": {"step", "firing", "attempt", "changed", "state"},
}
RARE = {
    "run_queued",
    "run_admitted",
    "run_rejected",
    "step_queued",
    "step_admitted",
    "step_deferred",
    "breaker_changed",
    "cache_hit",
    "step_hedged",
    "step_isolated",
}
BUS = {
    "event_accepted": {"name", "payload", "key", "id"},
    "event_rejected": {"name", "payload", "key", "id", "reason"},
    "handler_failed": {"name", "handler", "error"},
}
STORED = {"dead_letter_failed": {"name", "key", "id", "reason", "error"}}


class Counts(BaseModel):
    """A state."""

    one: int = 0
    two: int = 0
    same: str = "same"


class Routed(Flow[Counts]):
    """Changes its state, routes, finishes."""

    @start()
    async def begins(self):
        self.state.one += 1
        self.state.two += 1
        self.state.same = "same"
        return "begun"

    @router(begins)
    async def chooses(self) -> Literal["left"]:
        return "left"

    @listen("left")
    async def goes(self):
        self.state.two += 1
        return "gone"


class Other(Routed):
    """Another class with the same steps."""


class Fails(Flow):
    """One branch raises, the other is cancelled."""

    @start()
    async def sleeps(self):
        await anyio.sleep_forever()

    @start()
    async def raises(self):
        await checkpoint()
        msg = "no luck"
        raise ValueError(msg)


class Waits(Flow):
    """Waits for two events."""

    @start()
    async def begins(self): ...

    @listen(event("b"))
    async def takes_b(self): ...

    @listen(event("a"))
    async def takes_a(self): ...


class Sticks(Flow):
    """A join that can never be full."""

    @start()
    async def begins(self): ...

    @router(begins)
    async def chooses(self) -> Literal["left", "right"]:
        return "left"

    @listen("left")
    async def goes(self): ...

    @listen("right")
    async def never(self): ...

    @listen(and_(begins, never))
    async def joins(self): ...


@pytest.fixture
def told():
    """Everything told by any signal, as (signal, sender, arguments)."""
    notes: list[tuple[str, object, dict]] = []
    with ExitStack() as stack:
        for name in [*COMMON, *BUS, *STORED]:

            def note(sender, /, _name=name, **arguments):
                notes.append((_name, sender, arguments))

            stack.enter_context(getattr(signals, name).connected_to(note))
        yield notes


def of(told, name):
    """The arguments a signal was told with, in order."""
    return [arguments for each, _, arguments in told if each == name]


def test_the_documented_arguments_are_those_tested_here():
    """The table of the module, the list of names, and this file agree."""
    row = re.compile(r"^``(\w+)``\s+(.+(?:\n +\S.*)*)", re.MULTILINE)
    found = {
        name: set(re.findall(r"``(\w+)``", said))
        for name, said in row.findall(inspect.getdoc(signals))
    }
    assert found == COMMON | BUS | STORED
    assert set(signals.__all__) == {*COMMON, *BUS, *STORED, "log", "tell"}


async def test_a_finished_run_tells_each_signal_with_its_arguments(told):
    """In order, with the values of the run."""
    flow = Routed()
    assert await flow.kickoff_async({"one": 4}) == "gone"
    assert [name for name, _, _ in told] == [
        "run_begins",
        "run_started",
        "step_started",
        "state_changed",
        "step_finished",
        "step_started",
        "step_finished",
        "routed",
        "step_started",
        "state_changed",
        "step_finished",
        "run_finished",
    ]
    for name, sender, arguments in told:
        assert sender is Routed
        assert arguments.pop("run") is flow.run
        assert set(arguments) == COMMON[name]
    assert of(told, "run_started") == [{"inputs": {"one": 4}}]
    assert of(told, "run_finished") == [{"status": "completed", "result": "gone"}]
    finished = of(told, "step_finished")
    assert [(each["step"], each["output"]) for each in finished] == [
        ("begins", "begun"),
        ("chooses", "left"),
        ("goes", "gone"),
    ]
    assert [each["attempt"] for each in finished] == [1, 1, 1]
    started = of(told, "step_started")
    assert [each["firing"] for each in started] == [each["firing"] for each in finished]
    assert len({each["firing"] for each in started}) == 3
    [routed] = of(told, "routed")
    assert (routed["step"], routed["labels"]) == ("chooses", ("left",))
    assert routed["firing"] == started[1]["firing"]


async def test_state_changed_carries_the_names_of_changed_fields(told):
    """A field set to its own value is not among them, nor a step that set none."""
    await Routed().kickoff_async()
    changes = of(told, "state_changed")
    assert [(each["step"], sorted(each["changed"])) for each in changes] == [
        ("begins", ["one", "two"]),
        ("goes", ["two"]),
    ]
    assert changes[-1]["state"].two == 2


async def test_state_changed_works_for_a_dict_state(told):
    """New, changed and removed keys."""

    class Dicts(Flow):
        @start()
        async def begins(self):
            self.state["a"] = 1
            self.state["b"] = 1

        @listen(begins)
        async def next(self):
            self.state["a"] = 2
            del self.state["b"]

    await Dicts().kickoff_async()
    assert [sorted(each["changed"]) for each in of(told, "state_changed")] == [
        ["a", "b"],
        ["a", "b"],
    ]


async def test_parallel_steps_tell_their_own_changes(told):
    """Each commit names the fields of its step."""

    class Parallel(Flow[Counts]):
        @start()
        async def first(self):
            await checkpoint()
            self.state.one = 5

        @start()
        async def second(self):
            await checkpoint()
            self.state.two = 6

    await Parallel().kickoff_async()
    changes = {
        each["step"]: list(each["changed"]) for each in of(told, "state_changed")
    }
    assert changes == {"first": ["one"], "second": ["two"]}


async def test_a_failed_run_tells_what_failed_and_what_was_cancelled(told):
    """The error is the object that comes out; run_finished is not told."""
    flow = Fails()
    with pytest.raises(ValueError, match="no luck") as caught:
        await flow.kickoff_async()
    [failed] = of(told, "step_failed")
    assert set(failed) == COMMON["step_failed"] | {"run"}
    assert (failed["step"], failed["attempt"]) == ("raises", 1)
    assert failed["error"] is caught.value
    [cancelled] = of(told, "step_cancelled")
    assert set(cancelled) == COMMON["step_cancelled"] | {"run"}
    assert (cancelled["step"], cancelled["attempt"]) == ("sleeps", 1)
    assert of(told, "run_failed") == [{"run": flow.run, "error": caught.value}]
    assert of(told, "run_finished") == []
    assert told[-1][0] == "run_failed"


async def test_a_waiting_run_tells_the_names_it_waits_for(told):
    """Every name, and no end."""
    flow = Waits()
    await flow.kickoff_async()
    [waiting] = of(told, "run_waiting")
    assert waiting["run"] is flow.run
    assert set(waiting) == {"run", "events"}
    assert sorted(waiting["events"]) == ["a", "b"]
    assert of(told, "run_finished") == []


async def test_a_cancelled_run_is_finished_as_cancelled(told):
    """It did not fail; told once."""
    flow = Waits()
    await flow.kickoff_async()
    flow.run.cancel("enough")
    flow.run.cancel("again")
    [finished] = of(told, "run_finished")
    assert finished["status"] == "cancelled"
    assert of(told, "run_failed") == []


async def test_a_join_that_cannot_fire_is_told_with_its_reason(told):
    """The step, and the sentence that the run keeps too."""
    flow = Sticks()
    await flow.kickoff_async()
    [stuck] = of(told, "stuck")
    assert set(stuck) == {"run", "step", "reason"}
    assert stuck["step"] == "joins"
    assert stuck["reason"] in [str(each) for each in flow.run.stuck]


def test_the_bus_tells_what_it_takes_and_refuses(told):
    """The sender is the bus; a duplicate is neither."""

    def fails(payload):
        raise ValueError(payload)

    with EventBus() as bus:
        bus.on("e", fails)
        bus.send("e", 1, key=5, id="i")
        bus.send("e", 1, key=5, id="i")
        bus.send("f", 2)
        bus.drain()
    about = [(name, arguments) for name, sender, arguments in told if sender is bus]
    assert len(about) == len(told) == 3
    by_name = dict(about)
    assert {name: set(each) for name, each in by_name.items()} == BUS
    assert by_name["event_accepted"] == {
        "name": "e",
        "payload": 1,
        "key": "5",
        "id": "i",
    }
    rejected = by_name["event_rejected"]
    assert (rejected["name"], rejected["payload"], rejected["key"]) == ("f", 2, None)
    assert rejected["reason"] == (
        "No flow and no handler takes the event 'f'. Register a flow or a handler."
    )
    assert by_name["handler_failed"]["handler"] == fails.__qualname__


async def test_a_receiver_of_one_class_hears_that_class_only():
    """Not another, not even a subclass of it."""
    heard = []

    def observer(sender, run, **arguments):
        heard.append((sender, arguments["step"]))

    signals.step_finished.connect(observer, sender=Routed)
    try:
        await Other().kickoff_async()
        assert heard == []
        await Routed().kickoff_async()
    finally:
        signals.step_finished.disconnect(observer, sender=Routed)
    assert heard == [(Routed, "begins"), (Routed, "chooses"), (Routed, "goes")]
    await Routed().kickoff_async()
    assert len(heard) == 3


@pytest.mark.parametrize(
    "name",
    sorted({*COMMON} - {"run_failed", "run_waiting", "step_failed", *RARE}),
)
async def test_a_raising_observer_is_reported_and_the_run_unchanged(name, caplog):
    """By a warning and a log line; the next observer is told all the same."""
    heard = []

    def harmful(sender, **arguments):
        msg = "observer's own"
        raise LookupError(msg)

    def harmless(sender, **arguments):
        heard.append(sender)

    signal = getattr(signals, name)
    cls, result = (Sticks, None) if name == "stuck" else (Routed, "gone")
    flow = cls()
    if name == "step_cancelled":
        cls, flow = Fails, Fails()
    text = (
        f"The observer {harmful.__qualname__} of signal {name!r} raised "
        f"LookupError: observer's own. The run goes on without it."
    )
    with signal.connected_to(harmful), signal.connected_to(harmless):
        with pytest.warns(FlowkitWarning) as caught:
            if cls is Fails:
                with pytest.raises(ValueError, match="no luck"):
                    await flow.kickoff_async()
            elif cls is Sticks:
                await flow.kickoff_async()
            else:
                assert await flow.kickoff_async() == result
    assert {str(each.message) for each in caught} == {text}
    assert text in caplog.messages
    assert len(heard) == len(caught)
    assert flow.run.status == ("failed" if cls is Fails else "completed")


@pytest.mark.parametrize("name", ["run_failed", "step_failed"])
async def test_a_raising_observer_does_not_hide_a_failure(name):
    """The step's own error comes out."""

    def harmful(sender, **arguments):
        raise LookupError

    with (
        getattr(signals, name).connected_to(harmful),
        pytest.warns(FlowkitWarning, match="raised LookupError"),
        pytest.raises(ValueError, match="no luck"),
    ):
        await Fails().kickoff_async()


async def test_a_raising_observer_of_a_waiting_run_leaves_it_waiting():
    """Nothing is lost."""

    def harmful(sender, **arguments):
        raise LookupError

    flow = Waits()
    with (
        signals.run_waiting.connected_to(harmful),
        pytest.warns(FlowkitWarning, match="raised LookupError"),
    ):
        await flow.kickoff_async()
    assert flow.run.status == "waiting"


def test_a_raising_observer_of_the_bus_does_not_stop_it():
    """The event is taken, the refused one refused, with a receipt."""
    got = []

    def harmful(sender, **arguments):
        raise LookupError

    with EventBus() as bus:
        bus.on("e", got.append)
        with (
            signals.event_accepted.connected_to(harmful),
            signals.event_rejected.connected_to(harmful),
            pytest.warns(FlowkitWarning) as caught,
        ):
            assert bus.send("e", 1)
            assert bus.send("f").status == "unknown"
        bus.drain()
    assert len(caught) == 2
    assert got == [1]


async def test_an_async_observer_is_refused_clearly(caplog):
    """It would never run; nothing is left unawaited."""

    async def observer(sender, **arguments): ...

    text = (
        f"The observer {observer.__qualname__} of signal 'run_started' raised "
        "TypeError: it is a coroutine function; observers are plain functions. "
        "The run goes on without it."
    )
    with (
        signals.run_started.connected_to(observer),
        pytest.warns(FlowkitWarning) as all_,
    ):
        assert await Routed().kickoff_async() == "gone"
    assert [str(each.message) for each in all_] == [text]
    assert caplog.messages == [text]


async def test_an_observer_that_connects_another_does_not_disturb_the_telling():
    """Receivers are those at the time of the telling."""
    heard = []

    def late(sender, **arguments):
        heard.append("late")

    def first(sender, **arguments):
        heard.append("first")
        signals.run_started.disconnect(first)
        signals.run_started.connect(late)

    signals.run_started.connect(first)
    try:
        await Routed().kickoff_async()
        assert heard == ["first"]
        await Routed().kickoff_async()
        assert heard == ["first", "late"]
    finally:
        signals.run_started.disconnect(late)


def test_an_observer_that_is_forgotten_hears_nothing():
    """Signals hold their receivers weakly and have none left here."""
    assert [
        name for name in [*COMMON, *BUS, *STORED] if getattr(signals, name).receivers
    ] == []


def test_the_log_prints_nothing_unless_logging_is_set_up():
    """One logger, named flowkit, with a handler that does nothing."""
    logger = signals.log()
    assert logger.name == "flowkit"
    assert signals.log() is logger
    assert "NullHandler" in [type(each).__name__ for each in logger.handlers]
