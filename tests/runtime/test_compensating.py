"""Compensation of a scope: what is undone, in which order, and who is told."""

from __future__ import annotations

import pytest

from flowkit import Flow, Policy, Region, Retry, each, gather, listen, runs, start
from flowkit.errors import CompensationError, RunError
from flowkit.runtime.clock import ManualClock, use_clock
from flowkit.runtime.resumption import resume, resume_async
from tests.runtime.stored import MemoryStore, crashed, flow_named


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


def rebooked(scope=None, **more):
    """A trip that gives the travelling back when the card is refused, and goes on."""
    log = []

    class Rebooked(Flow, **more):
        travel = Region("travel")

        def undo(self, made):
            log.append(f"undo {made}")

        @start(undo=undo)
        def insure(self):
            return "insurance"

        @listen(insure, undo=undo, region=travel)
        def flight(self):
            return "flight"

        @listen(flight, undo=undo, region=travel)
        def hotel(self):
            return "hotel"

        @listen(hotel)
        def charge(self):
            raise OSError("card refused")

        @listen(charge.failed)
        async def give_back(self):
            undone = await self.compensate("refused", scope=scope or self.travel)
            log.append(f"back {self.attempt}")
            return undone

    Rebooked.log = log
    return Rebooked


@pytest.mark.parametrize("store", [None, "memory"])
async def test_a_region_is_undone_newest_first_and_the_run_goes_on(store) -> None:
    """What is outside of it stays; the step that asks is told what is undone."""
    cls = rebooked()
    flow = cls() if store is None else cls(store=MemoryStore("memory:test"))
    assert await flow.kickoff_async() == ("hotel", "flight")
    assert cls.log == ["undo hotel", "undo flight", "back 1"]
    assert flow.run.status == "completed"
    assert flow.run.not_undone == []


@pytest.mark.parametrize(
    ("scope", "undone"),
    [
        ("hotel", ("hotel",)),
        (["flight", "insure"], ("flight", "insure")),
        (Region("travel"), ("hotel", "flight")),
    ],
)
def test_a_scope_is_a_step_a_region_or_several(scope, undone) -> None:
    """By name or as they are."""
    assert rebooked(scope)().kickoff() == undone


@pytest.mark.parametrize("store", [None, "memory"])
def test_a_plain_step_blocks_until_it_is_done(store) -> None:
    """And is given the same."""
    log = []

    class Plain(Flow):
        def undo(self, made):
            log.append(made)

        @start(undo=undo)
        def one(self):
            return "one"

        @listen(one)
        def back(self):
            log.append(self.compensate(scope=[type(self).one]))
            log.append(self.compensate(scope="one"))

        @listen(undo)
        def never(self):
            log.append("never")

    flow = Plain(store=store and MemoryStore("memory:test"))
    flow.kickoff()
    assert log == ["one", ("one",), ()]


@pytest.mark.parametrize("store", [None, "memory"])
def test_a_plain_step_that_asks_through_a_helper_starts_again(store) -> None:
    """Nobody could see that it would wait; its answer is there then."""
    log = []

    class Helped(Flow):
        def undo(self, made):
            log.append(made)

        @start(undo=undo)
        def one(self):
            return "one"

        def give_back(self):
            return self.compensate(scope="one")

        @listen(one)
        def back(self):
            log.append("back")
            return self.give_back()

    flow = Helped(store=store and MemoryStore("memory:test"))
    assert flow.kickoff() == ("one",)
    assert log == ["back", "one", "back"]


def test_what_a_scope_has_undone_is_not_undone_by_the_run() -> None:
    """Once each; what was left is undone when the run fails."""
    log = []

    class Twice(Flow, on_error="compensate"):
        def undo(self, made):
            log.append(made)

        @start(undo=undo)
        def one(self):
            return "one"

        @listen(one, undo=undo)
        def two(self):
            return "two"

        @listen(two, undo=undo)
        def three(self):
            return "three"

        @listen(three)
        def back(self):
            self.compensate(scope="two")
            raise OSError("x")

    flow = Twice()
    with pytest.raises(OSError, match="x"):
        flow.kickoff()
    assert log == ["two", "three", "one"]
    assert flow.run.status == "compensated"


