"""``flowkit dev``."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from flowkit.cli import options, output
from flowkit.cli.project import project

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dev"]

PATIENCE = 2.0
"""Seconds a run has to end before it is killed."""


def dev(
    target: str,
    /,
    *,
    input: options.Inputs = None,
    data: options.Data = None,
    store: options.Store = "memory:",
) -> int:
    """Run a flow again whenever a file changes.

    Each run is a process of its own, kept in memory only unless --store is given;
    one that still runs when a file changes is ended first. Ctrl-C ends it all.

    Args:
        target: A flow: module:Class, a file, or a name under [tool.flowkit.flows].
    """
    from watchfiles import PythonFilter, watch

    words = [target, "--store", store or "memory:"]
    for each in input or ():
        words += ["-i", each]
    if data is not None:
        words += ["-d", data]
    root = project().root
    files = PythonFilter(extra_extensions=(".json", ".toml", ".yaml", ".yml"))
    child = _begun(words)
    try:
        for changes in watch(root, watch_filter=files, raise_interrupt=True):
            names = sorted({path.rpartition("/")[2] for _, path in changes})
            _end(child)
            output.say(output.paint(f"-- {', '.join(names)}", "dim", sys.stderr))
            child = _begun(words)
    finally:
        _end(child)
    return 0


def _begun(words: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "flowkit", "run", *words]
    return subprocess.Popen(command)  # noqa: S603 - the user's own words


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGINT)
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
