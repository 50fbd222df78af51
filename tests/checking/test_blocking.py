"""Calls in async steps that stop the loop: those, and no others."""

from __future__ import annotations

import os
import pathlib
import socket
import sqlite3
import subprocess
import sys
import time
import types
import urllib.request
from time import sleep as nap

import anyio

from flowkit import Flow, start
from flowkit.checking import faults_of_flow
from flowkit.checking.blocking import blocking_calls


def names(function):
    return [each.name for each in blocking_calls(function)]


def test_a_blocking_call_is_told_with_its_line_and_a_cure() -> None:
    """As a hint."""

    class Naps(Flow):
        @start()
        async def nap(self):
            if self.state.get("long"):
                time.sleep(3)

    (fault,) = faults_of_flow(Naps)
    line = Naps.nap.__code__.co_firstlineno + 3
    assert fault == (
        "hint",
        "nap",
        (
            "Naps.nap is async and calls time.sleep(), which stops the event loop and every "
            "run on it. Use `await anyio.sleep(..)`, or `await self.sleep(..)`, or make the "
            f"step synchronous: it runs in a thread then. (test_blocking.py:{line})"
        ),
        "Naps",
        __file__,
        line,
    )


async def many(self):
    nap(1)
    subprocess.run(["ls"])
    os.system("ls")
    open("x").read()
    with open("y") as file:
        file.read()
    urllib.request.urlopen("http://localhost")
    socket.create_connection(("localhost", 1))
    sqlite3.connect(":memory:")
    pathlib.Path("x").read_text()
    input("?")
    self.ask("really?")
    from subprocess import check_output as out

    out(["ls"])


def test_names_are_followed_to_what_they_stand_for() -> None:
    """Whatever they are called here."""
    assert names(many) == [
        "nap",
        "subprocess.run",
        "os.system",
        "open",
        "open",
        "urllib.request.urlopen",
        "socket.create_connection",
        "sqlite3.connect",
        "pathlib.Path('x').read_text",
        "input",
        "self.ask",
        "out",
    ]


async def none(self, open, get):
    await anyio.sleep(1)
    await anyio.to_thread.run_sync(time.sleep, 1)
    await anyio.to_thread.run_sync(lambda: time.sleep(1))
    open("x")
    get("y")
    self.client.get("z")
    self.path.read_text()

    def later():
        nap(1)

    await anyio.to_thread.run_sync(later)
    await anyio.open_file("x")
    await self.ask_async("really?")


async def local(self):
    time = self.clock
    time.sleep(1)


def test_what_only_looks_like_it_is_not_told() -> None:
    """Parameters, locals, methods, functions for a thread, awaited calls."""
    assert names(none) == []
    assert names(local) == []


async def renamed(self):
    nap(1)


def test_another_name_hides_nothing() -> None:
    """A step in which only the new name stands."""
    assert names(renamed) == ["nap"]


def test_clients_are_known_where_they_are_loaded(monkeypatch) -> None:
    """``requests`` and ``httpx``, by the functions of the module."""
    requests = types.ModuleType("requests")
    requests.get = requests.post = lambda url: url
    monkeypatch.setitem(sys.modules, "requests", requests)

    async def fetch(self):
        requests.get("x")
        import requests as web

        web.post("y")

    assert names(fetch) == ["web.post"] or names(fetch) == ["requests.get", "web.post"]


def test_a_kickoff_of_another_flow_is_told() -> None:
    """And one of its own."""

    class Inner(Flow):
        @start()
        def begin(self): ...

    class Outer(Flow):
        @start()
        async def begin(self):
            Inner().kickoff()
            self.kickoff()
            await Inner().kickoff_async()

    assert names(Outer.begin) == ["Inner().kickoff", "self.kickoff"]


def test_a_sync_step_may_block() -> None:
    """It runs in a thread."""

    class Naps(Flow):
        @start()
        def nap(self):
            time.sleep(3)

    assert faults_of_flow(Naps) == []


def test_a_step_without_source_is_left_alone() -> None:
    """Typed in, or made by exec."""
    made = {"time": time}
    exec("async def step(self):\n    time.sleep(1)", made)
    assert blocking_calls(made["step"]) == []
