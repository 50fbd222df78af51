"""WCP-16: the environment chooses."""

from __future__ import annotations

import pytest

from flowkit import EventBus, runs
from flowkit.journal.sqlite.store import SqliteStore
from tests.patterns.stage import example

DAY = 86_400


@pytest.fixture
def opened(tmp_path):
    """Opens the same file anew, as another process would."""
    stores = []

    def open_store():
        stores.append(SqliteStore(tmp_path / "offers.db"))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.mark.pattern(16)
@pytest.mark.parametrize(
    ("event", "branch"), [("accept", "build"), ("reject", "thank")]
)
async def test_the_first_event_decides_and_withdraws_the_other(
    stage, clock, opened, event, branch
):
    """One label; the other event is no longer taken, nor does the deadline count."""
    offer = example(16).Offer(store=opened())
    await offer.kickoff_async()
    assert offer.run.awaits == ("accept", "reject")
    assert offer.send(event) is True
    assert offer.run.status == "completed"
    assert offer.send("reject" if event == "accept" else "accept") is False
    clock.advance(20 * DAY)
    assert type(offer).resume_all(opened()) == []
    ran = [step for step in stage.order() if step not in {"send_quote", "answer"}]
    assert ran == [branch]


@pytest.mark.pattern(16)
@pytest.mark.parametrize("days", [13, 15])
async def test_the_deadline_survives_a_restart(clock, opened, days):
    """Everything is forgotten and resumed; two weeks are counted from the offer."""
    module = example(16)
    await module.Offer(store=opened()).kickoff_async()
    clock.advance(days * DAY)
    runs = await module.Offer.resume_all_async(opened())
    if days < 14:
        assert runs == []
        return
    (run,) = runs
    assert (run.status, run.result) == ("completed", "are you still interested?")
    assert run.flow.send("accept") is False


@pytest.mark.pattern(16)
async def test_an_answer_after_a_restart_counts(clock, opened):
    """The offers that were open are open again; one of them is taken up."""
    module, store = example(16), opened()
    await module.Offer(store=opened()).kickoff_async()
    clock.advance(3 * DAY)
    async with EventBus(store=store) as bus:
        bus.register(module.Offer)
        receipt = await bus.send_async("reject")
        await bus.drain()
        assert (await bus.send_async("accept")).run_ids == []
    assert runs.get(receipt.run_ids[0], store=store).result == "thank you for your time"
