"""The handle of a run: what users read of it, and its outcome."""

from __future__ import annotations

import threading
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from flowkit.core.records import StepFinished
from flowkit.runtime.clock import now
from flowkit.runtime.descriptors import lazy
from flowkit.runtime.ids import run_id

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable
    from typing import Self

    from flowkit.core.marking import Marking
    from flowkit.core.net import Net
    from flowkit.core.records import Record
    from flowkit.runtime.people import HumanFeedbackPending
    from flowkit.runtime.progress import Progress
    from flowkit.runtime.state import StateBox

__all__ = ["Handle"]

LOOK = 0.05
"""Seconds after which :meth:`Handle.wait` sees that a run waits in its thread."""


class Handle:
    """What a run shows of itself. How it is moved is :class:`Run`'s."""

    if TYPE_CHECKING:
        net: Net
        marking: Marking
        records: list[Record]
        failures: list[BaseException]
        box: StateBox
        pending: deque[Any]
        lost: BaseException | None
        over: bool
        lifetime: float | None
        journal: Any

    first: Callable[[], Marking] | None = None
    active: bool = False
    told: bool = False
    awaited: bool = False
    unheard: list[str] | None = None
    patience: float = 60.0
    until: float | None = None
    admission: Any = None
    last: Any = None
    interrupt: BaseException | None = None
    _group: BaseExceptionGroup[BaseException] | None = None
    _id: str | None = None

    pauses: lazy[dict[int, HumanFeedbackPending]] = lazy(dict)
    watchers: lazy[list[Callable[[Self], None]]] = lazy(list)

    def __repr__(self) -> str:
        name = self.net.definition.name
        return f"<Run of {name}: {self.status}, {len(self.records)} records>"

    @property
    def id(self) -> str:
        """36 characters, a UUID in version 7; made when first asked for."""
        if self._id is None:
            self._id = run_id(now())
        return self._id

    @property
    def status(self) -> str:
        """``running waiting completed failed cancelled compensated expired``."""
        return self.marking.status

    @property
    def result(self) -> Any:
        """The last completed output, or what ``stop`` was given."""
        return self.last

    @property
    def state(self) -> Any:
        """The flow's state."""
        return self.box.live

    @property
    def outputs(self) -> list[Any]:
        """Outputs of the finished steps in the order they ended, as a new list."""
        return [
            record.output for record in self.records if type(record) is StepFinished
        ]

    @property
    def history(self) -> list[tuple[str, str, float]]:
        """``(step, outcome, time)`` of every step that ended, in order."""
        from flowkit.runtime.recount import history_of  # asked rarely

        return history_of(self)

    @property
    def progress(self) -> list[Progress]:
        """How far each open group is, outermost first."""
        from flowkit.runtime.progress import progress_of  # asked rarely

        return progress_of(self.marking)

    @property
    def awaits(self) -> tuple[str, ...]:
        """Names of the events a waiting run waits for."""
        from flowkit.runtime.expected import awaited_by  # asked rarely

        return awaited_by(self)

    @property
    def degraded(self) -> tuple[str, ...]:
        """Steps whose result is a fallback's, in the order they ended."""
        from flowkit.runtime.recount import degraded_of  # asked rarely

        return degraded_of(self)

    @property
    def failure(self) -> BaseException | None:
        """What the run has failed with, None if it has not.

        The first failure, or all of them as a group where ``on_error="collect"``
        asks for that. A run that went on in spite of failures has none.
        """
        return self.failed_with(self.failures)

    def failed_with(self, failures: list[BaseException]) -> BaseException | None:
        """What the run has failed with, if these are its failures."""
        if not failures or self.status == "completed":
            return None
        if self.net.definition.on_error == "collect" and self.status == "failed":
            known = () if self._group is None else self._group.exceptions
            if self._group is None or len(known) != len(failures):
                count, name = len(failures), self.net.definition.name
                said = "a step" if count == 1 else f"{count} steps"
                self._group = BaseExceptionGroup(f"{said} of {name} failed", failures)
            return self._group
        return failures[0]

    def wants(self, name: str, key: str | None, at: float = inf, but: int = 0) -> bool:
        """Whether a step waits for an event of this name and key.

        Args:
            at: when it was sent, in seconds since the epoch.
            but: so many of the steps that do have theirs already.
        """
        from flowkit.runtime.expected import takes  # only who gets events

        return takes(self, name, key, at, but)

    def stays(self, due: float) -> bool:
        """Whether to wait for a time in memory: if it is near, or nobody else could."""
        return self.journal is None or due - now() <= self.patience

    @property
    def due(self) -> float | None:
        """When this run must be looked at next, None if only something else can."""
        from flowkit.runtime.dues import due_of  # only who waits

        return due_of(self)

    @property
    def lost_or_kept(self) -> bool:
        """Whether this process stopped and the stored run did not."""
        return self.over and self.status in {"running", "waiting"}

    def wait(self, timeout: float | None = None) -> Any:
        """Block until the run is over or waits; gives its outcome.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            TimeoutError: the run is still going on.
            Exception: whatever a step raised, as it is.
        """
        self.awaited = True
        if self.unheard:
            self.unheard.clear()
        settled = threading.Event()
        self.watchers.append(lambda _: settled.set())
        end = None if timeout is None else monotonic() + timeout
        while self._going() and not settled.is_set():
            left = LOOK if end is None else min(LOOK, end - monotonic())
            if left <= 0:
                msg = f"{self!r} was still going on after {timeout} seconds."
                raise TimeoutError(msg)
            settled.wait(left)
        return self.outcome()

    def _going(self) -> bool:
        """Whether it is neither over nor waits: an event may have come just now."""
        moved = self.active or not self.told
        takes = self.active and len(self.pending) > 0
        return moved and (self.status != "waiting" or takes)

    def outcome(self) -> Any:
        """The result; raises what ended the run.

        A waiting run gives itself, or what its latest pause was raised with.
        """
        if self.interrupt is not None:
            raise self.interrupt
        if self.lost is not None:
            raise self.lost
        if self.failures and (failure := self.failure) is not None:
            raise failure
        if self.status == "waiting":
            if self.marking.asked:
                from flowkit.runtime import feedback  # only flows that wait for people

                return next(reversed(feedback.pauses_of(self).values()), self)
            return self
        return self.last if self.status == "completed" else None
