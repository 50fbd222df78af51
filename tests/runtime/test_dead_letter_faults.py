"""Dead letters go to whom they are for, and none is lost whatever fails meanwhile."""

from __future__ import annotations

import logging

import anyio
import pytest
from anyio.lowlevel import checkpoint

from flowkit import EventBus, Flow, RunError, event, listen, signals, start
from flowkit.errors import StoreError
from flowkit.journal.memory import MemoryStore
from flowkit.journal.rows import Bury
from flowkit.runtime.post import FORGET, POLL
from tests.journal.databases import KINDS, database
from tests.runtime.stored import flow_named, rows_of

pytestmark = pytest.mark.anyio

UNKNOWN = "No flow and no handler takes the event 'sent'. Register a flow or a handler."


class Down:
    """A store whose disk takes no dead letter while a test says so."""

    down = False

    def commit(self, moves):
        """As the store, but for dead letters."""
        if self.down and any(type(move) is Bury for move in moves):
            raise StoreError("The disk is full.")
        return super().commit(moves)


def _down(made):
    """That store, with such a disk."""
    made.__class__ = type("Down", (Down, type(made)), {})
    return made


@pytest.fixture(params=["memory", *KINDS])
def store(request, tmp_path, anyio_backend):
    """All kinds."""
    if request.param == "memory":
        yield _down(MemoryStore())
        return
    with database(request.param, tmp_path, anyio_backend) as opened:
        yield _down(opened())


class Takes(Flow):
    """One that begins with a number."""

    @start(event("sent"))
    def begin(self, number: int):
        return number


class Needs(Flow):
    """One that takes what has a total only."""

    @start(event("sent"))
    def begin(self, order: dict[str, int]):
        return order


class Waits(Flow):
    """It takes a payment while it waits."""

    @start(event("began"))
    def begin(self):
        pass

    @listen(event("paid"))
    def end(self, paid: int):
        return paid


async def test_the_letter_of_a_handler_goes_to_that_handler_alone(store):
    """A flow and a handler beside it have had the event."""
    heard, tried = [], []

    def fails(payload):
        tried.append(payload)
        if len(tried) == 1:
            raise OSError("no")

    cls = flow_named(Takes)
    async with EventBus(store=store) as bus:
        bus.register(cls)
        bus.on("sent", heard.append)
        bus.on("sent", fails)
        assert await bus.send_async("sent", 7, id="e1")
        await bus.drain()
        (dead,) = bus.dead
        receipt = bus.requeue(dead.number)
        await bus.drain()
        assert (receipt.handlers, receipt.run_ids) == ([fails.__qualname__], [])
        assert bus.dead == []
    assert (heard, tried) == ([7], [7, 7])
    assert len(rows_of(store)) == 1


async def test_two_handlers_of_one_title_are_two(store):
    """Also after a restart, and those of two events."""
    heard = []

    def named(number, fails):
        def handle(payload):
            heard.append((number, payload))
            if fails:
                raise OSError("no")

        return handle

    async with EventBus(store=store) as bus:
        bus.on("sent", named(1, fails=False))
        bus.on("sent", named(2, fails=True))
        bus.on("paid", named(3, fails=False))
        await bus.send_async("sent", "a")
        await bus.drain()
    async with EventBus(store=store) as bus:
        bus.on("sent", named(1, fails=False))
        bus.on("sent", named(2, fails=False))
        bus.on("paid", named(3, fails=False))
        (dead,) = bus.dead
        assert bus.requeue(dead.number)
        await bus.drain()
    assert sorted(heard) == [(1, "a"), (2, "a"), (2, "a")]


async def test_the_letter_of_one_flow_goes_to_that_flow_alone(store):
    """One refused it, another began a run: that one is not begun again."""
    takes, needs = flow_named(Takes), flow_named(Needs)
    async with EventBus(store=store) as bus:
        bus.register(takes, needs)
        receipt = await bus.send_async("sent", 7)
        await bus.drain()
        assert len(receipt.run_ids) == 1
        (dead,) = bus.dead
        again = bus.requeue(dead.number)
        await bus.drain()
        assert (again.status, again.run_ids) == ("invalid", [])
        (still,) = bus.dead
        assert still.letter.subscriber == dead.letter.subscriber
        assert still.number > dead.number
    assert len(rows_of(store)) == 1


async def test_a_letter_whose_subscriber_is_not_here_stays(store):
    """It says whose it is, and nobody else gets it."""
    heard = []

    def fails():
        raise OSError("no")

    async with EventBus(store=store) as bus:
        bus.on("sent", fails)
        await bus.send_async("sent", 7)
        await bus.drain()
    async with EventBus(store=store) as bus:
        bus.on("sent", heard.append)
        (dead,) = bus.dead
        with pytest.raises(RunError) as caught:
            bus.requeue(dead.number)
        assert bus.dead == [dead]
    assert heard == []
    assert str(caught.value) == (
        f"Dead letter {dead.number} of event 'sent' is for "
        f"handler:{fails.__qualname__}, which this bus does not have. Give it to "
        f"bus.register() or bus.on() and requeue the letter again: it stays."
    )


@pytest.mark.parametrize("payload", ["text", "1", "\ud800"])
async def test_a_payload_of_text_is_the_same_text_afterwards(store, payload):
    """Text that reads as a number, too; nothing in it keeps a store from taking it."""
    heard = []
    async with EventBus(store=store) as bus:
        assert not await bus.send_async("sent", payload)
        bus.on("sent", heard.append)
        (dead,) = bus.dead
        assert bus.requeue(dead.number)
        await bus.drain()
    assert heard == [payload]


