"""Import time of flowkit against its two light dependencies."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from statistics import median

from benchmarks.timing import Row

GUARD = 1.5


FLOOR = "import anyio, blinker"
IMPORT = "import flowkit"
FIRST = """
from flowkit import Flow, start
class First(Flow):
    @start()
    def only(self): ...
First().kickoff()
"""


def import_rows(rounds: int, only: str = "") -> list[Row]:
    """What a process pays before its first step, less the bare start.

    The engine loads with the first run, so the import alone does not tell it all.
    """
    cases = {
        "import flowkit": (IMPORT, GUARD, "1.5x anyio, blinker"),
        "import, first class and first kickoff": (FIRST, None, "-"),
    }
    chosen = {title: case for title, case in cases.items() if only in title}
    if not chosen:
        return []
    codes = ("pass", FLOOR, *(code for code, _, _ in chosen.values()))
    figures: dict[str, list[float]] = {code: [] for code in codes}
    for _ in range(rounds):
        for code in codes:
            figures[code].append(_started(code))
    bare, floor = median(figures["pass"]), median(figures[FLOOR])
    rows = []
    for title, (code, guard, goal) in chosen.items():
        here = median(figures[code])
        ratio = (here - bare) / (floor - bare)
        missed = guard is not None and ratio > guard
        spent = (here - bare) * 1e6, (floor - bare) * 1e6
        rows.append(Row(title, *spent, ratio, guard, goal, missed))
    return rows


def _started(code: str) -> float:
    """Processor seconds of a fresh interpreter, which a busy machine leaves alone."""
    usual = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env=usual)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
