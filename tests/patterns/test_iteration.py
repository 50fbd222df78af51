"""WCP-10: loops with several entries and exits."""

from __future__ import annotations

import pytest

from flowkit import RunawayError
from tests.patterns.stage import example


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
