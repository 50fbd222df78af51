"""The example as users run it: processes that know of each other by the store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.approval import __main__ as program

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path):
    """Runs one command in a process of its own; gives what it prints."""

    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "examples.approval", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout

    return call


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """Runs one command in this process."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> str:
        program.main(list(words))
        return capsys.readouterr().out

    return call


def test_small_sum_is_paid_at_once(run):
    """Nobody is asked."""
    assert run("claim", "ann", "20", "tea") == "paid 20 euros to ann\n"
    assert run("tasks") == ""


def test_others_are_approved_by_somebody_else(run, here):
    """Four eyes; the answer is taken by the next process that works."""
    assert run("claim", "ann", "120", "a chair") == "waiting for an answer\n"
    token, _, shown = here("tasks").partition("  ")
    assert shown == "team lead: Pay 120 euros for a chair?\n"
    assert "'ann' has requested it" in here("approve", token, "Ann")
    assert "less than or equal to 10000" in here("pay-less", token, "bob", "20000")
    assert here("pay-less", token, "bob", "100") == ""
    assert run("work") == "paid 100 euros to ann, edited by bob\n"
    assert "is over" in here("approve", token, "bob")


def test_manager_is_asked_next(here, manual_clock):
    """Each has his time; in the end nothing is paid."""
    here("claim", "ann", "120", "a chair")
    first = here("tasks").split()[0]
    manual_clock.advance(4 * 3600)
    assert here("work") == "waiting for an answer\n"
    second, _, shown = here("tasks").partition("  ")
    assert shown.startswith("manager: ")
    assert "It is over" in here("approve", first, "bob")
    manual_clock.advance(2 * 86_400)
    assert here("work") == "refused to ann: nobody had time\n"
    assert "over" in here("reject", second, "bob", "late")
