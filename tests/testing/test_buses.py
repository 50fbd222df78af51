"""The bus double: what was sent, and who took it."""

from __future__ import annotations

import pytest

from flowkit import Flow, event, start
from flowkit.testing import RecordingBus


class Ping(Flow):
    """Begun by an event."""

    @start(on=event("ping"))
    def answer(self, payload):
        return payload["n"] + 1


def hear(payload):
    return None


def test_an_event_is_noted_with_whoever_took_it(event_bus) -> None:
    """Flows and handlers; the work is done."""
    event_bus.register(Ping)

    event_bus.on("ping", hear)
    event_bus.send("ping", {"n": 1}, key=3, id="e-1")
    event_bus.drain()
    (sent,) = event_bus.sent
    assert sent[:6] == ("ping", {"n": 1}, "3", "e-1", "accepted", ("Ping", "hear"))
    assert sent.runs[0].result == 2
    assert event_bus.assert_sent("ping", {"n": 1}, key=3) is sent
    assert str(sent) == (
        "send('ping', {'n': 1}, key='3', id='e-1'): accepted, taken by Ping, hear"
    )


async def test_what_nobody_takes_is_accepted_all_the_same() -> None:
    """A program under test needs no subscribers; a strict double refuses it."""
    async with RecordingBus() as bus:
        assert await bus.send_async("paid", 5)
        assert [each.takers for each in bus.sent] == [()]
    async with RecordingBus(strict=True) as bus:
        assert not await bus.send_async("paid", 5)
        assert [each.status for each in bus.sent] == ["unknown"]


def test_a_stored_bus_notes_each_event_once(memory_store) -> None:
    """By the class of the run that took it."""
    with RecordingBus(store=memory_store) as bus:
        bus.register(Ping)
        bus.send("ping", {"n": 1})
        bus.drain()
        assert [each.takers for each in bus.sent] == [("Ping",)]


def test_what_was_not_sent_is_shown_beside_what_was(event_bus) -> None:
    """Line by line."""
    with pytest.raises(AssertionError) as caught:
        event_bus.assert_sent("paid")
    assert str(caught.value) == (
        "send('paid') was not called. What was sent:\n  nothing"
    )
    event_bus.assert_nothing_sent()
    event_bus.send("paid", 5)
    with pytest.raises(AssertionError) as caught:
        event_bus.assert_sent("paid", 6, key=None)
    assert str(caught.value) == (
        "send('paid', 6, key=None) was not called. What was sent:\n"
        "  send('paid', 5): accepted, taken by nobody"
    )
    with pytest.raises(AssertionError) as caught:
        event_bus.assert_sent("paid", times=2)
    assert str(caught.value).startswith(
        "send('paid') was not called 2 times, but 1 times. What was sent:"
    )
    event_bus.assert_sent("paid", times=1)
    event_bus.assert_nothing_sent("refunded")
    with pytest.raises(AssertionError) as caught:
        event_bus.assert_nothing_sent()
    assert str(caught.value) == (
        "There was to be nothing sent, and there was:\n"
        "  send('paid', 5): accepted, taken by nobody"
    )
