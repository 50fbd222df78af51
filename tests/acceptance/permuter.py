"""Every order of wait, event, the same event again, time and kill, on a small flow.

``python -m tests.acceptance.permuter FOLDER FLOW SETTLES FIRST STEP``: each order has a database and
two processes: the first does what comes before the kill, and is killed with -9; the
second does the rest and brings the run to its end. Prints what came of each, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from itertools import permutations
from pathlib import Path

from flowkit import EventBus, Flow, and_, event, listen, start, timer
from flowkit.journal.queries import Query
from flowkit.journal.urls import open_store
from flowkit.runtime.clock import ManualClock, use_clock

ACTIONS = ("wait", "event", "again", "time", "kill")
BEGIN = 1_800_000_000.0
RUN = "the-run"


class Asks(Flow, evict_after=0.0):
    """A step that waits, at most a minute."""

    @start()
    async def one(self):
        self.state["trail"] = ["one"]

    @listen(one)
    async def two(self):
        try:
            got = await self.wait_for("go", timeout=60)
        except TimeoutError:
            self.state["trail"] = [*self.state["trail"], "time"]
            return "time"
        self.state["trail"] = [*self.state["trail"], got["word"]]
        return "event"


class Blocks(Flow, evict_after=0.0):
    """The same in a synchronous step."""

    @start()
    def one(self):
        self.state["trail"] = ["one"]

    @listen(one)
    def two(self):
        try:
            got = self.wait_for("go", timeout=60)
        except TimeoutError:
            self.state["trail"].append("time")
            return "time"
        self.state["trail"].append(got["word"])
        return "event"


class Listens(Flow, evict_after=0.0):
    """A listener of the event, and one of a time; the first ends the run."""

    @start()
    def one(self):
        self.state["trail"] = ["one"]

    @listen(and_(one, event("go")))
    async def took(self):
        self.state["trail"].append("event")
        self.stop("event")

    @listen(timer(after=one, delay=60))
    def late(self):
        self.state["trail"].append("time")
        self.stop("time")


KINDS = {"asks": Asks, "blocks": Blocks, "listens": Listens}


class Life:
    """A process that does some of the actions."""

    def __init__(self, kind: str, url: str, at: float, settles: bool) -> None:
        self.cls = KINDS[kind]
        self.url = url
        self.settles = settles
        self.clock = ManualClock(at)
        use_clock(self.clock)
        self.bus = EventBus(store=url)
        self.bus.declare("go", dict)
        self.bus.register(self.cls)

    def act(self, action: str) -> None:
        """Do one, and all that follows of it if this life settles."""
        if action == "wait":
            self.cls(store=self.url).kickoff(id=RUN)
        elif action == "time":
            self.clock.advance(100.0)
        else:
            self.bus.send("go", {"word": "event"}, id="e1")
        if self.settles:
            self.settle()

    def settle(self) -> None:
        """What is due or has an event goes on."""
        self.bus.drain()
        self.cls.resume_all(store=self.url)
        self.bus.drain()


def outcome(kind: str, url: str) -> dict:
    """What a database says of its run."""
    store = open_store(url)
    rows = store.runs(Query())
    kinds = [each.kind for each in store.entries(RUN)]
    return {
        "runs": [
            (row.id, row.status, json.loads(row.result or "null")) for row in rows
        ],
        "state": rows[0].state,
        "taken": kinds.count("event") + kinds.count("answer") + kinds.count("timer"),
        "ends": kinds.count("stop") + kinds.count("done"),
        "letters": len(store.letters(RUN)),
        "kept": len(store.kept()),
        "waits": len(store.waits(run=RUN)),
    }


def in_life(work, folder: Path) -> int:
    """A child that does it; it ends with 0."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        with (folder / "errors").open("a") as file:
            traceback.print_exc(file=file)
    finally:
        os._exit(code)


def played(order: tuple[str, ...], kind: str, settles: bool, folder: Path) -> dict:
    """One order."""
    url = f"sqlite:///{folder}/{'-'.join(order)}.db?synchronous=normal"
    place = order.index("kill")
    done, told = os.pipe()
    at = BEGIN + 100.0 * ("time" in order[:place])

    def first() -> None:
        life = Life(kind, url, BEGIN, settles)
        for action in order[:place]:
            life.act(action)
        os.write(told, b"x")
        signal.pause()

    def second() -> None:
        life = Life(kind, url, at, settles)
        life.settle()
        for action in order[place + 1 :]:
            life.act(action)
        life.settle()
        (folder / "outcome").write_text(json.dumps(outcome(kind, url)))

    pid = in_life(first, folder)
    os.close(told)
    came = os.read(done, 1)
    os.close(done)
    if came:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pid = in_life(second, folder)
    _, status = os.waitpid(pid, 0)
    if status or not came:
        return {"error": (folder / "errors").read_text()}
    return json.loads((folder / "outcome").read_text())


def main() -> None:
    """All orders, or some of them."""
    folder, kind, settles = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "settles"
    orders = list(permutations(ACTIONS))[int(sys.argv[4]) :: int(sys.argv[5])]
    found = {" ".join(order): played(order, kind, settles, folder) for order in orders}
    print(json.dumps(found))


if __name__ == "__main__":
    import asyncio  # noqa: F401 - loaded before the first fork

    import apsw  # noqa: F401 - the same

    import flowkit.journal.sqlite.store
    import flowkit.runtime.opening
    import flowkit.runtime.runner
    import flowkit.runtime.verbs  # noqa: F401 - the same

    main()
