"""WCP-42: one thread becomes several on the same branch."""

from __future__ import annotations

import pytest

from flowkit import listen
from flowkit.journal.memory import MemoryStore
from tests.patterns.stage import example


@pytest.mark.pattern(42)
@pytest.mark.parametrize("reviewers", [["Ada"], ["Ada", "Grace", "Linus"]])
async def test_each_emitted_token_is_a_firing(stage, reviewers):
    """As many firings of the next step as were emitted, each with its payload."""
    module = example(42)

    class Slow(module.Conference):
        @listen("invited")
        async def review(self, reviewer):
            await stage.sleep(3)
            return reviewer

    run = await stage.play(Slow(), {"reviewers": reviewers})
    assert stage.times("review", "started") == [0] * len(reviewers)
    assert stage.times("review") == [3] * len(reviewers)
    assert sorted(run.outputs[1 : 1 + len(reviewers)]) == reviewers
    assert stage.order().count("decide") == len(reviewers) // 3


@pytest.mark.pattern(42)
async def test_a_step_that_dies_between_two_emits_emits_all_once(stage):
    """Tokens come with the step's end: what a failed try had emitted counts nothing."""
    module = example(42)
    tries = []

    class Dying(module.Conference):
        @module.start(emits=["invited"])
        async def invite(self):
            tries.append(self.attempt)
            for number, reviewer in enumerate(self.state.reviewers):
                if number == 2 and len(tries) == 1:
                    raise OSError("power failure")
                self.emit("invited", reviewer)

    store = MemoryStore()
    flow = Dying(store=store)
    with pytest.raises(OSError):
        await flow.kickoff_async(id="paper-1")
    assert stage.times("review", "started") == []
    result = await Dying(store=store).kickoff_async(id="paper-1")
    assert len(tries) == 2
    assert stage.order().count("review") == 3
    assert len(result) == 3
