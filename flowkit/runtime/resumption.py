"""Going on with stored runs: one by its id, or all of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from flowkit.errors import FlowkitError
from flowkit.journal.codec import former_names
from flowkit.runtime import signals
from flowkit.runtime.blocking import drive_blocking, in_thread, run_async
from flowkit.runtime.children import stirring, top_of
from flowkit.runtime.clock import now
from flowkit.runtime.durable import flow_name
from flowkit.runtime.kinds import known
from flowkit.runtime.lookup import row_of, store_of
from flowkit.runtime.loops import in_running_loop, on_trio
from flowkit.runtime.opening import class_for, factories, load, made
from flowkit.runtime.presence import presence_in
from flowkit.runtime.runner import drive

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.journal.base import Store
    from flowkit.runtime.run import Run

__all__ = [
    "backend_of",
    "factory",
    "resume",
    "resume_async",
    "resume_every",
    "resume_every_async",
]

SIDE_BY_SIDE = 100
"""Runs of ``resume_all`` that are moved at a time."""


def factory(flow: type, make: Callable[[], Any]) -> None:
    """Tell how an object of a flow class is made when a stored run is resumed.

    Needed where ``__init__`` takes arguments. What is not state (clients,
    connections) is made here again.

    Raises:
        TypeError: it is no flow class.
    """
    if flow not in known:
        msg = f"factory() takes a flow class, and {flow!r} is none."
        raise TypeError(msg)
    factories[flow] = make


def resume(run_id: str, store: Any = None) -> Any:
    """Go on with a stored run until it is over or waits; blocks.

    Finished steps do not run again. A run that failed starts the failed step once
    more; one that is over gives its outcome again.

    Args:
        run_id: of the run, or the beginning of it.
        store: a URL or a store; ``FLOWKIT_STORE`` or the default one if None.

    Returns:
        As ``kickoff``: the last output, or the :class:`~flowkit.Run` if it waits.

    Raises:
        NotFoundError: no such run.
        RunError: its class is not there, or lacks where the run stands.
        BusyError: a living process moves it.
        Exception: whatever a step raised, as it is.
    """
    if in_running_loop():
        return in_thread(lambda: _resume(run_id, store))
    return _resume(run_id, store)


def _resume(run_id: str, store: Any) -> Any:
    run = _opened(store_of(store), run_id)
    drive_blocking(run, backend_of(type(run.flow)))
    return run.outcome()


async def resume_async(run_id: str, store: Any = None) -> Any:
    """As :func:`resume`, awaited, on asyncio or trio."""
    run = _opened(store_of(store), run_id)
    await drive(run)
    return run.outcome()


def _opened(store: Store, run_id: str) -> Run:
    row = row_of(store, run_id)
    return load(made(class_for(row)), store, row)


def backend_of(cls: type) -> str:
    """The event loop that a blocking call of this class uses."""
    return "trio" if on_trio() else known[cls].backend


def resume_every(cls: type, store: Any) -> list[Run]:
    """What ``Flow.resume_all`` does."""

    def work() -> list[Run]:
        found: list[Run] = run_async(
            resume_every_async, cls, store, backend=backend_of(cls)
        )
        return found

    return in_thread(work) if in_running_loop() else work()


async def resume_every_async(cls: type, store: Any) -> list[Run]:
    """The same, awaited."""
    place = store_of(store, cls)
    presence = presence_in(place)
    names = [flow_name(cls), *former_names(cls)]
    runs: list[Run] = []
    seen: set[str] = set()
    limiter = anyio.CapacityLimiter(SIDE_BY_SIDE)

    async def move(run: Run) -> None:
        async with limiter:
            await drive(run)

    async with anyio.create_task_group() as group:
        while True:
            dead = presence.gone()
            found = place.claimable(
                now(), names, dead=dead, limit=len(seen) + SIDE_BY_SIDE
            )
            tops = [top_of(place, each, names) for each in found if each not in seen]
            fresh = [run_id for run_id in dict.fromkeys(tops) if run_id not in seen]
            seen.update(found)
            if not fresh:  # what they have called may go on
                fresh = stirring(place, names, dead)
                fresh = [run_id for run_id in fresh if run_id not in seen]
            if not fresh:
                break
            for run_id in fresh:
                seen.add(run_id)
                try:
                    run = _opened(place, run_id)
                except FlowkitError as error:
                    signals.log().error("run %s cannot go on: %s", run_id, error)
                    continue
                runs.append(run)
                group.start_soon(move, run)
            await anyio.lowlevel.checkpoint()
    return runs
