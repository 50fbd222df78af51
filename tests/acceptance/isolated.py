"""A script with a step in a process of its own, to be killed in the middle of it.

``python -m tests.acceptance.isolated STORE FOLDER``: begins or resumes one run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from flowkit import Flow, listen, resume, runs, start

__all__ = ["Work"]


def note(flow, text: str) -> None:
    """A line in a log beside the store."""
    with Path(flow.state["folder"], "log").open("a", encoding="utf-8") as log:
        log.write(f"{text}\n")


class Work(Flow):
    """Two steps in processes of their own; the first life ends in the second."""

    @start(isolate="process")
    def first(self):
        note(self, "first")
        self.state["first"] = "done"
        return 1

    @listen(first, isolate="process")
    def second(self, number):
        note(self, "second")
        if Path(self.state["folder"], "quick").exists():
            return number + 1
        begun = subprocess.Popen(["sleep", "600"])
        print("busy", os.getpid(), begun.pid, flush=True)
        sum(iter(int, 1))  # in C, where no other thread of the process has a turn


def main() -> None:
    """Begin, or go on with what is there."""
    store, folder = sys.argv[1:]
    if runs.list(store=store):
        print("result", resume("one", store=store), flush=True)
    else:
        Work(store=store).kickoff({"folder": folder}, id="one")


if __name__ == "__main__":
    main()
