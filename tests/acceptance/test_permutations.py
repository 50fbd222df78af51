"""Wait, event, duplicate, timeout and kill in every order: one outcome, one event."""

from __future__ import annotations

import json

import pytest

from flowkit import EventBus
from flowkit.journal.urls import open_store
from flowkit.runtime.clock import ManualClock, use_clock
from tests.acceptance.permuter import BEGIN, KINDS, RUN, Asks
from tests.acceptance.processes import PROVE, started

STEP = 1 if PROVE else 14


def expected(order: list[str]) -> str:
    """What becomes of a run that moves on after each of these."""
    waits = kept = False
    for action in order:
        if action == "wait":
            waits = True
            if kept:
                return "event"
        elif action == "time":
            if waits:
                return "time"
        elif action != "kill":
            if waits:
                return "event"
            kept = True
    raise AssertionError(order)


@pytest.mark.prove
@pytest.mark.timeout(0 if PROVE else 120)
@pytest.mark.parametrize("kind", KINDS)
def test_every_order_of_wait_event_duplicate_time_and_kill(tmp_path, kind):
    """Moved on after each action, or only by the next process and at the end."""
    processes = {}
    for first, how in enumerate(["settles", "lazy"]):
        folder = tmp_path / how
        folder.mkdir()
        arguments = (str(folder), kind, how, str(first * (STEP // 2)), str(STEP))
        processes[how] = started("-m", "tests.acceptance.permuter", *arguments)
    for how, process in processes.items():
        told, errors = process.communicate()
        assert process.returncode == 0, errors
        for names, found in json.loads(told).items():
            assert "error" not in found, (names, found["error"])
            order = names.split()
            ((run, status, result),) = found["runs"]
            assert (run, status) == ("the-run", "completed"), (how, names, found)
            allowed = {expected(order)}
            if how == "lazy" and order.index("wait") < order.index("time"):
                allowed = {"event", "time"}  # both were there when it looked
            assert result in allowed, (how, names, found)
            trail = json.loads(found["state"])["s"]["trail"]
            assert trail == ["one", result], (how, names, found)
            assert found["ends"] == 2, (how, names, found)
            assert (found["letters"], found["waits"]) == (0, 0), (how, names, found)
            assert found["kept"] <= (result == "time"), (how, names, found)
            if how == "settles":
                assert found["taken"] == 1, (how, names, found)


def test_an_event_after_the_time_is_kept_for_another_run(tmp_path):
    """It is handed to the run while its wait is open; the time wins, it is passed on."""
    url = f"sqlite:///{tmp_path}/journal.db"
    clock = ManualClock(BEGIN)
    before = use_clock(clock)
    try:
        Asks(store=url).kickoff(id=RUN)
        clock.advance(100)
        store = open_store(url)
        bus = EventBus(store=url)
        bus.register(Asks)
        bus.send("go", {"word": "event"}, id="e1")
        bus.drain()
        Asks.resume_all(store=url)
        assert store.run(RUN).result == '"time"'
        assert [each.event for each in store.kept()] == ["e1"]
        bus.close()
    finally:
        use_clock(before)
