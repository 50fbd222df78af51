"""WCP-37 and WCP-38: joins that wait for whatever may still come."""

from __future__ import annotations

import pytest

from flowkit import Flow, all_active, listen, or_, router, start
from tests.patterns.stage import example


@pytest.mark.pattern(37)
@pytest.mark.parametrize(
    ("roof", "at", "offered"),
    [
        ({}, 0, "3600 euros, unseen"),
        ({"steep": True}, 2, "3600 euros, quick scan"),
        ({"old": True}, 5, "3600 euros, deep scan"),
        ({"old": True, "steep": True}, 5, "3600 euros, deep scan"),
    ],
    ids=["no scan", "quick", "deep", "deep, too"],
)
async def test_one_offer_for_each_outcome_of_the_inner_choice(stage, roof, at, offered):
    """At the last arrival, without waiting for a scan that will not be made."""
    module = stage.enter(37, quick=2, deep=5)
    run = await stage.play(module.Solar(), roof)
    assert stage.times("offer", "started") == [at]
    assert offered in run.outputs
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(37)
async def test_a_side_branch_does_not_hold_the_offer_up(stage):
    """Pictures are filed for a long time; the offer does not depend on it."""
    module = stage.enter(37, deep=5)

    class Slow(module.Solar):
        @listen(module.Solar.deep_scan)
        async def file_pictures(self):
            await stage.sleep(100)

    await stage.play(Slow(), {"old": True})
    assert stage.times("offer") == [5]
    assert stage.times("file_pictures") == [105]


@pytest.mark.pattern(38)
@pytest.mark.parametrize("redos", [0, 1, 4])
@pytest.mark.parametrize("tax", [0, 3, 50])
async def test_it_is_published_once_after_the_last_redo(stage, redos, tax):
    """However often the lawyers want it again, and whenever tax is through."""
    module = example(38)

    class Slow(module.Publishing):
        @router(or_("legal", "redo"), emit=["redo", "legal_ok"])
        async def review(self):
            await stage.sleep(2)
            if self.state.versions > self.state.redos:
                return "legal_ok"
            self.state.versions += 1
            return "redo"

        @listen("tax")
        async def tax_memo(self):
            await stage.sleep(tax)

    run = await stage.play(Slow(), {"redos": redos})
    assert stage.times("publish", "started") == [max(tax, 2 * (redos + 1))]
    assert run.result == f"version {redos + 1}"
    assert run.stuck == []


@pytest.mark.pattern(38)
@pytest.mark.parametrize("topics", [["legal"], ["tax"]])
async def test_it_does_not_wait_for_a_topic_that_was_not_chosen(stage, topics):
    """One side alone is enough if the other was never asked."""
    run = await stage.play(example(38).Publishing(), {"topics": topics, "redos": 1})
    assert stage.order().count("publish") == 1
    assert run.stuck == []


@pytest.mark.pattern(38)
async def test_two_joins_that_wait_for_each_other_both_fire(stage):
    """Each may lead to an input of the other; nothing else moves: the oldest goes."""

    class Circle(Flow):
        @start()
        async def ask_lawyers(self): ...

        @start()
        async def ask_tax(self): ...

        @router(all_active(ask_lawyers, "tax has a question"), emit=["for tax"])
        async def lawyers(self):
            return None

        @router(all_active(ask_tax, "for tax"), emit=["tax has a question"])
        async def tax(self):
            return None

    run = await stage.play(Circle())
    assert stage.order()[2:] == ["lawyers", "tax"]
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(38)
async def test_inside_an_outer_loop_it_fires_once_a_turn(stage):
    """Three editions, each with its redos."""
    module = example(38)

    class Editions(module.Publishing):
        @listen(or_(module.Publishing.write, "next edition"))
        async def edit(self):
            self.state.versions = 1

        @router(edit, emit=["legal", "tax"])
        async def ask(self):
            return ["legal", "tax"]

        @router(
            all_active("legal_ok", module.Publishing.tax_memo), emit=["next edition"]
        )
        async def publish(self):
            return "next edition" if stage.order().count("publish") < 2 else None

    run = await stage.play(Editions(), {"redos": 2})
    assert stage.order().count("publish") == 3
    assert stage.order().count("review") == 9
    assert run.stuck == []
