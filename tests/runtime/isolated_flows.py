"""Flows with steps in processes of their own, at the top of a module: found by name."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time

import anyio
from pydantic import BaseModel, PrivateAttr

from flowkit import Flow, Hedge, Policy, Retry, each, gather, listen, or_, router, start
from flowkit.errors import StepCrashedError

HANGS = 600
"""Seconds that no test waits."""


class Bill(BaseModel):
    """A state with fields of all kinds."""

    total: int = 0
    lines: list[str] = []
    by: dict[str, int] = {}
    _note: str = PrivateAttr("none")


class OddError(Exception):
    """Its class cannot be called with its arguments."""

    def __init__(self, text, *, code):
        super().__init__(text)
        self.code = code
        self.retry_after = 7
        self.lock = threading.Lock()


class Sums(Flow[Bill]):
    """A plain and an async step over there, one here."""

    factor = 1

    @start(isolate="process")
    def begin(self):
        print("working in", os.getpid() != self.here)
        print("and errors", file=sys.stderr)
        os.write(1, b"raw\n")
        self.state.total += 2 * self.factor
        self.state.lines.append("begin")
        self.metric("pieces", 3)
        self.emit("begun", {"by": "begin"})
        return os.getpid()

    @listen("begun")
    def heard(self, what):
        self.state.by["heard"] = 1

    @listen(begin, isolate="process")
    async def go_on(self, pid):
        await anyio.lowlevel.checkpoint()
        self.state.total *= 10
        self.state.lines.append(f"{pid != os.getpid()} {self.attempt}")
        return self.idempotency_key, self.run.id

    @router(go_on, emit=["right", "left"], isolate="process")
    def turn(self):
        return "left" if self.state.total > 10 else "right"

    @listen(or_("left", "right"))
    def done(self, label):
        return label


class Does(Flow):
    """One step, which does something odd."""

    def __init__(self, what=None, **keywords):
        super().__init__(**keywords)
        self.what = what

    @start(isolate="process", emits=["something"])
    def go(self):
        return getattr(self, f"do_{self.what}")()

    def do_raise(self):
        raise OddError("odd", code=3)

    def do_segv(self):
        ctypes.string_at(0)

    def do_leave(self):
        os._exit(7)

    def do_exit(self):
        sys.exit("no more")

    def do_kill(self):
        os.kill(os.getpid(), 9)

    def do_term(self):
        os.kill(os.getpid(), 15)

    def do_result(self):
        return threading.Lock()

    def do_state(self):
        self.state["held"] = [threading.Lock()]

    def do_emit(self):
        self.emit("something", threading.Lock())

    def do_client(self):
        return self.client

    def do_sleep(self):
        self.sleep("1s")

    def do_ask(self):
        self.ask("well?")

    def do_stop(self):
        self.stop(1)

    def do_send(self):
        return self.run.records


class Takes(Flow):
    """A step is handed what cannot go."""

    @start()
    def make(self):
        return threading.Lock()

    @listen(make, isolate="process")
    def take(self, lock):
        return lock


class Hangs(Flow):
    """Steps that say that they are there, and hang; ``how`` says where."""

    @start(isolate="process", timeout="90s", idle_timeout="60s")
    def plain(self):
        try:
            print("there", flush=True)
            while self.how == "beats":
                self.go_on()
            time.sleep(HANGS)
        finally:
            print("cleaned", flush=True)

    def go_on(self):
        with open(self.gate) as gate:  # noqa: PTH123 - a pipe
            gate.read()
        self.heartbeat()
        print("beaten", flush=True)


class AsyncHangs(Flow):
    """The same, async."""

    @start(isolate="process", timeout="90s")
    async def wait(self):
        try:
            print("there", flush=True)
            await anyio.sleep(HANGS)
        finally:
            print("cleaned", flush=True)


class Beside(Flow[Bill]):
    """Two steps at once, and one that ends the other."""

    @start()
    def begin(self):
        self.state.lines.append("begin")

    @listen(begin, isolate="process")
    def first(self):
        self.state.lines.append("same")
        self.state.by["first"] = 1
        return 1

    @listen(begin, isolate="process")
    def second(self):
        self.state.lines.append("same")
        self.state.by["second"] = 2
        return 2


class Clash(Flow[Bill]):
    """Two steps at once that write one field."""

    @start(isolate="process")
    def first(self):
        self.state.total = 1

    @start(isolate="process")
    def second(self):
        self.state.total = 2


class WrongType(Flow[Bill]):
    """A step leaves its state with a value that is none."""

    @start(isolate="process")
    def go(self):
        self.state.total = "many"


class Tries(Flow, defaults=Policy(isolate="process", retry=Retry(2, first=0))):
    """A crash is tried again; policies hold for a class and for instances."""

    @start()
    def items(self):
        if self.attempt == 1:
            os._exit(9)
        return [1, 2]

    @listen(each(items))
    def square(self, item):
        return item * item

    @listen(gather(square))
    def all(self, found):
        return found


class Slow(Flow):
    """The second of two calls is the quick one."""

    @start(isolate="process", hedge=Hedge("1s"))
    def ask(self):
        print("there", flush=True)
        try:
            os.mkdir(self.taken)  # noqa: PTH102 - the first one can
        except FileExistsError:
            self.state["by"] = "second"
            return "second"
        time.sleep(HANGS)


class Caught(Flow):
    """A crash is heard, and stood in for."""

    @start(isolate="process", fallback={StepCrashedError: "instead"})
    def crash(self):
        os._exit(1)

    @listen(crash)
    def use(self, found):
        return found
