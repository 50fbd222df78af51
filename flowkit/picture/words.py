"""What drawings of runs say in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flowkit.plot.lengths import length
from flowkit.plot.model import Fact

if TYPE_CHECKING:
    from flowkit.plot.model import State
    from flowkit.runtime.execution_info import Execution, QuestionInfo
    from flowkit.runtime.recall import Recalled

__all__ = ["ago", "error_text", "facts", "instant", "state_of", "story_line", "waits"]

_STATES: dict[str, State] = {
    "running": "running",
    "waiting": "waiting",
    "completed": "done",
    "failed": "failed",
}
_OUTCOMES: dict[str, State] = {
    "done": "done",
    "failed": "failed",
    "waiting": "waiting",
    "running": "running",
}


def state_of(each: Execution) -> State:
    """How an execution stands, as drawings show it."""
    return _OUTCOMES.get(each.outcome, "cancelled")


def instant(at: float) -> str:
    """A time as people read it, in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def error_text(error: BaseException) -> str:
    """Type and first line of an error."""
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0]}" if lines else name


def ago(told: Recalled, since: float, now: float) -> str:
    """How long something has lasted in a run that goes on, or had when it ended."""
    return length((now if told.ended is None else told.ended) - since)


def facts(told: Recalled, now: float, letter: str = "") -> tuple[Fact, ...]:
    """The lines above a drawing of a run.

    Args:
        told: the run.
        now: seconds since the epoch, for a run that goes on.
        letter: names the run, where two are compared.
    """
    lasted = ago(told, told.began, now)
    verb = "for" if told.ended is None else "after"
    said = f"{told.name}: {told.status} {verb} {lasted}"
    if letter:
        state: State = "first" if letter == "A" else "second"
        return (Fact(f"{letter}: {told.status} {verb} {lasted}, run {told.id}", state),)
    found = [Fact(said, _STATES.get(told.status, "cancelled"))]
    if told.error and told.status == "failed":
        found.append(Fact(told.error.splitlines()[0], "failed"))
    found.append(Fact(f"run {told.id}, began {instant(told.began)}"))
    return tuple(found)


def story_line(each: Execution, began: float) -> str:
    """One execution in a line: when it began, how it ended, and why."""
    parts = [
        f"{each.firing}: {each.outcome}",
        f"began at +{length(each.started - began)}",
    ]
    if each.duration is not None:
        parts.append(f"took {length(each.duration)}")
    if each.attempt > 1:
        parts.append(f"attempt {each.attempt}")
    if each.turns > 1:
        parts.append(f"{each.turns} turns")
    if each.labels:
        parts.append(f"chose {', '.join(each.labels)}")
    if each.error is not None:
        parts.append(error_text(each.error))
    parts += [
        waits(question) for question in each.questions if question.answered is None
    ]
    return ", ".join(parts)


def waits(question: QuestionInfo) -> str:  # noqa: PLR0911 - one verb after another
    """What an open question waits for."""
    detail: dict[str, Any] = question.detail or {}
    due = detail.get("due")
    until = f" until {instant(due)}" if due is not None else ""
    if question.verb == "sleep":
        return f"sleeps{until}"
    if question.verb == "retry":
        return f"waits for the next attempt of {detail['mark'][0]}{until}"
    if question.verb == "compensate":
        return f"has {' and '.join(detail['scope'])} undone"
    if "token" in detail or question.verb == "feedback":  # its name holds a secret
        shown = detail.get("shown") or detail
        role = shown.get("role") or "a person"
        return f"waits for {role}: {_message(shown)}{until}"
    if question.verb == "call":
        child = "".join(detail.get("names", ())).partition(":")[2]
        return f"waits for run {child}"
    if "names" in detail:
        key = detail.get("key")
        keyed = f" ({key})" if key is not None else ""
        return f"waits for {' or '.join(detail['names'])}{keyed}{until}"
    return f"waits for {question.verb}{until}"


def _message(detail: dict[str, Any]) -> str:
    lines = str(detail.get("message") or "").strip().splitlines()
    return lines[0] if lines else "an answer"
