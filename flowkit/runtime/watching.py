"""A run that somebody reads: it rings whenever there is more to be read.

Reading is pulling: a reader takes what it wants from the run's records, at its own
pace. The run never waits for it, keeps nothing for it, and is told of nobody: only
while it is watched its class is another one, so that other runs pay nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from flowkit.runtime.items import tell
from flowkit.runtime.run import Run
from flowkit.runtime.values import MISSING, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.marking import Firing
    from flowkit.core.records import Record

__all__ = ["Bell", "LoopBell", "StreamedRun", "watch"]

_lock = threading.Lock()


class StreamedRun(Run):
    """A run with readers.

    Attributes:
        bells: rung when there is more.
        shown: how many records may be read: those whose state is kept.
        values: the new values of the fields that a record changed, by its index.
        joined: the runs that its steps have called since somebody reads it: firing,
            id, and the run itself if it is in memory only.
    """

    bells: list[Callable[[], None]]
    shown: int
    values: dict[int, dict[str, Any]]
    joined: list[tuple[int, str, Run | None]]

    # A reader may leave at any time, and the run's class with it: what is called here
    # is named in full.

    def call(self) -> None:
        """There is more to be read: ring every bell."""
        if self.journal is None:
            StreamedRun.show(self)
        for bell in [*self.bells]:
            bell()

    def show(self) -> None:
        """Keep what the latest records changed, before the state goes on."""
        records = self.records
        for index in range(self.shown, len(records)):
            changed = getattr(records[index], "changed", ())
            if changed:
                fields = self.box.committed()
                self.values[index] = {
                    name: snapshot(fields[name])
                    for name in changed
                    if fields.get(name, MISSING) is not MISSING
                }
        self.shown = len(records)

    def apply(self, record: Record) -> None:
        """As of every run."""
        Run.apply(self, record)
        if self.journal is None:
            StreamedRun.call(self)

    def finish(self, firing: Firing, output: Any) -> None:
        """As of every run."""
        Run.finish(self, firing, output)
        if self.journal is None:
            StreamedRun.call(self)

    def act(self, commands: Sequence[Command]) -> None:
        """With a journal: what was decided on a record that is durable now."""
        Run.act(self, commands)
        if self.journal is not None:
            StreamedRun.call(self)

    def settle_end(self) -> None:
        """As of every run."""
        Run.settle_end(self)
        StreamedRun.call(self)


def watch(run: Run, bell: Callable[[], None]) -> Callable[[], None]:
    """Have a bell rung when there is more to be read; gives what ends that."""
    with _lock:
        if not isinstance(run, StreamedRun):
            run.__dict__.update(bells=[], shown=len(run.records))
            run.__dict__.setdefault("values", {})  # a former reader's
            run.__dict__.setdefault("joined", [])
            run.mention = partial(tell, run)
            run.__class__ = StreamedRun
        streamed: Any = run
        streamed.bells.append(bell)
    if run.children is not None:
        for firing, calls in [*run.children.runs.items()]:
            for child in [*calls.values()]:
                join(run, firing, child)

    def leave() -> None:
        with _lock:
            with suppress(ValueError):
                streamed.bells.remove(bell)
            if not streamed.bells:
                run.__class__ = Run
                run.mention = None

    return leave


def join(run: Run, firing: int, child: Run) -> None:
    """A run that is read has called another one: its readers read that, too."""
    if child.__dict__.get("caller_read") is run:
        return
    child.__dict__["caller_read"] = run

    def ring() -> None:
        bells = [*run.__dict__.get("bells", ())]
        for bell in bells:
            bell()
        if child.told or not bells:
            child.__dict__.pop("caller_read", None)
            leave()

    leave = watch(child, ring)
    kept = child if child.journal is None else None
    run.__dict__["joined"].append((firing, child.id, kept))
    ring()


class Bell:
    """Wakes a thread that waits for more."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """Wake it, from any thread."""
        self._rung.set()

    def wait(self, timeout: float | None = None) -> None:
        """Block until it was rung since the last time; or so many seconds."""
        self._rung.wait(timeout)
        self._rung.clear()


class LoopBell:
    """Wakes a task that waits for more. Made in its event loop."""

    def __init__(self) -> None:
        from flowkit.runtime.loops import loop_caller

        self._soon = loop_caller()
        self._rung: deque[None] = deque(maxlen=1)
        self._come: Callable[[], None] | None = None

    def ring(self) -> None:
        """Wake it, from any thread."""
        if not self._rung:
            self._rung.append(None)
            with suppress(RuntimeError):  # the loop is gone, and the reader with it
                self._soon(self._wake)

    def _wake(self) -> None:
        if self._come is not None:
            self._come()

    async def wait(self, most: float | None = None) -> None:
        """Wait until it was rung since the last time; or so many seconds."""
        import anyio  # a loop runs, so it is there

        from flowkit.runtime.loops import one_time_event

        self._come, rung = one_time_event()
        try:
            if not self._rung:
                with anyio.move_on_after(most):
                    await rung()
        finally:
            self._come = None
        self._rung.clear()
