"""Starts ``flowkit`` as a process, in a project with a few flows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.cli.forks import Forks

ROOT = Path(__file__).parents[2]
BLOCKED = ("FLOWKIT_STORE", "NO_COLOR", "COLUMNS")

PROJECT = """\
[project]
name = "shop"

[tool.flowkit.flows]
shop = "flows:Shop"
slow = "flows:Slow"
bill = "flows:Bill"
"""

FLOWS = '''\
"""Flows of the tests."""

import os
import time
from pathlib import Path
from typing import Literal

import anyio
from pydantic import BaseModel

from flowkit import Flow, and_, event, listen, router, start


class Order(BaseModel):
    pieces: int = 1
    city: str = "Berlin"


class Shop(Flow[Order]):
    """Small orders are confirmed, large ones a person decides on, none is a fault."""

    @start()
    def price(self):
        return self.state.pieces * 4

    @router(price)
    def size(self, price) -> Literal["small", "large"]:
        if not price:
            raise ValueError("nothing to sell")
        return "large" if price > 100 else "small"

    @listen("small")
    def confirm(self):
        return f"{self.state.pieces} to {self.state.city}"

    @listen("large")
    async def ask(self):
        said = await self.ask_async("Sell?", proposal=self.state.pieces)
        return self.confirm() if said.approved else f"not sold: {said.comment}"


class Slow(Flow):
    """Its second step hangs until a file is there."""

    @start()
    def first(self):
        self.state["first"] = "done"

    @listen(first)
    async def second(self):
        print("hangs", flush=True)
        while not Path("go").exists():
            await anyio.sleep(0.01)
        return {"attempt": self.attempt}


class Bill(Flow):
    """Begins with an event and waits for another one of its key."""

    @start(on=event("ordered"))
    def order(self, payload):
        return payload["item"]

    @listen(and_(order, event("paid")))
    def ship(self, order, paid):
        if paid["amount"] < 0:
            raise ValueError("less than nothing")
        return f"{order} for {paid['amount']}"


class Question(Flow):
    """Asks for a value."""

    @start()
    async def ask(self):
        colour = await self.ask_async("Which colour?", options=["red", "blue"])
        count = await self.ask_async("How many?", answer=int)
        return f"{count} {colour}"


class Stops(Flow):
    """Ends itself as cancelled."""

    @start()
    def give_up(self):
        self.abort("no more")
'''


def environment(**more):
    """Where the library is found, as a user who has installed it."""
    kept = {key: value for key, value in os.environ.items() if key not in BLOCKED}
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return {**kept, "PYTHONPATH": paths, **more}


def made_project(folder):
    """A project with the flows above."""
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "flows.py").write_text(FLOWS)
    return folder


@cache
def _forks(*, warm):
    return Forks(environment(), warm=warm)


def flowkit(folder, *words, env=None, input="", **how):  # noqa: A002 - as in subprocess
    """One command, to its end; ``how`` as for :func:`begun`."""
    process = begun(folder, *words, env=env, **how)
    out, said = process.communicate(input)
    return subprocess.CompletedProcess(words, process.returncode, out, said)


def begun(folder, *words, env=None, fresh=False, patched=None):
    """One command, begun; read its stdout to know how far it is.

    ``fresh`` is one that imports flowkit itself; ``patched`` has other values for
    names of modules, in its process alone.
    """
    forks = _forks(warm=not fresh)
    return forks.begin(words, folder, environment(**(env or {})), patched)


def as_json(done):
    """What a command printed as JSON."""
    return json.loads(done.stdout)
