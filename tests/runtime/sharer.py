"""A process whose runs share places with those of another: ``sharer.py URL LOG WHAT``.

Each run writes a line to the log when it is inside, and one before it leaves. WHAT is
``bulkhead`` or ``admission``; with a fourth argument it stays inside until it is killed.
"""

from __future__ import annotations

import os
import sys
import threading

import anyio

from flowkit import Admission, Bulkhead, Flow, start

RUNS = 8
URL, LOG, WHAT, *STAYS = sys.argv[1:] if len(sys.argv) > 3 else ("", "", "")
OPTIONS = {"admission": Admission(2, shared="store")} if WHAT == "admission" else {}
LIMITS = {"bulkhead": Bulkhead(2, name="two", shared="store")}


def say(text: str) -> None:
    """Append a line; who comes first stands first, from whatever process."""
    number = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(number, text.encode() + b"\n")
    os.close(number)


class Shares(Flow[dict], **OPTIONS):
    """One step that is inside for a while."""

    @start(**({} if WHAT == "admission" else LIMITS))
    def work(self):
        say("+")
        if STAYS:
            print("inside", flush=True)
            threading.Event().wait()
        threading.Event().wait(0.002)
        say("-")


async def main() -> None:
    """Side by side, all of them."""
    async with anyio.create_task_group() as group:
        for _ in range(RUNS):
            group.start_soon(Shares(store=URL).kickoff_async)


if __name__ == "__main__":
    if STAYS:
        Shares(store=URL).kickoff()
    else:
        anyio.run(main)
