"""A process that accepts five events and begins one run: ``liner.py URL``."""

from __future__ import annotations

import os
import sys
import threading

from flowkit import Admission, EventBus, Flow, event, start


class Lined(Flow[dict], admission=Admission(1, queue=10)):
    """In the process that is killed, the first one never ends."""

    done: list = []

    @start(event("lined"))
    def work(self, payload: int):
        if os.environ.get("LINER"):
            print("inside", flush=True)
            threading.Event().wait()
        self.done.append(payload)


if __name__ == "__main__":
    from tests.runtime.liner import Lined as Named  # by the name others know it by

    with EventBus(store=sys.argv[1]) as bus:
        bus.register(Named)
        for number in range(5):
            assert bus.send("lined", number)
        print("accepted", flush=True)
        threading.Event().wait()
