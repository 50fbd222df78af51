"""WCP-10, WCP-21, WCP-22: loops and recursion."""

from __future__ import annotations

import anyio
import pytest

from flowkit import Flow, RunawayError, resume_async, runs, start
from flowkit.journal.memory import MemoryStore
from flowkit.journal.sqlite.store import SqliteStore
from tests.patterns.stage import example
from tests.runtime.stored import crashed


@pytest.mark.pattern(10)
@pytest.mark.parametrize(
    ("imported", "moves", "steps"),
    [
        ("", "ready", "choose_source outline critique publish"),
        ("", "drop", "choose_source outline critique give_up"),
        (
            "",
            "deeper rewrite deeper ready",
            "choose_source outline critique critique rewrite_text critique critique publish",
        ),
        (
            "a letter",
            "rewrite rewrite drop",
            "choose_source take_import rewrite_text critique rewrite_text critique rewrite_text critique give_up",
        ),
    ],
)
async def test_steps_run_in_exactly_the_scripted_order(stage, imported, moves, steps):
    """Both entries, both exits, both loops."""
    given = {"imported": imported, "moves": moves.split()}
    run = await stage.run(example(10).Editing(), given)
    assert stage.order() == steps.split()
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(10)
async def test_a_runaway_is_stopped_and_its_cycle_named(stage):
    """An editor who is never content ends with an error, not with the bill."""
    editing = example(10).Editing()
    with pytest.raises(RunawayError) as caught:
        await editing.kickoff_async({"moves": ["deeper"] * 100})
    line = type(editing).critique.__code__.co_firstlineno
    assert str(caught.value) == (
        "Editing.critique would fire more than 20 times in one run, in the circle "
        "critique -> critique. Give the loop an exit, or raise the bound with "
        "max_firings= on the step or max_method_calls on the flow. "
        f"(wcp10_arbitrary_cycles.py:{line})"
    )
    assert stage.order().count("critique") == 20
    assert editing.run.status == "failed"


@pytest.mark.pattern(21)
@pytest.mark.parametrize("fuel", [0, 1, 5])
async def test_the_test_before_a_turn_may_allow_none(stage, fuel):
    """As many turns as there is fuel, and one end for those who listen."""
    run = await stage.play(example(21).Production(), {"fuel": fuel, "dirt": [0]})
    assert run.state.shifts == fuel
    assert stage.order().count("take_sample") == 1
    assert run.result == f"{fuel} shifts, 1 samples"


@pytest.mark.pattern(21)
@pytest.mark.parametrize("dirt", [[0], [5, 2, 0, 0]])
async def test_the_test_after_a_turn_allows_one_at_least(stage, dirt):
    """It is repeated until it holds; the step behind it starts once."""
    run = await stage.play(example(21).Production(), {"fuel": 1, "dirt": dirt})
    assert run.state.samples == dirt.index(0) + 1
    assert stage.order("started").count("close") == 1


@pytest.mark.pattern(21)
async def test_every_turn_is_recorded(tmp_path):
    """A crash within the loop loses no turn: cut off anywhere, as many are left."""
    store = SqliteStore(tmp_path / "plant.db")
    await example(21).Production(store=store).kickoff_async({"fuel": 4}, id="whole")
    records = store.run("whole").seq
    assert records >= 4 + 3
    for seq in range(2, records):
        cut = crashed(store, "whole", seq, f"cut-{seq}")
        assert await resume_async(cut, store=store) == "4 shifts, 3 samples"
    store.close()


@pytest.mark.pattern(22)
async def test_a_flow_calls_itself_five_levels_deep(stage):
    """Each level has a state of its own, and the value is that of all leaves."""
    module = stage.enter(22, model=1)
    words = [f"{number:03}" for number in range(96)]
    run = await stage.play(module.Summary(), {"words": words})
    assert len(run.result) == 32
    assert run.state.words == words
    assert stage.now == 32
    assert stage.order().count("summarize") == 63


class Deep(Flow[dict], evict_after=0):
    """Calls itself so often, and then waits."""

    @start()
    async def go_down(self):
        left = self.state["levels"]
        if left > 1:
            return await self.call(Deep, {"levels": left - 1})
        return await self.wait_for("bottom reached")


@pytest.mark.pattern(22)
async def test_cancelling_the_root_reaches_the_leaves():
    """Five levels of runs, all of them cancelled."""
    store = MemoryStore()
    root = Deep(store=store)
    await root.kickoff_async({"levels": 5})
    assert [each.status for each in runs.list(store=store)] == ["waiting"] * 5
    root.run.cancel("enough")
    with anyio.fail_after(50):
        while {each.status for each in runs.list(store=store)} != {"cancelled"}:  # noqa: ASYNC110 - other threads work, too
            await anyio.sleep(0.005)


@pytest.mark.pattern(22)
async def test_a_recursion_without_an_end_is_an_error():
    """Not a stack that is full: it says how deep it was, and what to do."""
    with pytest.raises(RecursionError) as caught:
        await Deep().kickoff_async({"levels": 1_000})
    assert str(caught.value) == (
        "Deep.go_down called Deep 51 levels deep, and Deep allows 50: Deep (52 times). "
        "Give the recursion an end, or raise the bound: class Deep(Flow, max_depth=100)."
    )
