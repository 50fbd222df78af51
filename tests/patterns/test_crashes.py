"""The gallery's flows across crashes: whatever was recorded last, the end is the same."""

from __future__ import annotations

from collections import Counter

import pytest

from flowkit import resume_async, runs
from flowkit.journal.sqlite.store import SqliteStore
from tests.patterns.stage import EXAMPLES, example
from tests.runtime.stored import crashed

RUNS = {
    1: ("ClaimDesk", {"text": "P-8: 20000"}),
    2: ("ClaimChecks", {}),
    3: ("Decision", {}),
    4: ("Payout", {"euros": 300, "fraud": 0.5}),
    5: ("Day", {"claims": [300, 4_000, 50]}),
    6: ("HelpDesk", {"text": "holiday in my contract"}),
    7: ("HelpDesk", {"text": "tax on a contract"}),
    8: ("PullRequest", {}),
    9: ("Writer", {}),
    10: ("Editing", {"imported": "a letter", "moves": ["rewrite", "deeper", "ready"]}),
    11: ("Onboarding", {"remote": True}),
    28: ("Gate", {}),
    29: ("Race", {}),
    30: ("Hiring", {}),
    31: ("Shipping", {}),
    32: ("Vote", {}),
    33: ("Factory", {}),
    37: ("Solar", {"old": True}),
    38: ("Publishing", {}),
    41: ("Office", {}),
    43: ("Investigation", {"holder": "Mallory"}),
}
"""The flow of a pattern that is cut off, and what it is kicked off with."""
WAITING = {16, 20, 23, 24}
"""Patterns whose flows wait: their own tests stop and resume them."""

@pytest.fixture
def store(tmp_path):
    """An empty file."""
    opened = SqliteStore(tmp_path / "journal.db", synchronous="normal")
    yield opened
    opened.close()


def done(store, run):
    """Steps that have ended well, with what they gave, as often as they did."""
    history = runs.history(run, store=store)
    return Counter(
        (each.step, str(each.output)) for each in history if each.outcome == "done"
    )


@pytest.mark.parametrize(
    "number", [pytest.param(each, marks=pytest.mark.pattern(each)) for each in RUNS]
)
async def test_a_crash_after_any_record_changes_nothing(store, monkeypatch, number):
    """Everything is forgotten there and resumed: the same steps, once each, and end."""
    module, (name, inputs) = example(number), RUNS[number]
    if number == 43:
        monkeypatch.setitem(module.SECONDS, "expert", 30)
    await getattr(module, name)(store=store).kickoff_async(inputs, id="whole")
    whole = done(store, "whole")
    assert runs.get("whole", store=store).status == "completed"
    for seq in range(1, store.run("whole").seq):
        cut = crashed(store, "whole", seq, f"cut-{seq}")
        before = done(store, cut)
        await resume_async(cut, store=store)
        assert before <= done(store, cut) == whole
        assert runs.get(cut, store=store).status == "completed"


def test_every_example_is_cut_off_somewhere():
    """A new example joins the table above, or says why not."""
    grouped = {*RUNS, *WAITING}
    assert {number for number in EXAMPLES if number not in grouped} == set()
