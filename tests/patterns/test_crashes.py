"""The gallery's flows across crashes: whatever was recorded last, the end is the same."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import repeat
from pathlib import Path

import pytest

from flowkit import resume, resume_async, runs
from flowkit.journal.sqlite.store import SqliteStore
from tests.patterns.cases import RUNS
from tests.patterns.stage import EXAMPLES, example
from tests.runtime.stored import crashed

ROOT = Path(__file__).parents[2]
CALLING = {22}
"""Cut off as a process: a copy of its records has no runs that it called."""
WAITING = {16, 18, 19, 20, 23, 24, 25}
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
        (each.step, "".join(sorted(str(each.output))))  # a group has its own order
        for each in history
        if each.outcome == "done"
    )


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(each, marks=pytest.mark.pattern(each))
        for each in RUNS
        if each not in CALLING
    ],
)
async def test_a_crash_after_any_record_changes_nothing(store, monkeypatch, number):
    """Everything is forgotten there and resumed: the same steps, once each, and end."""
    module, (name, inputs) = example(number), RUNS[number]
    if number == 43:
        monkeypatch.setitem(module.SECONDS, "expert", 30)
    if number == 13:  # which call is wrong does not matter
        monkeypatch.setattr(module, "calls", repeat(0))
    await getattr(module, name)(store=store).kickoff_async(inputs, id="whole")
    whole = done(store, "whole")
    assert runs.get("whole", store=store).status == "completed"
    for seq in range(1, store.run("whole").seq):
        cut = crashed(store, "whole", seq, f"cut-{seq}")
        before = done(store, cut)
        await resume_async(cut, store=store)
        assert before <= done(store, cut) == whole, seq
        assert runs.get(cut, store=store).status == "completed"


@pytest.mark.parametrize(
    ("number", "services"),
    [
        pytest.param(number, services, marks=pytest.mark.pattern(number))
        for number, services in ((3, 2), (7, 2), (14, 3), (30, 3), (37, 1))
    ],
)
def test_a_killed_process_loses_nothing(tmp_path, number, services):
    """Killed in its n-th service call; another process runs what had not ended."""
    killed_and_resumed(tmp_path, number, services)


@pytest.mark.pattern(22)
def test_a_killed_recursion_goes_on_in_the_middle(tmp_path):
    """Killed two levels deep; halves that were done are not done again."""
    killed_and_resumed(tmp_path, 22, 2)


def killed_and_resumed(tmp_path, number, services):
    """Kill one process in a service and go on in another."""
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    victim = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.patterns.victim",
            str(number),
            url,
            str(services),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert victim.stdout.readline() == "in the service\n"
    finally:
        victim.kill()
        victim.communicate()
    assert runs.get("r", store=url).status in {"running", "waiting"}
    before = done(url, "r")
    resume("r", store=url)
    name, inputs = RUNS[number]
    getattr(example(number), name)(store=url).kickoff(inputs, id="whole")
    assert before < done(url, "r") == done(url, "whole")


def test_every_example_is_cut_off_somewhere():
    """A new example joins the table above, or says why not."""
    grouped = {*RUNS, *WAITING}
    assert {number for number in EXAMPLES if number not in grouped} == set()
