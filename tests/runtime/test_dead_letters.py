"""Dead letters of a stored bus: each is there until it was sent once more."""

from __future__ import annotations

import pytest

from flowkit import EventBus, Flow, NotFoundError, and_, event, listen, start
from flowkit.errors import StoreError
from flowkit.journal.memory import MemoryStore
from flowkit.journal.rows import Bury
from tests.runtime.stored import flow_named


class Failing(MemoryStore):
    """A store whose process dies where a test says so."""

    def __init__(self) -> None:
        super().__init__("memory:failing")
        self.dies = ""

    def commit(self, moves):
        """As any store, but for a death."""
        if self.dies == "before the commit":
            raise StoreError(self.dies)
        if self.dies == "at a burial" and any(type(move) is Bury for move in moves):
            raise StoreError(self.dies)
        return super().commit(moves)

    def undead(self, number):
        """The same."""
        if self.dies == "after the commit":
            raise StoreError(self.dies)
        return super().undead(number)


def buried(bus: EventBus) -> int:
    """The number of a letter that nobody took."""
    assert not bus.send("sent", 1)
    (dead,) = bus.dead
    return dead.number


@pytest.mark.parametrize("when", ["before the commit", "after the commit"])
def test_a_letter_that_is_sent_again_is_not_lost_and_counts_once(when: str) -> None:
    """The process dies in the middle; whoever sends it again then, hands it on once."""
    heard = []
    store = Failing()
    with EventBus(store=store) as bus:
        number = buried(bus)
        bus.on("sent", heard.append)
        store.dies = when
        with pytest.raises(StoreError, match=when):
            bus.requeue(number)
        store.dies = ""
        assert [each.number for each in bus.dead] == [number]
        assert bus.requeue(number)
        bus.drain()
        assert heard == [1]
        assert bus.dead == []


def test_a_letter_that_is_refused_again_is_there_once() -> None:
    """Nobody takes it still: it is a dead letter again, and no second one beside."""
    with EventBus(store=MemoryStore("memory:refused")) as bus:
        number = buried(bus)
        receipt = bus.requeue(number)
        assert receipt.status == "unknown"
        (again,) = bus.dead
        assert again.letter.name == "sent"


def test_a_handler_that_raises_has_its_letter_until_it_is_a_dead_one(caplog) -> None:
    """The process dies before the dead letter is there: the next one begins again."""
    store = Failing()
    heard = []

    def handle(payload):
        heard.append(payload)
        if len(heard) == 1:
            store.dies = "at a burial"
            raise OSError("no")

    with EventBus(store=store) as bus:
        bus.on("sent", handle)
        assert bus.send("sent", 1)
        bus.drain()
    assert [letter.name for letter in store.kept()] == ["sent"]
    store.dies = ""
    with EventBus(store=store) as bus:
        bus.on("sent", handle)
        assert bus.send("sent", 2)
        bus.drain()
        assert bus.dead == []
    assert (store.kept(), sorted(heard)) == ([], [1, 1, 2])


def test_a_letter_that_nobody_could_take_at_once_stays() -> None:
    """Those that want it take it only while they wait, and nobody does."""

    class Beats(Flow):
        @start(event("began"))
        def begin(self):
            pass

        @listen(and_(begin, event("sent", transient=True)))
        def beat(self):
            pass

    with EventBus(store=MemoryStore("memory:transient")) as bus:
        number = buried(bus)
        bus.register(flow_named(Beats))
        assert bus.requeue(number).status == "dropped"
        assert [each.number for each in bus.dead] == [number]


def test_a_letter_that_is_not_there() -> None:
    """It says where to look."""
    with (
        EventBus(store=MemoryStore("memory:none")) as bus,
        pytest.raises(NotFoundError) as caught,
    ):
        bus.requeue(7)
    assert str(caught.value) == (
        "There is no dead letter 7 in memory:none. Look at the numbers in bus.dead; "
        "one that was sent again is taken out."
    )
