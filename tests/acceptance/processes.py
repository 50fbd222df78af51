"""Starts the processes that these tests kill, stop and let race."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.acceptance import flows
from tests.conftest import PROVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
SECONDS = 40.0
"""How long a test waits for a process before it fails."""


def started(*arguments: str, **more: Any) -> subprocess.Popen[str]:
    """A Python process with the tests on its path; it talks by its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        **more,
    )


@contextmanager
def child(*arguments: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the block, stopped or not."""
    with started(*arguments, **more) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.communicate()


def until(holds: Callable[[], Any], what: str) -> Any:
    """What it gives once that is true."""
    end = time.monotonic() + SECONDS
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < end, what
        time.sleep(0.01)


def killed(plans: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """Reports of killers that work side by side."""
    killers = [
        started(
            "-m", "tests.acceptance.killer", json.dumps({**plan, "seconds": seconds})
        )
        for plan in plans
    ]
    reports = []
    for plan, killer in zip(plans, killers, strict=True):
        told, errors = killer.communicate(timeout=seconds + 60)
        assert killer.returncode == 0, errors
        report = json.loads(told.splitlines()[-1])
        assert report["faults"] == [], (plan, report["faults"])
        reports.append(report)
    return reports


__all__ = ["PROVE", "ROOT", "child", "flows", "killed", "started", "until"]
