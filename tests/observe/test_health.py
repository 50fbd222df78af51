"""Health says what in a store needs somebody, and how to mend it."""

from __future__ import annotations

import json

import pytest

from flowkit import Flow, event, listen, observe, start
from flowkit.errors import InputError
from flowkit.journal.rows import Begin, Bury, Owner, RunRow
from tests.runtime.stored import STORES, crashed, opened

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture(params=STORES[1:])
def store(request, tmp_path):
    """An empty store."""
    return opened(request.param, tmp_path)


class Order(Flow):
    """Waits for a payment."""

    @start()
    def ask(self):
        return 1

    @listen(event("paid"))
    def book(self, paid):
        return paid


class Late(Flow, evict_after=0):
    """Sleeps for an hour."""

    @start()
    async def rest(self):
        await self.sleep("1h")


class Asking(Flow, evict_after=0):
    """Asks a person."""

    @start()
    async def ask(self):
        return await self.ask_async("fine?")


def ailments(found):
    return {each.kind: (each.count, each.runs) for each in found.ailments}


def test_healthy_store(store):
    """Nothing needs anybody: true, and no ailments."""
    found = observe.health(store=store)
    assert found
    assert found.reachable
    assert (found.runs, found.dead, found.ailments, found.waits) == ({}, 0, (), ())
    assert str(found).splitlines()[0] == f"{store.url}: healthy"
    assert "  runs: none" in str(found)


def test_counts_and_oldest_wait(store, clock):
    """A wait is no ailment, but the oldest one is told."""
    first = Order(store=store)
    first.kickoff()
    clock.advance(90)
    Order(store=store).kickoff()
    found = observe.health(store=store)
    assert found
    assert found.runs == {"waiting": 2}
    (wait,) = found.waits
    assert (wait.run, wait.name, wait.kind, wait.since) == (
        first.run.id,
        "paid",
        "event",
        1_000.0,
    )
    name = f"{Order.__module__}:Order"
    assert (
        f"  the oldest wait for event 'paid': 1 min 30 s, run {wait.run} of {name}"
        in str(found).splitlines()
    )


async def test_oldest_wait_for_a_person_tells_no_secret(store):
    """The name of the answer's event holds a token: it is not shown."""
    flow = Asking(store=store)
    await flow.kickoff_async()
    found = observe.health(store=store)
    assert [each.kind for each in found.waits] == ["person"]
    (waiting,) = store.waits(kind="person")
    assert waiting.wait.token not in str(found) + json.dumps(found.to_dict())


def test_abandoned_run(store):
    """At work, and nobody has it."""
    flow = Order(store=store)
    flow.kickoff()
    crashed(store, flow.run.id, 1, "gone")
    found = observe.health(store=store)
    assert not found
    assert ailments(found) == {"abandoned": (1, ("gone",))}
    assert found.ailments[0].text == (
        "1 run stopped at work, and no living process has them. Go on with "
        "flowkit.resume(id), MyFlow.resume_all(), or a bus that serves the store."
    )
    assert store.run("gone").status == "running"


async def test_overdue_run(store, clock):
    """Its time has come for more than a minute, and nobody serves the store."""
    flow = Late(store=store)
    await flow.kickoff_async()
    clock.advance(3_600 + 59)
    assert observe.health(store=store)
    clock.advance(2)
    assert ailments(observe.health(store=store)) == {"overdue": (1, (flow.run.id,))}


def test_quiet_run(store, clock):
    """At work in a living process, without a record for long."""
    store.beat(Owner("me", 9_999_999.0, "elsewhere", 0))
    row = RunRow("slow", "shop:Order", "s", owner="me", created=1_000.0)
    from tests.journal.contract import entry

    store.commit([Begin(row, (entry(1)._replace(at=1_000.0),))])
    clock.advance(3_599)
    assert observe.health(store=store)
    clock.advance(2)
    found = observe.health(store=store)
    assert ailments(found) == {"quiet": (1, ("slow",))}
    assert found.processes == 1
    assert observe.health(store=store, quiet_after=7_200)


def test_dead_letters(store):
    """How many, and the oldest one's reason."""
    store.commit([Bury("payd", None, None, 1.0, "1", "nobody listens to it")])
    found = observe.health(store=store)
    assert found.dead == 1
    (ailment,) = found.ailments
    assert ailment.kind == "dead"
    assert ailment.text == (
        "1 dead letter, the oldest 'payd': nobody listens to it. Look at them in "
        "bus.dead, and send them again with bus.requeue(number)."
    )


def test_store_that_cannot_be_read(tmp_path):
    """It is an ailment, not an exception."""
    found = observe.health(store=f"sqlite:///{tmp_path}/none/x.db")
    assert not found
    assert not found.reachable
    assert found.ailments[0].kind == "unreachable"
    assert str(found).splitlines() == [
        f"sqlite:///{tmp_path}/none/x.db: needs somebody",
        (
            f"  unreachable: The store cannot be read. The folder {tmp_path}/none of the "
            "journal x.db does not exist. Create it, or give another place in "
            "FLOWKIT_STORE or store=."
        ),
    ]


def test_only_one_flow(store):
    """Runs and waits of others do not count."""
    Order(store=store).kickoff()
    assert observe.health(Late, store=store).runs == {}
    assert observe.health(Late, store=store).waits == ()
    with pytest.raises(InputError):
        observe.health("Nobody", store=store)


def test_plain_data(store):
    """For programs."""
    flow = Order(store=store)
    flow.kickoff()
    crashed(store, flow.run.id, 1, "gone")
    plain = observe.health(store=store).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["healthy"] is False
    assert plain["ailments"][0]["runs"] == ["gone"]


def test_many_dead_letters_are_at_least_so_many(store):
    """No more are read."""
    store.commit([Bury("e", None, None, 1.0, "1", "why.") for _ in range(150)])
    assert observe.health(store=store).ailments[0].text.startswith("100 or more dead")
