"""A process that moves one run and tells how it ended.

``python -m tests.acceptance.mover URL LOG BACKEND LEASE``: it kicks off run ``the-run``,
whose second step says ``here`` and waits for a line of input before it goes on.
"""

from __future__ import annotations

import sys

import anyio
import anyio.to_thread

from flowkit import Flow, listen, start
from flowkit.runtime import presence
from tests.acceptance import flows


class Held(Flow):
    """Three steps; the second one is held until it is told to go on."""

    @start()
    def one(self):
        with flows.logged(self):
            self.state["trail"] = ["one"]

    @listen(one)
    def two(self):
        with flows.logged(self):
            print("here", flush=True)
            sys.stdin.readline()
            self.state["trail"].append("two")

    @listen(two)
    def three(self):
        with flows.logged(self):
            self.state["trail"].append("three")
            return "done"


class HeldAsync(Flow):
    """The same, awaited."""

    @start()
    async def one(self):
        with flows.logged(self):
            self.state["trail"] = ["one"]

    @listen(one)
    async def two(self):
        with flows.logged(self):
            print("here", flush=True)
            await anyio.to_thread.run_sync(sys.stdin.readline)
            self.state["trail"].append("two")

    @listen(two)
    async def three(self):
        with flows.logged(self):
            self.state["trail"].append("three")
            return "done"


KINDS = {"sync": Held, "async": HeldAsync}


def main() -> None:
    """Move it to its end."""
    url, log, kind, backend, lease = sys.argv[1:]
    presence.LEASE = float(lease)
    flows.log_to(log)
    flow = KINDS[kind](store=url)
    if backend == "blocking":
        result = flow.kickoff(id="the-run")
    else:

        async def kick():
            return await flow.kickoff_async(id="the-run")

        result = anyio.run(kick, backend=backend)
    print(result)


if __name__ == "__main__":
    main()
