"""Recorded events through a bus on a store, killed again and again: the same result."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROVE = bool(os.environ.get("FLOWKIT_PROVE"))


def replay(store: Path, kill_after: float | None = None) -> tuple[int, str]:
    """One process; its code, and what it printed."""
    command = [sys.executable, "-m", "examples.customer_events.durable"]
    command += ["--store", f"sqlite:///{store}?synchronous=normal"]
    paths = os.pathsep.join([str(ROOT), *sys.path])
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        if kill_after is not None:
            try:
                process.wait(kill_after)
            except subprocess.TimeoutExpired:
                process.kill()
        said, _ = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.prove
def test_a_killed_replay_ends_like_one_that_was_not(tmp_path) -> None:
    """Runs by flow and status are the same: nothing lost, nothing twice."""
    begun = time.perf_counter()
    code, wanted = replay(tmp_path / "whole.db")
    whole = time.perf_counter() - begun
    assert code == 0
    for attempt in range(20 if PROVE else 2):
        chance = random.Random(attempt)
        store = tmp_path / f"killed-{attempt}.db"
        kills = 0
        while True:
            code, said = replay(store, chance.uniform(whole / 3, whole))
            if code == 0:
                break
            kills += 1
            assert kills < 60
        assert said == wanted, f"{kills} kills, seed {attempt}"
