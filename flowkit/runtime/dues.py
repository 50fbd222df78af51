"""Times that move a run by themselves: what was due by then comes, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.records import RunExpired, TimerFired
from flowkit.runtime.expected import open_questions

if TYPE_CHECKING:
    from flowkit.runtime.handle import Handle
    from flowkit.runtime.run import Run

__all__ = ["due_of", "expire", "ring", "ticks"]


def due_of(run: Handle) -> float | None:
    """When a run must be looked at next, None if only something else can move it."""
    times = [timer.due for timer in run.marking.timers.values()]
    for asked in open_questions(run.marking):
        detail = asked.detail or {}
        times += [detail["due"]] if detail.get("due") is not None else []
        times += [detail["end"][0]] if "end" in detail else []
    ends = (_expires(run), run.until)
    times += [end for end in ends if end is not None]
    return min(times, default=None)


def ticks(run: Run) -> bool:
    """Whether a time of its own moves a run, not only its end."""
    return bool(run.marking.timers) or any(
        (asked.detail or {}).get("due") is not None or "end" in (asked.detail or {})
        for asked in open_questions(run.marking)
    )


def expire(run: Run, at: float) -> None:
    """Answer and fire whatever was due by then; what came before it, first."""
    due = run.due
    if run.journal is not None and run.marking.asked and due is not None:
        run.journal.collect(run, until=due)
        run.take_pending()
    ring(run, at)
    for asked in open_questions(run.marking):
        due = (asked.detail or {}).get("due")
        if "end" in (asked.detail or {}):
            from flowkit.runtime.timing import ends  # only who has a time

            if ends(run, asked, at):
                continue
        if due is not None and due <= at:
            run.answer(asked.firing, asked.position, asked.detail.get("late"))
    if run.until is not None and run.until <= at:
        from flowkit.runtime.timing import overdue  # only who has a deadline

        overdue(run)
    end = _expires(run)
    if end is not None and end <= at and run.marking.status == "waiting":
        run.reason = "its lifetime is over"
        run.apply(RunExpired(at))


def ring(run: Run, at: float) -> None:
    """Fire the graph's timers that were due by then."""
    for number, timer in list(run.marking.timers.items()):
        if timer.due <= at and not run.over:
            run.apply(TimerFired(at, number))


def _expires(run: Handle) -> float | None:
    """When a stored run that waits is over, however it stands."""
    if run.lifetime is None or run.journal is None or not run.records:
        return None
    began: float = max(run.records[0].at, run.journal.born)
    return began + run.lifetime
