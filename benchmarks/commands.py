"""Whole processes of the command line: the overview, and a list of many runs.

``python -m benchmarks.commands [--runs N] [--rounds N]`` prints medians of wall and
processor milliseconds, and of the ratio to a bare interpreter in the same round. Goals
are held against processor time, which a busy machine stretches least.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
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
        print(f"{'flowkit':24} {'wall':>8} {'cpu':>8} {'ratio':>7}  goal")
        for words, goal in GOALS.items():
            walls, cpus, ratios = timed(words.split(), path, options.rounds)
            missed = missed or median(cpus) > goal
            mark = "  MISSED" if median(cpus) > goal else ""
            print(
                f"{words:24} {median(walls):6.0f}ms {median(cpus):6.0f}ms "
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


Times = list[float]


def timed(words: list[str], path: Path, rounds: int) -> tuple[Times, Times, Times]:
    """Of each round: wall and processor milliseconds, and the ratio of the latter."""
    env = {**os.environ, "FLOWKIT_STORE": f"sqlite:///{path}"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed flowkit is compiled
    command = [sys.executable, "-m", "flowkit", *words]
    once(command, env)
    walls, cpus, ratios = [], [], []
    for _ in range(rounds):
        _, bare = once([sys.executable, "-c", "pass"], env)
        wall, cpu = once(command, env)
        walls.append(wall)
        cpus.append(cpu)
        ratios.append(cpu / bare)
    return walls, cpus, ratios


def once(command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Wall and processor milliseconds of a process."""
    used, begun = getrusage(RUSAGE_CHILDREN), perf_counter()
    subprocess.run(command, env=env, check=True, capture_output=True)
    wall, now = perf_counter() - begun, getrusage(RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return wall * 1e3, cpu * 1e3


if __name__ == "__main__":
    sys.exit(main())