async def test_an_event_whose_name_no_store_takes_is_a_dead_letter(store):
    """In a spelling that it takes; other letters are read and sent as before."""
    async with EventBus(store=store) as bus:
        await bus.send_async("sent\ud800\0", 1, key="\udfff")
        (dead,) = bus.dead
        assert dead.letter[:2] == ("sent\\ud800\\x00", "\\udfff")


async def test_what_is_kept_too_long_is_a_dead_letter_whatever_fails(store, clock):
    """It is never gone from both places, and goes to its flow alone."""
    gone = anyio.Event()
    heard = []

    def rejected(bus, **_):
        gone.set()

    async with EventBus(store=store, keep_for=60) as bus:
        bus.register(flow_named(Waits))
        bus.on("paid", heard.append)
        assert (await bus.send_async("paid", 5, id="e1")).kept
        await bus.drain()
    clock.advance(FORGET)
    store.down = True
    with signals.event_rejected.connected_to(rejected):
        async with EventBus(store=store, keep_for=60) as bus:
            await gone.wait()
    store.down = False
    assert store.kept() == []
    cls = flow_named(Waits)
    async with EventBus(store=store) as bus:
        bus.register(cls)
        bus.on("paid", heard.append)
        (dead,) = bus.dead
        letter = dead.letter
        assert (letter.id, letter.kind, letter.payload) == ("e1", "dropped", "5")
        assert letter.subscriber.endswith("Waits")
        assert bus.requeue(dead.number).kept
        await bus.drain()
    assert heard == [5]


async def test_what_is_kept_too_long_in_memory_is_told(clock):
    """When somebody looks for it, or the next event is kept."""
    async with EventBus(keep_for=60) as bus:
        bus.register(flow_named(Waits))
        await bus.send_async("paid", 5, id="e1")
        clock.advance(61)
        await bus.send_async("paid", 6, id="e2")
        clock.advance(61)
        run = (await bus.send_async("began")).runs[0]
        await bus.drain()
        assert (run.status, bus.kept) == ("waiting", 0)
        assert [(each.id, each.status, each.reason) for each in bus.rejected] == [
            (id, "dropped", "kept for a later wait that did not come in time")
            for id in ("e1", "e2")
        ]


async def test_a_dead_letter_that_is_not_written_is_told_at_once(store, caplog):
    """And handed in again: with the next one, and when somebody reads them."""
    told = []

    def failed(bus, **about):
        told.append((bus, about))

    with (
        signals.dead_letter_failed.connected_to(failed),
        caplog.at_level(logging.ERROR, "flowkit"),
    ):
        async with EventBus(store=store) as bus:
            store.down = True
            await bus.send_async("sent", 1, key="k", id="e1")
            while not caplog.records:
                await checkpoint()
            with pytest.raises(StoreError, match=r"The disk is full\."):
                _ = bus.dead
            ((sender, about),) = told
            assert sender is bus
            error = about.pop("error")
            assert about == {"name": "sent", "key": "k", "id": "e1", "reason": UNKNOWN}
            assert str(error) == "The disk is full."
            assert [each.getMessage() for each in caplog.records] == [
                f"The dead letter of event 'sent' ({UNKNOWN}) could not be written to "
                f"{store.url}: The disk is full. It is kept in this process and handed "
                f"in again until the store takes it: mend the store before the process "
                f"ends."
            ]
            store.down = False
            await bus.send_async("sent", 2)
            assert [each.letter.payload for each in bus.dead] == ["1", "2"]
    assert len(told) == 1


async def test_the_bus_hands_a_dead_letter_in_again_by_itself(store, clock):
    """At its next look; then the letter of the handler that raised goes, too."""
    calls, told = [], []

    def fails(payload):
        calls.append(payload)
        raise OSError("no")

    def down(bus, **_):
        told.append(bus)

    async with EventBus(store=store) as bus:
        bus.on("sent", fails)
        store.down = True
        with signals.dead_letter_failed.connected_to(down):
            await bus.send_async("sent", 7)
            await bus.drain()
            while not told:
                await checkpoint()
        assert told == [bus]
        assert [each.name for each in store.kept()] == ["sent"]
        store.down = False
        while store.kept():
            clock.advance(POLL)
            await checkpoint()
        (dead,) = store.dead()
        assert dead.letter.subscriber == f"handler:{fails.__qualname__}"
    async with EventBus(store=store) as bus:
        bus.on("sent", fails)
        await bus.drain()
    assert calls == [7]


async def test_what_cannot_be_written_when_the_bus_ends_is_told_whole(store, caplog):
    """So that it can be mended by hand; and what can be is."""
    with caplog.at_level(logging.ERROR, "flowkit"):
        async with EventBus(store=store) as bus:
            store.down = True
            await bus.send_async("sent", {"a": 1})
    assert (
        f"The dead letter of event 'sent' ({UNKNOWN}, payload {{\"a\":1}}) was not "
        f"written to {store.url} before the bus ended: The disk is full."
    ) in [each.getMessage() for each in caplog.records]
    caplog.clear()
    async with EventBus(store=store) as bus:
        await bus.send_async("sent", 1)
        store.down = False
    assert [each.letter.payload for each in store.dead()] == ["1"]


async def test_all_dead_letters_are_listed(store):
    """However many: none hides behind the first thousand."""
    store.commit([Bury("sent", None, None, 1.0, "1", "why") for _ in range(1_001)])
    async with EventBus(store=store) as bus:
        assert len(bus.dead) == 1_001
