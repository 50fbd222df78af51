"""WCP-1 to WCP-5: sequence, split, synchronization, choice, merge."""

from __future__ import annotations

import pytest

from flowkit import Flow, listen, merge, or_, router, start
from flowkit.errors import RouteError
from tests.patterns.stage import example


@pytest.mark.pattern(1)
async def test_a_step_is_handed_what_the_one_before_it_gave(stage):
    """The second step starts when the first is done, and gets its value."""
    module = example(1)
    seen = []

    class Desk(module.ClaimDesk):
        @listen(module.ClaimDesk.intake)
        async def triage(self, claim):
            seen.append(claim)

    run = await stage.run(Desk(), {"text": "P-7: 300"})
    assert seen == [module.Claim(policy="P-7", euros=300)]
    assert [entry[1:] for entry in stage.tape] == [
        ("intake", "started"),
        ("intake", "finished"),
        ("triage", "started"),
        ("triage", "finished"),
    ]
    assert run.status == "completed"


@pytest.mark.pattern(1)
async def test_after_a_failure_the_next_step_never_starts(stage):
    """What failed has no successor."""
    desk = example(1).ClaimDesk()
    with pytest.raises(ValueError) as caught:
        await desk.kickoff_async({"text": "P-9: a lot"})
    assert str(caught.value) == "invalid literal for int() with base 10: 'a lot'"
    assert stage.order("started") == ["intake"]
    assert desk.run.status == "failed"


@pytest.mark.pattern(2)
@pytest.mark.parametrize(("policy", "fraud"), [(2, 4), (4, 2)])
async def test_both_branches_run_at_once(stage, policy, fraud):
    """Both have begun before either ends; together they take as long as the slower."""
    module = stage.enter(2, policy=policy, fraud=fraud)
    run = await stage.play(module.ClaimChecks())
    assert stage.times("check_policy", "started") == [0]
    assert stage.times("score_fraud", "started") == [0]
    assert stage.times("check_policy") == [policy]
    assert stage.times("score_fraud") == [fraud]
    assert stage.now == 4
    assert (run.state.covered, run.state.fraud) == (True, 0.1)


@pytest.mark.pattern(3)
@pytest.mark.parametrize(("policy", "fraud"), [(2, 4), (4, 2), (3, 3)])
async def test_the_join_fires_once_with_both_values(stage, policy, fraud):
    """After the slower branch, whichever that is."""
    module = stage.enter(3, policy=policy, fraud=fraud)
    run = await stage.play(module.Decision())
    assert stage.times("decide", "started") == [max(policy, fraud)]
    assert run.result == "pay (covered: True, fraud: 0.1)"


@pytest.mark.pattern(4)
@pytest.mark.parametrize(
    ("fraud", "branch"),
    [(0.1, "transfer"), (0.5, "give_to_expert"), (0.9, "write_refusal")],
)
async def test_exactly_one_branch_runs(stage, fraud, branch):
    """The one of the label that the router returned."""
    await stage.run(example(4).Payout(), {"fraud": fraud})
    assert stage.order("started") == ["read", "decide", branch]


@pytest.mark.pattern(4)
async def test_a_label_that_was_not_declared_is_an_error():
    """Not silence: no branch would run, and nobody would know why."""
    module = example(4)

    class Odd(module.Payout):
        @router(module.Payout.read, emit=["pay", "refuse", "ask"])
        async def decide(self):
            return "maybe"

    odd = Odd()
    with pytest.raises(RouteError) as caught:
        await odd.kickoff_async()
    line = Odd.decide.__code__.co_firstlineno
    assert str(caught.value) == (
        "Odd.decide returned the label 'maybe', but declares only 'ask', 'pay', "
        f"'refuse'. Add it to emit= or the annotation. (test_basic.py:{line})"
    )
    assert odd.run.status == "failed"


@pytest.mark.pattern(5)
async def test_a_merge_fires_once_a_turn(stage):
    """However the choice of a turn falls, one notice a claim, in their order."""
    day = example(5).Day()
    run = await stage.run(day, {"claims": [300, 4_000, 50, 70]})
    assert day.state.told == [
        "300 euros are yours",
        "4000 euros are too much",
        "50 euros are yours",
        "70 euros are yours",
    ]
    assert stage.order().count("notify") == 4
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(5)
@pytest.mark.parametrize(("join", "firings"), [(or_, 1), (merge, 2)])
async def test_two_branches_of_one_turn_are_one_or_two_firings(stage, join, firings):
    """``or_`` counts the turn, ``merge`` the arrivals (P3)."""

    class Both(Flow):
        @start()
        async def by_mail(self): ...

        @start()
        async def by_phone(self): ...

        @listen(join(by_mail, by_phone))
        async def notify(self): ...

    await stage.play(Both())
    assert stage.order().count("notify") == firings
