"""A process that kicks off many runs, each at its time by the clock.

``python -m tests.acceptance.racer URL FORM BACKEND``: the form is ``id`` or ``state``. It
reads the time of the first one from its input and tells what became of each, as JSON.
"""

from __future__ import annotations

import json
import sys
import time

import anyio

from flowkit import Flow, listen, start

RUNS = 40
APART = 0.012


class Quick(Flow):
    """Two steps."""

    @start()
    def one(self):
        self.state["begun"] = self.state.get("begun", 0) + 1

    @listen(one)
    def two(self):
        return self.state["begun"]


def main() -> None:
    """All runs."""
    url, form, backend = sys.argv[1:]
    told = []
    Quick(store=url).kickoff(id=f"warm-{time.time()}")
    print("ready", flush=True)
    first = float(sys.stdin.readline())
    for number in range(RUNS):
        name = f"run-{number}"
        given = ({"id": name}, None) if form == "state" else (None, name)
        flow = Quick(store=url)
        while time.time() < first + number * APART:
            pass
        try:
            if backend == "blocking":
                result = flow.kickoff(given[0], id=given[1])
            else:

                async def kick(flow=flow, given=given):
                    return await flow.kickoff_async(given[0], id=given[1])

                result = anyio.run(kick, backend=backend)
        except Exception as error:
            told.append(f"{type(error).__name__}: {error}")
        else:
            told.append(result)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
