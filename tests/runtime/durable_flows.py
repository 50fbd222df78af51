"""Flows of test_durable_stores.py; run as a module, one of them in a process to kill.

``python -m tests.runtime.durable_flows URL BACKEND``: kicks off ``Three`` as run
``r``; its second step says so and hangs.
"""

from __future__ import annotations

import sys

import anyio
import anyio.lowlevel
from pydantic import BaseModel

from flowkit import Flow, and_, event, listen, router, start, timer

RAN: list[str] = []
"""What ran in this process."""

HANGS = False


def ran(step: str) -> str:
    """Note it; in the process to kill the second step goes no further."""
    RAN.append(step)
    if HANGS:
        print(step, flush=True)
        if step == "two":
            sys.stdin.read()
    return step


class Count(BaseModel):
    """A typed state."""

    n: int = 0
    seen: list[str] = []


class Three(Flow[Count]):
    """Three steps, the second of which is interrupted."""

    @start()
    def one(self):
        self.state.n += 1
        return ran("one")

    @listen(one)
    def two(self, before):
        self.state.seen.append(before)
        ran("two")
        return self.attempt, self.idempotency_key

    @listen(two)
    def three(self, before):
        self.state.n += 1
        ran("three")
        return [*before, self.state.n, self.state.seen]


class Forked(Flow[dict]):
    """Parallel steps, a join, a router."""

    @start()
    async def begin(self):
        return 1

    @listen(begin)
    async def left(self, n):
        await anyio.lowlevel.checkpoint()
        self.state["left"] = n

    @listen(begin)
    def right(self, n):
        self.state["right"] = n + 1

    @router(and_(left, right), emit=["small", "large"])
    def choose(self):
        total = self.state["left"] + self.state["right"]
        return "small" if total < 10 else "large"

    @listen("large")
    def many(self):
        return "large"

    @listen("small")
    async def few(self):
        return ("small", self.state["left"], self.state["right"])


class Naps(Flow[dict], evict_after="60s"):
    """A sleep in an async step, and one in a sync step."""

    @start()
    async def first(self):
        await self.sleep("10s")
        return "slept"

    @listen(first)
    def second(self, before):
        self.sleep("20s")
        return f"{before} twice"


class Long(Flow[dict], evict_after="60s"):
    """A step that waits longer than a step may wait in memory."""

    @start()
    async def ask(self):
        RAN.append("ask")
        found = await self.wait_for("told", key="k", timeout="2h")
        self.state["found"] = found
        return found


class Waits(Flow[dict]):
    """Begun by an event; waits for two more in a step, and for one as a trigger."""

    @start(on=event("order", key="no"))
    async def begin(self, order):
        self.state["no"] = order["no"]
        name, paid = await self.wait_any("paid", "refused", key=order["no"])
        return [name, paid]

    @listen(event("sent", key="no"))
    def send(self, sent):
        return [*self.method_outputs[0], sent["by"]]


class Late(Flow[dict]):
    """A timer as a trigger."""

    @start()
    def begin(self):
        return "begun"

    @listen(timer("90s", after=begin))
    def late(self):
        return "late"


class Open(Flow[dict]):
    """Takes as many events as there come."""

    @start(on=event("begin"))
    def begin(self):
        return 0

    @listen(event("more"))
    def more(self, number):
        return number


def main() -> None:
    """The process that is killed."""
    url, backend = sys.argv[1:]
    from tests.runtime import durable_flows as named

    named.HANGS = True
    flow = named.Three(store=url)
    if backend == "blocking":
        flow.kickoff(id="r")
        return
    anyio.run(lambda: flow.kickoff_async(id="r"), backend=backend)


if __name__ == "__main__":
    main()
