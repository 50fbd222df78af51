from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

HEAD = """
import asyncio, sys, threading, time
import anyio
from flowkit import Flow, and_, listen, start

def ready():
    print("ready", flush=True)

class Inline(Flow):
    @start()
    def work(self):
        self.state["partial"] = 1
        ready()
        while True:
            time.sleep(0.01)

class Sleeper(Flow):
    @start()
    async def work(self):
        try:
            ready()
            await anyio.sleep_forever()
        finally:
            print("joined", flush=True)

class Threads(Flow):
    @start()
    def one(self):
        while True:
            time.sleep(0.01)

    @start()
    def two(self):
        ready()
        while True:
            time.sleep(0.01)

class Mixed(Flow):
    @start()
    async def one(self):
        try:
            await anyio.sleep_forever()
        finally:
            print("joined", flush=True)

    @start()
    def two(self):
        ready()
        while True:
            time.sleep(0.01)

class Busy(Flow):
    @start()
    async def work(self):
        ready()
        while True:
            pass

class Loops(Flow):
    max_method_calls = 10**9

    @start()
    async def begin(self):
        ready()

    @listen(begin)
    async def work(self):
        while True:
            await anyio.lowlevel.checkpoint()

def report(flow, kick):
    try:
        kick()
    except BaseException as error:
        print(type(error).__name__, flow.run.status, flow.run.over, flow.state.get("partial"))
        raise
    print("came back")
"""

CASES = {
    "an inline loop": "flow = Inline(); report(flow, flow.kickoff)",
    "an async step": "flow = Sleeper(); report(flow, flow.kickoff)",
    "two threads": "flow = Threads(); report(flow, flow.kickoff)",
    "a thread beside an async step": "flow = Mixed(); report(flow, flow.kickoff)",
    "a busy async step": "flow = Busy(); report(flow, flow.kickoff)",
    "an async loop": "flow = Loops(); report(flow, flow.kickoff)",
    "an async step on trio": """
        class OnTrio(Sleeper, backend="trio"):
            pass
        flow = OnTrio(); report(flow, flow.kickoff)""",
    "two threads on trio": """
        class OnTrio(Threads, backend="trio"):
            pass
        flow = OnTrio(); report(flow, flow.kickoff)""",
    "a busy step on trio": """
        class OnTrio(Busy, backend="trio"):
            pass
        flow = OnTrio(); report(flow, flow.kickoff)""",
    "asyncio.run": "flow = Sleeper(); report(flow, lambda: asyncio.run(flow.kickoff_async()))",
    "asyncio.run of threads": """
        class Quiet(Threads):
            @start()
            def two(self):
                flow.loop.call_soon_threadsafe(ready)
                while True:
                    time.sleep(0.01)
        flow = Quiet()
        async def main():
            flow.loop = asyncio.get_running_loop()
            await flow.kickoff_async()
        report(flow, lambda: asyncio.run(main()))""",
    "anyio.run on trio": "flow = Mixed(); report(flow, lambda: anyio.run(flow.kickoff_async, backend='trio'))",
    "kickoff in a running loop": """
        flow = Sleeper()
        async def main():
            flow.kickoff()
        report(flow, lambda: asyncio.run(main()))""",
    "kickoff of a sync step in a running loop": """
        flow = Inline()
        async def main():
            flow.kickoff()
        report(flow, lambda: asyncio.run(main()))""",
}
JOINED = {
    "an async step",
    "a thread beside an async step",
    "an async step on trio",
    "asyncio.run",
    "anyio.run on trio",
    "kickoff in a running loop",
}
PARTIAL = {"kickoff of a sync step in a running loop"}


def settled(pid):
    """Wait until the process sleeps in its step, at most a moment if it is busy.

    A signal between two lines of an event loop's own code is Python's race, not ours.
    """
    status = Path(f"/proc/{pid}/stat")
    for _ in range(50):
        time.sleep(0.01)
        if status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "S":
            return


@pytest.mark.parametrize("case", CASES)
def test_a_real_ctrl_c_ends_the_process_promptly(case):
    """As KeyboardInterrupt, with the run cancelled and no partial write."""
    program = HEAD + textwrap.dedent(CASES[case])
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        settled(process.pid)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGINT, err
    lines = out.splitlines()
    assert lines[0] == ("joined" if case in JOINED else lines[-1])
    if case in PARTIAL:  # its thread cannot be cancelled; the process ends with it
        assert lines[-1] == "KeyboardInterrupt running False 1"
    else:
        assert lines[-1] == "KeyboardInterrupt cancelled True None"
    lines = err.rstrip().splitlines()
    if "asyncio.run" in case or "kickoff" in case:  # raised by asyncio itself
        assert lines[-1].startswith("KeyboardInterrupt")
    else:
        assert lines[-2].startswith("KeyboardInterrupt")
        found = re.fullmatch(
            r"flowkit: KeyboardInterrupt while (\w+\.\w+ \(<string>:\d+\)( and )?)+ "
            r"(was|were) running; run [-0-9a-f]{36} is cancelled\.",
            lines[-1],
        )
        assert found, lines[-1]
    assert "Exception ignored" not in err
    assert "never awaited" not in err