def lanes(scope):
    """Each order is paid and sent; what cannot be sent is paid back."""
    log = []

    class Lanes(Flow):
        def pay_back(self, paid):
            log.append(f"back {paid}")

        @start(undo=pay_back)
        def orders(self):
            return [1, 2, 3]

        @listen(each(orders), undo=pay_back)
        def pay(self, order):
            return order

        @listen(pay)
        def send(self, order):
            if order == 2:
                raise OSError("sold out")
            return order

        @listen(send.failed)
        async def cancel(self):
            return await self.compensate(scope="pay")

        @listen(gather(send))
        async def after(self, sent):
            return await self.compensate(scope=scope) if scope else None

    Lanes.log = log
    return Lanes


@pytest.mark.parametrize(
    ("scope", "more"),
    [(None, []), ("pay", ["back 3", "back 1"]), ("orders", ["back [1, 2, 3]"])],
)
def test_an_instance_compensates_for_itself(scope, more) -> None:
    """From outside of the group, all instances are meant."""
    cls = lanes(scope)
    cls().kickoff()
    assert cls.log[0] == "back 2"
    assert sorted(cls.log[1:]) == sorted(more)


def test_a_step_that_runs_a_flow_is_undone_as_others() -> None:
    """It is handed what the called run gave."""
    log = []

    class Charge(Flow):
        @start()
        def go(self):
            return "receipt"

    class Order(Flow):
        def pay_back(self, receipt):
            log.append(receipt)

        @start()
        def order(self):
            return "order"

        charge = listen(order, flow=Charge, undo=pay_back)

        @listen(charge)
        def regret(self):
            return self.compensate(scope="charge")

    assert Order().kickoff() == ("charge",)
    assert log == ["receipt"]


def faulty(**more):
    """A hotel that cannot be cancelled at first."""
    log = []

    class Faulty(Flow, **more):
        broken = True

        def undo(self, made):
            log.append(made)
            if made == "hotel" and type(self).broken:
                raise OSError("desk closed")

        @start(undo=undo)
        def flight(self):
            return "flight"

        @listen(flight, undo=undo)
        def hotel(self):
            return "hotel"

        @listen(hotel)
        async def back(self):
            return await self.compensate(scope=["flight", "hotel"])

    Faulty.log = log
    return Faulty


def test_what_could_not_be_undone_is_named_and_all_else_is_undone(caplog) -> None:
    """The step that asks is told by an error."""
    cls = faulty()
    flow = cls()
    with pytest.raises(CompensationError) as caught:
        flow.kickoff()
    assert str(caught.value) == (
        "Faulty.back could not have everything undone: hotel (OSError: desk closed). "
        "Undo it by hand, or mend the undo steps and compensate again: what is undone "
        "is not undone twice."
    )
    assert caught.value.step == "Faulty.back"
    assert caught.value.faults == (("hotel", "OSError: desk closed"),)
    assert cls.log == ["hotel", "flight"]
    assert flow.run.not_undone == ["hotel"]
    assert flow.run.status == "failed"
    assert flow.run.failures == [caught.value]
    assert (
        "Faulty.hotel could not be undone: its undo step has failed (OSError: desk "
        "closed). Undo it by hand, or mend the step and compensate again."
    ) in caplog.messages


def test_a_resume_undoes_what_could_not_be_undone() -> None:
    """That alone."""
    cls = flow_named(faulty())
    store = MemoryStore("memory:test")
    flow = cls(store=store)
    with pytest.raises(CompensationError):
        flow.kickoff()
    with pytest.raises(CompensationError):
        resume(flow.run.id, store=store)
    cls.broken = False
    cls.log.clear()
    assert resume(flow.run.id, store=store) == ("hotel",)
    assert cls.log == ["hotel"]


def test_a_retry_undoes_what_could_not_be_undone(clock) -> None:
    """A policy of the step that asks counts for that, too."""
    cls = faulty(defaults=Policy(retry=Retry(2, first=0, on=CompensationError)))
    flow = cls()
    with pytest.raises(CompensationError):
        flow.kickoff()
    assert cls.log == ["hotel", "flight", "hotel"]
    assert flow.run.not_undone == ["hotel"]


