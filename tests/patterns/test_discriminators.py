"""WCP-28 to WCP-32: n of m branches continue; the rest is held, cancelled, absorbed."""

from __future__ import annotations

from itertools import permutations

import pytest

from flowkit import any_of, listen, or_, router

ALL_ORDERS = list(permutations((1, 2, 3)))


@pytest.mark.pattern(28)
async def test_a_round_waits_for_the_arrivals_of_the_one_before(stage):
    """The trace of ``block``: 1, then 5, then 6; what comes early is kept."""
    module = stage.enter(28, badge=1, escort=5)
    visitors = ["Ada", "Grace", "Linus"]
    run = await stage.play(module.Gate(), {"visitors": visitors})
    assert stage.times("admit") == [1, 5, 6]
    assert stage.times("badge_ok") == [1, 2, 6]
    assert stage.times("escort_ok") == [5, 6, 10]
    assert run.state.inside == [f"{name}, by badge" for name in visitors]
    assert run.stuck == []


@pytest.mark.pattern(28)
@pytest.mark.parametrize("turns", [1, 2, 5])
async def test_no_early_token_is_lost(stage, turns):
    """As many are let in as came, in order, by whichever check was first."""
    module = stage.enter(28, badge=4, escort=1)
    visitors = [f"visitor {number}" for number in range(turns)]
    run = await stage.play(module.Gate(), {"visitors": visitors})
    assert run.state.inside == [f"{name}, by escort" for name in visitors]
    assert stage.order("cancelled") == []


@pytest.mark.pattern(29)
@pytest.mark.parametrize("seconds", [(1, 5, 30), (5, 1, 30), (30, 5, 1)])
async def test_the_losers_are_cancelled_at_once(stage, seconds):
    """One reply at the quickest; the others stop there and lead to nothing."""
    small, middle, large = seconds
    module = stage.enter(29, small=small, middle=middle, large=large)
    run = await stage.play(module.Race())
    assert stage.times("reply") == [1]
    winner = ("small", "middle", "large")[seconds.index(1)]
    losers = {"small", "middle", "large"} - {winner}
    assert set(stage.order("cancelled")) == losers
    assert stage.times("polish", "started") == ([1] if winner == "large" else [])
    assert winner in run.result.lower()
    assert (stage.now, run.status, run.stuck) == (1, "completed", [])


@pytest.mark.pattern(29)
async def test_a_racer_that_feeds_something_else_is_spared(stage):
    """It runs on for the audit; its own arrival at the race is absorbed."""
    module = stage.enter(29, small=1, middle=5, large=30)

    class Audited(module.Race):
        @listen(module.Race.middle)
        async def audit(self): ...

    run = await stage.play(Audited())
    assert stage.times("reply") == [1]
    assert stage.order("cancelled") == ["large"]
    assert stage.times("audit") == [5]
    assert run.stuck == []


@pytest.mark.pattern(30)
@pytest.mark.parametrize("seconds", ALL_ORDERS)
async def test_the_join_fires_at_the_second_arrival_once(stage, seconds):
    """The third is absorbed, whichever it is."""
    school, employer, friend = seconds
    module = stage.enter(30, school=school, employer=employer, friend=friend)
    run = await stage.play(module.Hiring())
    assert stage.times("shortlist", "started") == [2]
    missing = ("school", "employer", "friend")[seconds.index(3)]
    points = 14 - {"school": 4, "employer": 5, "friend": 5}[missing]
    assert run.outputs[3] == f"invited on {points} of 10 points"
    assert (stage.now, run.status, run.stuck) == (3, "completed", [])
    assert stage.order("cancelled") == []


def looped(module, rest):
    """The hiring flow's join with that rest, in a loop of three turns."""
    base = module.Hiring

    class Looped(base):
        @listen(or_(base.apply, "again"))
        async def school(self):
            return await module.reference("school")

        @listen(or_(base.apply, "again"))
        async def employer(self):
            return await module.reference("employer")

        @listen(or_(base.apply, "again"))
        async def friend(self):
            return await module.reference("friend")

        @router(any_of(2, school, employer, friend, rest=rest), emit=["again"])
        async def shortlist(self):
            self.state["turn"] = self.state.get("turn", 0) + 1
            return "again" if self.state["turn"] < 3 else None

    return Looped()


@pytest.mark.pattern(30)
@pytest.mark.pattern(31)
@pytest.mark.pattern(32)
@pytest.mark.parametrize(
    ("rest", "fires", "ends"),
    [("ignore", [2, 4, 6], 13), ("block", [2, 9, 11], 18), ("cancel", [2, 4, 6], 6)],
)
async def test_in_a_loop_the_join_fires_once_a_turn(stage, rest, fires, ends):
    """For each kind of rest, though one branch takes longer than three turns (P2)."""
    module = stage.enter(30, school=1, employer=2, friend=9)
    run = await stage.play(looped(module, rest))
    assert stage.times("shortlist") == fires
    assert stage.order("cancelled").count("friend") == (3 if rest == "cancel" else 0)
    assert stage.now == ends
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(31)
async def test_no_round_fires_before_the_one_before_is_complete(stage):
    """Three signatures for the first shipment, then the second leaves."""
    module = stage.enter(31, driver=1, store=2, customs=5)
    run = await stage.play(module.Shipping())
    assert stage.times("release") == [2, 5]
    assert stage.times("customs") == [5, 7]
    assert run.state.left == [
        "driver signed for steel and store signed for steel",
        "driver signed for paper and store signed for paper",
    ]
    assert run.stuck == []


@pytest.mark.pattern(31)
@pytest.mark.parametrize("seconds", ALL_ORDERS)
async def test_every_shipment_leaves_on_its_own_signatures(stage, seconds):
    """Whoever signs first, signatures of two shipments are never mixed."""
    driver, store, customs = seconds
    module = stage.enter(31, driver=driver, store=store, customs=customs)
    shipments = ["steel", "paper", "glass"]
    run = await stage.play(module.Shipping(), {"shipments": shipments})
    assert len(run.state.left) == 3
    for shipment, signed in zip(shipments, run.state.left, strict=True):
        assert signed.count(shipment) == 2


@pytest.mark.pattern(32)
@pytest.mark.parametrize("seconds", ALL_ORDERS)
async def test_two_votes_decide_and_the_third_judge_is_cancelled(stage, seconds):
    """The run takes as long as the second vote."""
    strict, kind, slow = seconds
    module = stage.enter(32, strict=strict, kind=kind, slow=slow)
    run = await stage.play(module.Vote())
    late = ("strict", "kind", "slow")[seconds.index(3)]
    assert stage.order("cancelled") == [late]
    assert set(run.result) == {"strict", "kind", "slow"} - {late}
    assert (stage.now, run.status, run.stuck) == (2, "completed", [])


@pytest.mark.pattern(32)
async def test_a_judge_who_closes_his_connection_does_so_before_the_end(stage):
    """A cancelled body is joined: what stands in ``finally`` has run."""
    module = stage.enter(32, strict=1, kind=2, slow=30)
    closed = []

    class Closing(module.Vote):
        @listen(module.Vote.submit)
        async def slow(self, text):
            try:
                return await module.judge("slow", text)
            finally:
                closed.append(stage.now)

    await stage.play(Closing())
    assert closed == [2]
