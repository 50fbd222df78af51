"""The inbox in memory keeps its promises and its bounds."""

from __future__ import annotations

from flowkit.journal.inbox import KeptEvent
from flowkit.journal.kept import MemoryInbox


def kept(name: str = "e", payload: object = None, key: str | None = None, at=0.0):
    """An event as the bus keeps it."""
    return KeptEvent(name, payload, key, None, at)


def test_an_id_is_new_until_it_is_remembered():
    """Asking alone does not remember it."""
    inbox = MemoryInbox()
    assert inbox.is_new("a")
    assert inbox.is_new("a")
    inbox.remember("a")
    assert not inbox.is_new("a")


def test_the_oldest_id_is_forgotten_beyond_the_bound():
    """Two of three ids stay, and an id remembered twice counts once."""
    inbox = MemoryInbox(ids=2)
    for each in ("a", "a", "b", "c"):
        inbox.remember(each)
    assert [inbox.is_new(each) for each in "abc"] == [True, False, False]


def test_what_is_kept_comes_back_in_order_and_once():
    """First in, first out, then nothing."""
    inbox = MemoryInbox()
    for number in range(3):
        assert inbox.keep("F", kept(payload=number)) is None
    assert inbox.kept() == 3
    found = [inbox.take("F", "e", None, 0.0) for _ in range(4)]
    assert [each and each.payload for each in found] == [0, 1, 2, None]
    assert inbox.kept() == 0


def test_subscriber_name_and_key_keep_events_apart():
    """Only the exact place gives the event."""
    inbox = MemoryInbox()
    inbox.keep("F", kept(key="1"))
    assert inbox.take("G", "e", "1", 0.0) is None
    assert inbox.take("F", "f", "1", 0.0) is None
    assert inbox.take("F", "e", None, 0.0) is None
    assert inbox.take("F", "e", "1", 0.0) == kept(key="1")


def test_what_is_older_than_asked_is_skipped_and_gone():
    """The next one young enough comes; exactly as old as asked is young enough."""
    inbox = MemoryInbox()
    inbox.keep("F", kept(payload="old", at=1.0))
    inbox.keep("F", kept(payload="young", at=2.0))
    assert inbox.take("F", "e", None, 2.0) == kept(payload="young", at=2.0)
    assert inbox.kept() == 0


def test_the_oldest_event_makes_room():
    """It is given back, so that its loss can be reported."""
    inbox = MemoryInbox(most=2)
    inbox.keep("F", kept(payload=1, key="a", at=1.0))
    inbox.keep("G", kept(payload=2, key="b", at=2.0))
    assert inbox.keep("F", kept(payload=3, key="c", at=3.0)) == kept("e", 1, "a", 1.0)
    assert inbox.kept() == 2
    assert inbox.take("F", "e", "a", 0.0) is None


def test_the_oldest_makes_room_when_the_clock_stands_still():
    """The order of keeping counts, not the time on the event."""
    inbox = MemoryInbox(most=2)
    dropped = [
        inbox.keep("F", kept(payload=number, key=key))
        for number, key in enumerate("abacd")
    ]
    assert [each and each.payload for each in dropped] == [None, None, 0, 1, 2]


def test_a_bound_of_nothing_keeps_nothing():
    """The event itself makes room."""
    inbox = MemoryInbox(most=0)
    assert inbox.keep("F", kept()) == kept()
    assert inbox.kept() == 0
