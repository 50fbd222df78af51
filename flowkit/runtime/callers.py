"""Who waits for the end of a called run, and how it is told.

A called run is *awaited* by the step that called it, or, once that step has given
its place up, has a *caller*: a note of whom its end is an event for. The event is
stored with the run's last record. Whoever moved the run to its end moves the caller
on, if that is in this process.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from flowkit.core.records import RunCancelled
from flowkit.errors import CallError, RunawayError, RunError
from flowkit.journal.codec import encode
from flowkit.journal.rows import Accept, Delivery, is_over
from flowkit.runtime import signals
from flowkit.runtime.children import WITHDRAWN, ended_name, is_called
from flowkit.runtime.clock import now
from flowkit.runtime.presence import presence_in
from flowkit.runtime.values import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.journal.base import Store
    from flowkit.runtime.run import Run

__all__ = [
    "Caller",
    "asked_by",
    "check_depth",
    "found_caller",
    "orphaned",
    "outcome_in",
]

_asking: WeakValueDictionary[str, Run] = WeakValueDictionary()
"""Callers in this process that wait for a stored run, by its id."""


class Caller:
    """Whom the end of a called run is told.

    Attributes:
        id: of the calling run; its object is found by it, if it is stored.
        run: the calling run, of one in memory.
        over: the calling run has ended, so nobody asks for this one any more.
    """

    __slots__ = ("id", "over", "run")

    def __init__(self, id: str, run: Run | None = None, *, over: bool = False) -> None:
        self.id: str = id
        self.run: Run | None = run
        self.over: bool = over

    def news(self, run: Run, store: Store) -> tuple[Accept, ...]:
        """The end of a called run as an event for this caller."""
        row = store.run(self.id)
        if row is None or self.run is not None:
            return ()
        name = ended_name(run.id)
        share = Delivery(row.flow, encode(outcome_in(run), "the result"))
        once, trace = f"ended:{run.id}:{run.journal.seq}", run.traceparent or None
        return (Accept(name, None, once, now(), (share,), trace),)

    async def tell(self, run: Run) -> None:
        """A called run has ended: move its caller on, if it is in this process."""
        from flowkit.runtime.runner import drive

        caller = _to_move(run)
        if caller is not None:
            await drive(caller)
            _report(caller)

    def tell_blocking(self, run: Run) -> None:
        """The same from blocking code."""
        from flowkit.runtime.inbox import drive_on
        from flowkit.runtime.kinds import known

        caller = _to_move(run)
        if caller is None:
            return
        try:
            drive_on(caller, known[type(caller.flow)].backend)
        except Exception:  # noqa: BLE001 - it is the outcome of the caller's own run
            _report(caller)


def found_caller(run: Run) -> None:
    """A run comes from a store: note who waits for its end, if it was called."""
    row = run.journal.row
    if is_called(row):
        caller = run.journal.store.run(row.parent)
        over = caller is not None and caller.status not in {
            "running",
            "waiting",
            "failed",
        }
        run.caller = Caller(row.parent, over=over)


def orphaned(run: Run) -> None:
    """Cancel a called run whose caller ended before it could take it along."""
    run.journal.blocking = True
    run.apply(RunCancelled(now(), WITHDRAWN))
    run.journal.blocking = False


def asked_by(run: Run, child: Run) -> None:
    """A caller gives up awaiting a run here; its end is told from now on."""
    if child.journal is None or run.journal is None:
        child.caller = Caller(run.id, run)
        return
    child.caller = Caller(run.id)
    _asking[child.id] = run


def outcome_in(run: Run) -> dict[str, Any]:
    """The outcome of a called run that is over, as its caller's answer."""
    if (failure := run.failure) is not None:
        return {"error": failure}
    if run.status != "completed":
        return {"error": _no_result(run)}
    return {"result": snapshot(run.last)}


def _no_result(run: Run) -> CallError:
    """The error of a call whose run was cancelled or has expired."""
    name, status = run.net.definition.name, run.status
    reason = f": {run.reason}" if run.reason else ""
    text = (
        f"{name}, called as run {run.id}, ended as {status}{reason}. It gives no "
        f"result: catch CallError where that may happen, or resume its caller once "
        f"the cause is mended."
    )
    return CallError(text, run=run.id, status=status, reason=run.reason)


