"""A stage for the gallery's flows: time that a test moves, and a tape of what happened."""

from __future__ import annotations

import heapq
import importlib
from itertools import count
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from flowkit.runtime import signals

__all__ = ["EXAMPLES", "Stage", "example"]

EXAMPLES = {
    int(path.name[3:5]): f"examples.patterns.{path.stem}"
    for path in sorted((Path(__file__).parents[2] / "examples/patterns").glob("wcp*"))
}
"""Module names by pattern."""

SETTLED = 60
"""Turns of the event loop after which nothing moves by itself any more."""


def example(number):
    """The example file of a pattern, as a module."""
    return importlib.import_module(EXAMPLES[number])


class _Anyio:
    """What an example sees as ``anyio``: all of it, but for the time."""

    def __init__(self, stage):
        self.sleep = stage.sleep

    def __getattr__(self, name):
        return getattr(anyio, name)


class Stage:
    """Runs flows in a time of its own and notes what their steps do, and when.

    Attributes:
        now: seconds since the beginning; moves on when nothing else can.
        tape: ``(time, step, what)``, ``what`` being started, finished, failed or
            cancelled.
    """

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        self.now = 0
        self.tape = []
        self._sleepers = []
        self._numbers = count()
        self._receivers = []
        for what in ("started", "finished", "failed", "cancelled"):
            self._note(what)

    def _note(self, what):
        def receiver(_, step, **__):
            self.tape.append((self.now, step, what))

        signal = getattr(signals, f"step_{what}")
        signal.connect(receiver)
        self._receivers.append((signal, receiver))

    def close(self):
        """Hear no more."""
        for signal, receiver in self._receivers:
            signal.disconnect(receiver)

    def enter(self, what, **seconds):
        """An example, by module or number, in the stage's time, services that slow."""
        module = example(what) if isinstance(what, int) else what
        self.monkeypatch.setattr(module, "anyio", _Anyio(self), raising=False)
        for name, taken in seconds.items():
            self.monkeypatch.setitem(module.SECONDS, name, taken)
        return module

    async def sleep(self, seconds):
        """Until the stage's time has moved on so far."""
        came = anyio.Event()
        entry = self.now + seconds, next(self._numbers), came
        heapq.heappush(self._sleepers, entry)
        try:
            await came.wait()
        finally:
            if not came.is_set():
                self._sleepers.remove(entry)
                heapq.heapify(self._sleepers)

    async def play(self, flow, inputs=None):
        """Kick off and move time on until the run ends or waits; gives its run."""
        over = anyio.Event()

        async def kick_off():
            try:
                await flow.kickoff_async(inputs)
            finally:
                over.set()

        async with anyio.create_task_group() as group:
            group.start_soon(kick_off)
            while True:
                for _ in range(SETTLED):
                    await checkpoint()
                if over.is_set():
                    break
                if not self._sleepers:
                    await self._moved(over)
                    continue
                self.now, _, came = heapq.heappop(self._sleepers)
                came.set()
        return flow.run

    async def _moved(self, over):
        """Until another thread, a store's, has moved something."""
        with anyio.move_on_after(50):
            while not (self._sleepers or over.is_set()):  # noqa: ASYNC110 - threads, too
                await anyio.sleep(0.001)
            return
        raise AssertionError(f"nothing moves at {self.now}: {self.tape}")

    async def run(self, flow, inputs=None):
        """The same for a flow that has synchronous steps and takes no time."""
        await flow.kickoff_async(inputs)
        return flow.run

    def times(self, step, what="finished"):
        """When that happened to a step."""
        return [at for at, name, said in self.tape if (name, said) == (step, what)]

    def order(self, what="finished"):
        """Steps in the order in which it happened to them."""
        return [name for _, name, said in self.tape if said == what]
