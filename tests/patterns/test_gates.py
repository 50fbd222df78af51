"""WCP-17, WCP-18, WCP-39, WCP-40: steps that wait for more than their trigger."""

from __future__ import annotations

import pytest

from flowkit import Flow, listen, resume_async, start
from flowkit.journal.sqlite.store import SqliteStore
from tests.patterns.stage import example
from tests.runtime.stored import crashed


def at_once(tape, steps):
    """The most of these steps that were at work at a time."""
    now = most = 0
    for _, step, what in tape:
        if step in steps:
            now += 1 if what == "started" else -1
            most = max(most, now)
    return most


@pytest.mark.pattern(17)
@pytest.mark.parametrize("pick", [0, 1, 5])
async def test_never_two_at_once_and_in_the_given_order(stage, pick):
    """Each of the three once, picking before packing, then it ships."""
    module = stage.enter(17, pick=pick, pack=2, label=3)
    await stage.play(module.Warehouse())
    steps = ["pick", "pack", "label"]
    assert at_once(stage.tape, steps) == 1
    assert sorted(stage.order()) == sorted(["order", *steps, "ship"])
    assert stage.order().index("pick") < stage.order().index("pack")
    assert stage.order()[-1] == "ship"
    assert stage.now == pick + 5


@pytest.mark.pattern(17)
@pytest.mark.parametrize(
    ("label", "order"),
    [
        (0, ["label", "pick", "pack"]),
        (1, ["pick", "label", "pack"]),
        (9, ["pick", "pack", "label"]),
    ],
)
async def test_every_legal_order_is_possible(stage, label, order):
    """Who is ready first has the robot first."""
    module = stage.enter(17, pick=2, pack=2, label=2)

    class Timed(Flow):
        @start()
        async def order(self):
            await stage.sleep(0.5)

        @start()
        async def print_label(self):
            await stage.sleep(label)

        @listen(order, mutex="robot")
        async def pick(self):
            await module.robot("pick")

        @listen(pick, mutex="robot")
        async def pack(self):
            await module.robot("pack")

        @listen(print_label, mutex="robot")
        async def label(self):
            await module.robot("label")

    await stage.play(Timed())
    assert [step for step in stage.order() if step in order] == order
    assert at_once(stage.tape, order) == 1


@pytest.mark.pattern(18)
async def test_a_step_is_possible_only_between_two_others(stage):
    """Early it waits, in time it runs as often as it is asked for, late it is missed."""
    booking = example(18).Booking(store="memory:")
    await booking.kickoff_async()
    assert booking.send("change route", "Lyon")
    assert stage.order("started") == ["ask"]
    booking.send("seat confirmed")
    assert booking.state.via == "Lyon"
    for via in ("Basel", "Turin"):
        booking.send("change route", via)
        assert booking.state.via == via
    booking.send("paid")
    assert stage.order() == ["ask", "book", *["reroute"] * 3, "ticket"]
    assert booking.run.result == "a ticket via Turin"


@pytest.mark.pattern(18)
async def test_after_the_milestone_it_never_runs(stage, caplog):
    """What was ready too late is dropped and reported as missed."""

    class Late(example(18).Booking):
        @listen("ticket")
        async def hand_over(self, made): ...

    booking = Late(store="memory:")
    await booking.kickoff_async()
    booking.send("seat confirmed")
    booking.send("paid")
    with caplog.at_level("INFO", "flowkit"):
        booking.send("change route", "Rome")
    assert booking.state.via == "Paris"
    assert "reroute" not in stage.order("started")
    assert booking.run.status == "waiting"


@pytest.mark.pattern(39)
@pytest.mark.parametrize(("charge", "receipt", "premium"), [(1, 2, 3), (0, 5, 0)])
async def test_sections_do_not_interleave(stage, charge, receipt, premium):
    """Between the two steps of the deposit nobody else is at the terminal."""
    module = stage.enter(39, charge=charge, receipt=receipt, premium=premium)
    await stage.play(module.Rental())
    steps = [step for step in stage.order() if step in module.SECONDS]
    assert steps == ["charge", "receipt", "premium"]
    assert at_once(stage.tape, module.SECONDS) == 1
    assert stage.times("hand_over") == [charge + receipt + premium]


@pytest.mark.pattern(39)
@pytest.mark.parametrize("way", ["a failure", "a cancel"])
async def test_the_section_is_free_again_after(stage, way):
    """A failed or a cancelled holder gives the terminal back."""
    module = stage.enter(39, charge=4, premium=1)

    class Broken(module.Rental):
        @listen(module.Rental.hold_car, region=module.deposit)
        async def charge(self):
            await module.terminal("charge")
            raise OSError("no line")

        @listen(charge.failed)
        async def pay_cash(self): ...

        @listen(module.Rental.hold_car)
        async def cancel_deposit(self):
            if way == "a cancel":
                await stage.sleep(2)
                self.cancel(module.deposit)

    await stage.play(Broken())
    free = 2 if way == "a cancel" else 4
    assert stage.times("premium", "started") == [free]
    assert stage.times("receipt", "started") == []
    assert stage.order("cancelled") == (["charge"] if way == "a cancel" else [])


@pytest.mark.pattern(39)
async def test_a_restart_knows_who_was_inside(stage, tmp_path):
    """Cut off within the deposit, and resumed: the insurance still comes after it."""
    module = example(39)
    store = SqliteStore(tmp_path / "rental.db")
    rental = module.Rental(store=store)
    await stage.run(rental)
    run = rental.run.id
    for seq in range(2, store.run(run).seq):
        stage.tape.clear()
        await resume_async(crashed(store, run, seq, f"cut-{seq}"), store=store)
        left = [step for step in stage.order() if step in module.SECONDS]
        whole = ["charge", "receipt", "premium"]
        assert left == whole[len(whole) - len(left) :]
    store.close()


@pytest.mark.pattern(40)
@pytest.mark.parametrize("oil", [0, 1, 7])
async def test_all_checks_one_at_a_time_then_the_machine_starts(stage, oil):
    """Each exactly once, never two at once."""
    module = stage.enter(40, oil=oil, belts=2, brakes=3)
    await stage.play(module.Service())
    checks = ["oil", "belts", "brakes"]
    assert at_once(stage.tape, checks) == 1
    assert sorted(stage.order()[1:4]) == sorted(checks)
    assert stage.times("start_machine", "started") == [oil + 5]


@pytest.mark.pattern(40)
async def test_any_order_is_possible(stage):
    """Who is ready first is served first; nobody starves."""
    orders = set()
    for first in ("oil", "belts", "brakes"):
        stage.tape.clear()

        class Service(Flow):
            @start()
            async def arrive(self): ...

            @listen("oil due", mutex="technician")
            async def oil(self): ...

            @listen("belts due", mutex="technician")
            async def belts(self): ...

            @listen("brakes due", mutex="technician")
            async def brakes(self): ...

            @listen(arrive)
            async def plan(self):
                names = ["oil", "belts", "brakes"]
                names.sort(key=self.state["first"].__ne__)
                for name in names:
                    self.emit(f"{name} due")

        await stage.play(Service(), {"first": first})
        orders.add(tuple(stage.order()[2:]))
    assert {order[0] for order in orders} == {"oil", "belts", "brakes"}
