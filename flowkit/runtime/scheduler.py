"""Which scheduled starts are due, and the runs that begin by them.

Two rules of this file:

1. *Begin, then note.* A run is begun under an id made of flow, step and time; then
   the time is noted in a cell of the store, by compare-and-set. Whoever is killed in
   between begins the same id again, which the store refuses: no time is lost, and
   none fires twice, by however many processes on one store.
2. A schedule that was never seen begins now: nothing is missed before it was known.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol

from flowkit.errors import RunExistsError
from flowkit.journal.refusals import taken
from flowkit.journal.rows import RunRow
from flowkit.runtime import clock, signals
from flowkit.runtime.durable import Journal, flow_name
from flowkit.runtime.kinds import known
from flowkit.runtime.launch import local_time, new_run, payload_for
from flowkit.runtime.schedules import due_between, next_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flowkit.core.definition import Schedule, Step
    from flowkit.journal.base import Store
    from flowkit.journal.rows import Begun, Hold
    from flowkit.runtime.run import Run

__all__ = [
    "BeginRun",
    "Due",
    "Scheduler",
    "run_schedules",
    "scheduled_run",
    "stored_run",
]

SET_BACK = 3_600.0
"""A clock this far behind the time noted last was wrong then: begin anew."""
LOOK = 60.0
"""Seconds after which the clock is looked at again: it may have been set."""
RETRY, RETRY_MOST = 1.0, 300.0


class Due(NamedTuple):
    """A run that is to begin.

    Attributes:
        flow: the class.
        step: name of its start.
        at: the time it was due, seconds since the epoch.
        run_id: the id it must be begun under.
    """

    flow: type
    step: str
    at: float
    run_id: str


class BeginRun(Protocol):
    """How a run is begun; given by whoever drives runs."""

    def __call__(self, flow: type, step: str, time: datetime, run_id: str, /) -> None:
        """Begin a run at this start alone, which is handed the time.

        Returns once the run is in the store.

        Raises:
            RunExistsError: a run of that id was begun before.
        """
        ...


class _Job:
    """One scheduled start. ``wake``: when to look at it next."""

    __slots__ = ("cell", "delay", "flow", "name", "schedule", "step", "wake")

    def __init__(self, flow: type, step: Step, schedule: Schedule) -> None:
        self.flow = flow
        self.step = step.name
        self.schedule = schedule
        self.name = f"sched:{flow_name(flow)}:{step.name}"
        # With the schedule's text: another one begins anew, and old and new
        # processes of a rolling deployment do not move each other's time.
        self.cell = f"{self.name}:{schedule} {schedule.tz}"
        self.wake = -inf
        self.delay = 0.0

    def due(self, last: float, now: float) -> Iterator[Due]:
        for at in due_between(self.schedule, last, now):
            yield Due(self.flow, self.step, at, f"{self.name}:{_iso(at)}")


class Scheduler:
    """The scheduled starts of some flows, against one store.

    It is told the time and never reads a clock. Not safe for several threads at
    once; several processes need one store.

    Args:
        flows: flow classes; those without schedules count for nothing.
        store: where fired times are noted, the one the runs are in; by default one
            in memory, for runs in memory.

    Raises:
        TypeError: what is given is no flow class.
    """

    def __init__(self, flows: Iterable[type] = (), store: Store | None = None) -> None:
        if store is None:
            from flowkit.journal.memory import MemoryStore

            store = MemoryStore()
        self.store: Store = store
        self._jobs: list[_Job] = []
        self._told = -inf
        for flow in flows:
            self.add(flow)

    def add(self, flow: type) -> None:
        """Look after the schedules of another flow class, too.

        Raises:
            TypeError: it is no flow class.
        """
        if flow not in known:
            msg = f"A Scheduler takes Flow classes, not {flow!r}."
            raise TypeError(msg)
        for step in known[flow].compiled.definition.steps:
            if step.schedule is not None:
                self._jobs.append(_Job(flow, step, step.schedule))

    def due(self, now: float) -> list[Due]:
        """Runs that are to begin now, in the order of their times.

        Notes the time for schedules that were never seen, and nothing else.

        Raises:
            StoreError: the store fails.
        """
        found = [
            due
            for job in self._awake(now)
            for due in job.due(float(self._noted(job, now)), now)
        ]
        return sorted(found, key=lambda due: due.at)

    def next(self, now: float) -> float | None:
        """When to call :meth:`tick` next, at the earliest ``now``; None for never.

        Reads no store, so it is right after a tick only.
        """
        wake = min((job.wake for job in self._jobs), default=inf)
        return None if wake == inf else max(wake, now)

    def tick(self, now: float, begin: BeginRun) -> list[Due]:
        """Begin what is due, each time once among all processes on this store.

        A start whose run cannot be begun is logged and tried again after a second,
        later after minutes; it keeps no other one back.

        Returns:
            The runs that were begun here.
        """
        begun: list[Due] = []
        for job in self._awake(now):
            try:
                self._fire(job, now, begin, begun)
            except Exception as error:  # noqa: BLE001 - one flow must not stop others
                job.delay = min(max(job.delay * 2, RETRY), RETRY_MOST)
                job.wake = now + job.delay
                text = "%s could not begin its run, next try in %g s: %s"
                signals.log().error(text, job.name, job.delay, error, exc_info=error)
            else:
                job.delay = 0.0
                job.wake = next_after(job.schedule, now)
        return begun

    def _awake(self, now: float) -> list[_Job]:
        if now < self._told:  # the clock was set back: nothing known of it holds
            for job in self._jobs:
                job.wake = -inf
        self._told = now
        return [job for job in self._jobs if job.wake <= now]

    def _noted(self, job: _Job, now: float) -> str:
        """The time fired last, as its cell holds it."""
        noted = self.store.cell(job.cell)
        if noted is None or float(noted) > now + SET_BACK:
            self.store.swap(job.cell, noted, repr(now))
            noted = self.store.cell(job.cell) or repr(now)
        return noted

    def _fire(self, job: _Job, now: float, begin: BeginRun, begun: list[Due]) -> None:
        noted = self._noted(job, now)
        done: float | None = None
        try:
            for due in job.due(float(noted), now):
                try:
                    begin(*_told(job, due))
                except RunExistsError:
                    pass  # another process did, or this one before it was killed
                else:
                    begun.append(due)
                done = due.at
        finally:
            if done is not None:
                self.store.swap(job.cell, noted, repr(done))


def _told(job: _Job, due: Due) -> tuple[type, str, datetime, str]:
    time = local_time(due.at, job.schedule.tz)
    return due.flow, due.step, time, due.run_id


def _iso(at: float) -> str:
    text = datetime.fromtimestamp(at, UTC).isoformat()
    return text.replace("+00:00", "Z")


def scheduled_run(
    flow: type, step: str, time: datetime, run_id: str
) -> tuple[Run, Callable[[], None]]:
    """A run for a scheduled start, and what begins it. In memory until then.

    Raises:
        InputError: the step's parameter takes no time, or the state needs inputs.
        RunError: the flow cannot be made without arguments, and has no factory.
    """
    from flowkit.runtime.opening import made

    nodes = known[flow].compiled.net.nodes
    node = next(node for node in nodes if node.name == step)
    payloads = {step: payload_for(flow, node, time)}
    run = new_run(made(flow), None)
    run._id = run_id
    return run, lambda: run.begin(None, payloads, step)


def stored_run(
    flow: type, step: str, time: datetime, run_id: str, store: Store
) -> tuple[Run, Hold]:
    """A run that a schedule has begun in a store, and the right to write it.

    Blocks until it is durable. ``run.journal.began(run, hold)`` makes its first step
    ready, in whichever thread will drive it.

    Raises:
        RunExistsError: the store has a run of that id.
        StoreError: it could not be stored.
        RunError: as for :func:`scheduled_run`.
    """
    found = store.run(run_id)  # a killed process left it: spares making a flow
    if found is not None:
        raise taken(found)
    run, begin = scheduled_run(flow, step, time, run_id)
    version = str(getattr(flow, "version", "") or "")
    row = RunRow(run_id, flow_name(flow), "", version=version, created_by="schedule")
    journal = Journal(store, row)
    journal.attach(run)
    try:
        writer = journal.writer
        begun: Begun = writer.wait(writer.submit(journal.prepared(begin)))
    except BaseException:
        journal.forget()
        raise
    return run, begun.hold


async def run_schedules(scheduler: Scheduler, begin: BeginRun) -> None:
    """Begin runs as their times come, by the clock in use, until cancelled.

    Ends by itself if there is no schedule. Ticks happen in a worker thread, since
    a store blocks; ``begin`` is called there.
    """
    from anyio.to_thread import run_sync

    while True:
        await run_sync(partial(scheduler.tick, clock.now(), begin))
        at = scheduler.next(clock.now())
        if at is None:
            return
        await clock.sleep_until(min(at, clock.now() + LOOK))
