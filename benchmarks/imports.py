"""Import time of flowkit against its two light dependencies."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from statistics import median

from benchmarks.timing import Row

GUARD = 1.5


def import_ratio(rounds: int) -> Row:
    """``import flowkit`` against ``import anyio, blinker``, less the bare start."""
    figures: dict[str, list[float]] = {}
    for _ in range(rounds):
        for code in ("pass", "import anyio, blinker", "import flowkit"):
            figures.setdefault(code, []).append(_started(code))
    bare, floor, here = (median(each) for each in figures.values())
    ratio = (here - bare) / (floor - bare)
    return Row(
        "import flowkit",
        (here - bare) * 1e6,
        (floor - bare) * 1e6,
        ratio,
        GUARD,
        "1.5x anyio, blinker",
        ratio > GUARD,
    )


def _started(code: str) -> float:
    """Processor seconds of a fresh interpreter, which a busy machine leaves alone."""
    usual = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env=usual)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
