"""WCP-11 and WCP-43: how runs end."""

from __future__ import annotations

import pytest

from flowkit import Flow, StuckError, and_, event, listen, start
from tests.patterns.stage import example


@pytest.mark.pattern(11)
async def test_the_run_ends_after_the_last_of_several_open_ends(stage):
    """Nobody says so: nothing is left that could happen."""
    module = example(11)

    class Slow(module.Onboarding):
        @listen(module.Onboarding.sign)
        async def order_laptop(self):
            await stage.sleep(9)

    run = await stage.play(Slow(), {"name": "Ada"})
    assert stage.order()[-1] == "order_laptop"
    assert (stage.now, run.status, run.stuck) == (9, "completed", [])


STUCK = (
    "{}.open_door is stuck on and_(create_account, print_badge): create_account came; "
    "print_badge cannot come any more (print_badge never ran: router place chose 'home'). "
    "(wcp11_implicit_termination.py:{})"
)


@pytest.mark.pattern(11)
async def test_a_starved_join_is_reported(stage):
    """Its run is over, and says which step starved, and of what."""
    onboarding = example(11).Onboarding()
    run = await stage.play(onboarding, {"name": "Grace", "remote": True})
    line = type(onboarding).open_door.__code__.co_firstlineno
    assert run.status == "completed"
    assert run.stuck == [STUCK.format("Onboarding", line)]


@pytest.mark.pattern(11)
async def test_in_a_strict_flow_a_starved_join_is_an_error():
    """For those who want to be stopped."""
    module = example(11)

    class Strict(module.Onboarding, strict=True):
        pass

    strict = Strict()
    with pytest.raises(StuckError) as caught:
        await strict.kickoff_async({"remote": True})
    line = module.Onboarding.open_door.__code__.co_firstlineno
    assert STUCK.format("Strict", line) in str(caught.value)
    assert strict.run.status == "failed"


@pytest.mark.pattern(11)
async def test_an_open_wait_is_never_completed(stage):
    """An event may still come: the run waits, and ends when it came."""
    module = example(11)

    class Keyed(module.Onboarding):
        @listen(and_(module.Onboarding.create_account, event("key handed over")))
        async def open_door(self): ...

    keyed = Keyed()
    run = await stage.play(keyed, {"name": "Ada"})
    assert (run.status, run.awaits) == ("waiting", ("key handed over",))
    assert keyed.send("key handed over")
    assert (run.status, stage.order()[-1]) == ("completed", "open_door")


@pytest.mark.pattern(43)
async def test_reaching_the_end_cancels_the_rest(stage):
    """Completed, with that result, at that moment; the expert is sent home."""
    module = stage.enter(43, register=1, expert=30)
    run = await stage.play(module.Investigation(), {"holder": "Mallory"})
    assert (run.status, run.result) == ("completed", {"outcome": "fraud"})
    assert stage.order("cancelled") == ["value_damage"]
    assert stage.order("started").count("pay") == 0
    assert (stage.now, run.stuck) == (1, [])


@pytest.mark.pattern(43)
async def test_a_run_that_does_not_reach_it_ends_by_itself(stage):
    """The end is a way out, not the only one."""
    module = stage.enter(43, register=1, expert=30)
    run = await stage.play(module.Investigation(), {"holder": "Ada"})
    assert (run.status, run.result) == ("completed", {"outcome": "paid", "euros": 700})


@pytest.mark.pattern(43)
async def test_in_a_called_flow_only_that_flow_ends(stage):
    """Its caller gets the result and goes on."""
    module = stage.enter(43, register=1, expert=30)

    class Desk(Flow):
        @start()
        async def investigate(self):
            return await self.call(module.Investigation, {"holder": "Mallory"})

        @listen(investigate)
        async def write(self, found):
            return found["outcome"]

    run = await stage.play(Desk())
    assert (run.status, run.result) == ("completed", "fraud")