def _report(run: Run) -> None:
    if (failure := run.failure) is not None:
        signals.log().error("%r failed", run, exc_info=failure)


def _to_move(ended: Run) -> Run | None:
    """The caller of a run that has ended, if it is to be moved on here and now."""
    caller = ended.caller
    ended.caller = None
    if ended.lost is not None or caller is None:
        return None
    if caller.run is not None:
        return _in_memory(caller.run, ended)
    store = ended.journal.store
    moved = presence_in(store).moving.get(caller.id)
    if moved is not None and moved.active:
        journal = moved.journal
        moved.rest(resting=False)
        moved.post(lambda: journal.collect(moved))
        return None
    return _stored(_asking.pop(ended.id, None), caller.id, store)


def _stored(run: Run | None, run_id: str, store: Store) -> Run | None:
    """A caller that has its news in its inbox, and that nobody moves here."""
    from flowkit.runtime.durable import flow_name
    from flowkit.runtime.kinds import known

    row = store.run(run_id)
    if row is None or is_over(row.status):
        return None
    kinds = [kind for cls, kind in [*known.items()] if flow_name(cls) == row.flow]
    if any(bus.takes_on(run, run_id, store) for kind in kinds for bus in kind.buses):
        return None
    if run is None or run.over or run.id != run_id:
        return None
    with suppress(RunError):  # else somebody else moves it, and takes the news
        run.journal.acquire(run)
        run.journal.collect(run)
    return run if run.pending or run.ready else None


def _in_memory(run: Run, ended: Run) -> Run | None:
    """A caller of this process alone: answer it."""
    from flowkit.runtime.kinds import known

    if run.over or run.children is None:
        return None
    for number, places in [*run.children.runs.items()]:
        for position, child in [*places.items()]:
            if child is ended:
                answer = ["call", _mark(ended), outcome_in(ended)]
                run.post(partial(run.answer, number, position, answer))
    if run.active or run.over:
        return None
    kind = known[type(run.flow)]
    if any(bus.takes_on(run, run.id, None) for bus in kind.buses):
        return None
    return run if run.ready or run.pending else None


def _mark(run: Run) -> list[str]:
    return [type(run.flow).__name__]


def _level_of(run: Run) -> int:
    """How many calls lie above a run."""
    if run.level is None:
        level, journal = 0, run.journal
        row = None if journal is None else journal.row
        while row is not None and is_called(row):
            level += 1
            row = journal.store.run(row.parent)
        run.level = level
    return run.level


def check_depth(run: Run, step: str, target: Any) -> int:
    """The level of a run that is called now.

    Raises:
        RunawayError: it is deeper than its class allows.
    """
    from flowkit.runtime.kinds import known

    level = _level_of(run) + 1
    most = known[type(target)].max_depth
    if level > most:
        name = type(target).__name__
        chain = " -> ".join(_shortened([*_chain(run), name]))
        msg = (
            f"{run.net.definition.name}.{step} called {name} {level} levels deep, and "
            f"{name} allows {most}: {chain}. Give the recursion an end, or raise the "
            f"bound: class {name}(Flow, max_depth={2 * most})."
        )
        raise RunawayError(msg)
    return level


def _chain(run: Run) -> list[str]:
    """Names of the flows from the outermost run down to this one."""
    names: list[str] = []
    at: Run | None = run
    above: str | None = None
    while at is not None:
        names.append(at.net.definition.name)
        if at.journal is not None:
            above = at.journal.row.parent if is_called(at.journal.row) else None
        at = at.above
    while (
        above is not None and run.journal is not None and len(names) <= _level_of(run)
    ):
        row = run.journal.store.run(above)
        if row is None:
            break
        names.append(row.flow.rpartition(":")[2].rpartition(".")[2])
        above = row.parent if is_called(row) else None
    return names[::-1]


def _shortened(names: list[str]) -> Iterator[str]:
    """The same with repetitions counted."""
    index = 0
    while index < len(names):
        end = index
        while end < len(names) and names[end] == names[index]:
            end += 1
        times = end - index
        yield names[index] if times == 1 else f"{names[index]} ({times} times)"
        index = end