def test_an_undo_of_a_scope_is_tried_again(clock) -> None:
    """As any step."""
    cls = faulty(defaults=Policy(retry=Retry(3, first=0)))
    with pytest.raises(CompensationError):
        cls().kickoff()
    assert cls.log == ["hotel", "hotel", "hotel", "flight"]


def test_a_step_that_caught_the_error_goes_on_as_before() -> None:
    """When it starts again it is told the same."""
    store = MemoryStore("memory:test")

    class Catches(Flow):
        broken = True

        def undo(self, made):
            raise OSError("no")

        @start(undo=undo)
        def one(self):
            return "one"

        @listen(one)
        async def back(self):
            try:
                await self.compensate(scope="one")
            except CompensationError:
                await self.sleep(0)
            if type(self).broken:
                raise KeyError("x")
            return "well"

    cls = flow_named(Catches)
    flow = cls(store=store)
    with pytest.raises(KeyError):
        flow.kickoff()
    cls.broken = False
    assert resume(flow.run.id, store=store) == "well"


async def test_every_prefix_of_a_scope_goes_on() -> None:
    """Wherever a crash cuts it off, what was undone is not undone again."""
    cls = flow_named(rebooked())
    store = MemoryStore("memory:test")
    flow = cls(store=store)
    assert await flow.kickoff_async() == ("hotel", "flight")
    entries = store.entries(flow.run.id)
    for seq in range(1, len(entries) + 1):
        cls.log.clear()
        copy = crashed(store, flow.run.id, seq, f"copy {seq}")
        assert await resume_async(copy, store=store) == ("hotel", "flight")
        undone = sum(
            each.kind == "done" and each.step == "undo" for each in entries[:seq]
        )
        told = [each for each in cls.log if each.startswith("undo")]
        assert told == ["undo hotel", "undo flight"][undone:], seq
        assert runs.get(copy, store=store).status == "completed"


def test_a_run_that_fails_meanwhile_undoes_the_rest() -> None:
    """What a scope had begun is undone with everything else."""
    log = []

    class Both(Flow, on_error="compensate"):
        async def undo(self, made):
            log.append(made)
            if log == ["two"]:
                await self.wait_for("never")

        @start(undo=undo)
        async def one(self):
            return "one"

        @listen(one, undo=undo)
        async def two(self):
            return "two"

        @listen(two)
        async def back(self):
            await self.compensate(scope=["one", "two"])

        @listen(two)
        async def fails(self):
            await self.sleep("10ms")
            raise OSError("x")

    flow = Both()
    with pytest.raises(OSError, match="x"):
        flow.kickoff()
    assert log == ["two", "two", "one"]
    assert flow.run.status == "compensated"


def test_an_undo_is_not_cancelled_alone() -> None:
    """Nobody but the run's end takes it away; who asks would wait for ever."""
    log = []

    class Cancels(Flow):
        async def undo(self, made):
            await self.sleep("5ms")
            log.append(made)

        @start(undo=undo)
        async def one(self):
            return "one"

        @listen(one)
        async def back(self):
            return await self.compensate(scope="one")

        @listen(one)
        async def cancels(self):
            await self.sleep("1ms")
            self.cancel("undo")

    flow = Cancels()
    flow.kickoff()
    assert log == ["one"]
    assert flow.run.status == "completed"


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (
            "flights",
            "Rebooked.give_back would compensate 'flights', which is no step or "
            "region of this flow. Did you mean 'flight'?",
        ),
        (
            ["charge"],
            "Rebooked.give_back would compensate charge, and no step of that has "
            "undo=. Name steps that say how their work is undone.",
        ),
    ],
)
def test_a_scope_without_sense_is_an_error(scope, text) -> None:
    """Before anything is undone."""
    with pytest.raises(RunError) as caught:
        rebooked(scope)().kickoff()
    assert str(caught.value).partition(" (test_compensating.py")[0] == text
