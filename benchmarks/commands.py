"""Whole processes of the command line: the overview, and a list of many runs.

``python -m benchmarks.commands [--runs N] [--rounds N]`` prints wall milliseconds,
and the ratio to a bare interpreter in the same round.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from flowkit.core.records import RunStarted
from flowkit.journal.entries import entry_of
from flowkit.journal.rows import Advance, Begin, RunRow
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.ids import run_id

TOGETHER = 1_000
GOALS = {"--help": 150.0, "runs": 300.0, "runs --status failed": 300.0}


def main() -> int:
    """Print the table; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.commands", description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        filled(path, options.runs)
        print(f"{options.runs} runs, {path.stat().st_size / 2**20:.0f} MB")
        print(f"{'flowkit':24} {'median':>8} {'least':>8} {'ratio':>7}  goal")
        for words, goal in GOALS.items():
            times, ratios = timed(words.split(), path, options.rounds)
            here = median(times)
            missed = missed or here > goal
            mark = "  MISSED" if here > goal else ""
            print(
                f"{words:24} {here:6.0f}ms {min(times):6.0f}ms "
                f"{median(ratios):7.1f}  {goal:.0f} ms{mark}"
            )
    return int(missed)


def filled(path: Path, count: int) -> None:
    """A journal with so many ended runs, a tenth of them failed."""
    store = SqliteStore(path, synchronous="normal")
    for first in range(0, count, TOGETHER):
        at = 1_700_000_000.0 + first
        entry = entry_of(RunStarted(at), 1, None, "Order", None, {})
        rows = [
            RunRow(run_id(at + n), "shop:Order", str(n), created=at + n, updated=at + n)
            for n in range(min(TOGETHER, count - first))
        ]
        begun = store.commit([Begin(row, (entry,), (), "") for row in rows])
        store.commit(
            [
                Advance(each.hold, (), at, "failed" if n % 10 == 0 else "completed")
                for n, each in enumerate(begun)
            ]
        )
    store.close()


def timed(words: list[str], path: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each round, and each one's ratio to ``python -c pass``."""
    env = {**os.environ, "FLOWKIT_STORE": f"sqlite:///{path}"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed flowkit is compiled
    command = [sys.executable, "-m", "flowkit", *words]
    once(command, env)
    times, ratios = [], []
    for _ in range(rounds):
        bare, here = once([sys.executable, "-c", "pass"], env), once(command, env)
        times.append(here)
        ratios.append(here / bare)
    return times, ratios


def once(command: list[str], env: dict[str, str]) -> float:
    """Wall milliseconds of a process."""
    begun = perf_counter()
    subprocess.run(command, env=env, check=True, capture_output=True)
    return (perf_counter() - begun) * 1e3


if __name__ == "__main__":
    sys.exit(main())
