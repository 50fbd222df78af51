"""A process that starts a run and does something else: ``starter HOW URL LOG``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from flowkit import Flow, event, listen, start
from flowkit.errors import FlowkitError


def note(what: str) -> None:
    """One line of the log, outside of the store."""
    with Path(sys.argv[3]).open("a") as file:
        file.write(f"{what}\n")


class Two(Flow[dict]):
    """Two steps; the second one lasts, the first time."""

    @start()
    def first(self):
        note("first")
        return 1

    @listen(first)
    def second(self, number):
        note("second")
        if sys.argv[1] not in {"resume", "again"}:
            at_work.set()
            threading.Event().wait(20)
        return number + 1


class Asks(Flow[dict]):
    """It takes an event."""

    @start()
    def begin(self): ...

    @listen(event("go"))
    def take(self, payload):
        self.stop(payload)


at_work = threading.Event()


def main(how: str, url: str) -> None:
    """Do one thing."""
    if how == "event":
        asks = Asks(store=url)
        run = asks.start(id="r")
        while not asks.send("go", 5):
            pass
        while not run.over:
            run.wait(20)
        print(run.status, run.result)
        return
    if how == "resume":
        (run,) = Two.resume_all(store=url)
        print(run.status, run.result)
        return
    if how == "again":
        try:
            Two(store=url).start(id="r").wait(20)
        except FlowkitError as error:
            print(type(error).__name__, error)
        return
    run = Two(store=url).start(id="r")
    at_work.wait(20)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "interrupt":
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        run.wait(20)
    if how == "stay":
        print("at work", flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    Two.__module__ = Asks.__module__ = "tests.acceptance.starter"
    sys.modules["tests.acceptance.starter"] = sys.modules["__main__"]
    main(sys.argv[1], sys.argv[2])
