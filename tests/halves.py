"""Runs the whole suite as two processes beside each other: ``python -m tests.halves``.

What starts processes of its own (kills, races, the command line) is one half, all else
the other. Each has its own output, told one after the other; the exit code is that of
the first half that failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APART = ("tests/acceptance", "tests/cli", "tests/patterns", "tests/docs")


def main() -> int:
    """Run both; ``-q`` and the like are handed to each."""
    given = sys.argv[1:]
    rest = [f"--ignore={each}" for each in APART]
    halves = ([*rest, *given], [*APART, *given])
    with tempfile.TemporaryFile("w+", encoding="utf-8") as kept:
        second = _begun(halves[1], kept)
        first = _begun(halves[0], None)
        codes = [first.wait(), second.wait()]
        kept.seek(0)
        for line in kept:
            sys.stdout.write(line)
    return next((code for code in codes if code), 0)


def _begun(arguments: list[str], output: object) -> subprocess.Popen[bytes]:
    # Whoever runs this in the background has Ctrl-C ignored, which tests are about.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


if __name__ == "__main__":
    sys.exit(main())
