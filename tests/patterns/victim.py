"""Runs a pattern's flow and hangs in its n-th service call, to be killed there.

``python -m tests.patterns.victim NUMBER URL CALL``
"""

from __future__ import annotations

import sys

import anyio

from tests.patterns.cases import RUNS
from tests.patterns.stage import example


class Hanging:
    """What the example sees as ``anyio``: one of its sleeps never ends."""

    def __init__(self, call):
        self.left = call

    async def sleep(self, seconds):
        """Gone at once, or never."""
        self.left -= 1
        if not self.left:
            print("in the service", flush=True)
            await anyio.sleep_forever()

    def __getattr__(self, name):
        return getattr(anyio, name)


def main():
    """The process to kill."""
    number, url, call = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    module, (name, inputs) = example(number), RUNS[number]
    module.anyio = Hanging(call)
    getattr(module, name)(store=url).kickoff(inputs, id="r")


if __name__ == "__main__":
    main()
