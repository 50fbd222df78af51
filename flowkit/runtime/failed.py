"""Dead letters of steps: what failed for good in stored runs, and its next chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowkit.errors import (
    BusyError,
    DeadlineError,
    NotFoundError,
    PoisonedStepError,
    RunError,
    StoreError,
)
from flowkit.runtime.history import RunInfo, get_run
from flowkit.runtime.lookup import paged, query_of, row_of, store_of
from flowkit.runtime.recall import Recalled, recalled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.runtime.execution_info import Execution

__all__ = ["DeadStep", "dead", "requeue"]


@dataclass(frozen=True, slots=True)
class DeadStep:
    """A step that failed for good and holds its run up.

    Attributes:
        run: id of the run.
        flow: its class, ``package.module:Class``.
        step: its name; "" where it is the run as a whole.
        firing: number of its execution, 0 if it is not of one.
        kind: ``failed``, ``poisoned`` (its process ended with it, again and again),
            ``not undone`` (of a compensation) or ``overdue`` (the run's deadline).
        attempts: how often it was begun.
        at: when it failed, in seconds since the epoch.
        error: one line, ``Type: text``.
        cure: what to do, in a sentence or two.
    """

    run: str
    flow: str
    step: str
    firing: int
    kind: str
    attempts: int
    at: float
    error: str
    cure: str


def dead(flow: Any = None, *, limit: int = 100, store: Any = None) -> list[DeadStep]:
    """What failed for good in stored runs, newest first: the dead letters of steps.

    Each has used up its policies, and nobody listens to its failure. A run that
    collects its failures may have several; one that went on without a failed branch
    and completed has none. :func:`requeue` gives them another chance.

    Args:
        flow: only runs of this class, or of this name.
        limit: most runs to look at, the newest.
        store: the default one if None.

    Raises:
        StoreError: records that cannot be read.
    """
    place = store_of(store, flow)
    query = query_of(flow=flow, status="failed")._replace(limit=limit)
    rows = [*paged(place, query)]
    return [each for row in rows for each in _of(recalled(row.id, place), row.flow)]


def _of(run: Recalled, flow: str) -> Iterator[DeadStep]:
    for done in reversed(run.marking.not_undone):
        cure = "Undo it by hand, or mend its undo step. Then requeue the run."
        why = f"the work of {done.step} could not be undone"
        yield _letter(run, flow, "not undone", why, cure, step=done.step)
    failed = [each for each in run.executions if each.outcome == "failed"]
    open_ = [each for each in failed if each.firing in run.marking.dead]
    if not (open_ or run.marking.not_undone):
        open_ = [each for each in failed if each.seq == _last(run)]
    for each in reversed(open_):
        yield _step(run, flow, each)
    if not (open_ or run.marking.not_undone):
        kind = "overdue" if run.error.startswith(DeadlineError.__name__) else "failed"
        cure = "Find out what it waited for. Requeued, it has its whole time again."
        if kind == "failed":
            cure = "Mend what the error says. Then requeue the run."
        yield _letter(run, flow, kind, run.error, cure)


def _last(run: Recalled) -> int:
    return max((each.seq or 0 for each in run.executions), default=0)


def _step(run: Recalled, flow: str, each: Execution) -> DeadStep:
    error = f"{type(each.error).__name__}: {each.error}".splitlines()[0]
    kind, cure = "failed", "Mend what the error says. Then requeue the run."
    if isinstance(each.error, PoisonedStepError):
        kind = "poisoned"
        cure = (
            "Find out what it does to its process: memory, or a crash in C. Then "
            "requeue the run."
        )
    at = each.ended or 0.0
    return DeadStep(
        run.id, flow, each.step, each.firing, kind, each.attempt, at, error, cure
    )


def _letter(
    run: Recalled, flow: str, kind: str, why: str, cure: str, *, step: str = ""
) -> DeadStep:
    return DeadStep(run.id, flow, step, 0, kind, 1, run.ended or 0.0, why, cure)


def requeue(run_id: str, *, store: Any = None) -> RunInfo:
    """Begin what failed in a run again, with all its attempts; blocks.

    What is finished is not run again. A failure does not come out here: the run's
    status and error tell it.

    Args:
        run_id: of the run, or the beginning of it.
        store: the default one if None.

    Returns:
        How the run stands then.

    Raises:
        NotFoundError: no such run.
        RunError: it did not fail, or its class is not there.
        BusyError: a living process moves it.
    """
    from flowkit.runtime.resumption import resume  # only who goes on

    place = store_of(store)
    row = row_of(place, run_id)
    if row.status != "failed":
        msg = (
            f"Run {row.id!r} of {row.flow} is {row.status}; only a run that failed is "
            f"requeued. flowkit.runs.dead() lists what failed."
        )
        raise RunError(msg)
    try:
        resume(row.id, place)
    except (BusyError, NotFoundError, StoreError):
        raise
    except Exception:
        found = get_run(row.id, place)
        if found.records == row.seq:
            raise  # it did not begin
        return found
    return get_run(row.id, place)
