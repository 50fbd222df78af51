"""What the steps of a run wait for in their bodies: questions, and events."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from flowkit.core.ending import awaited
from flowkit.core.records import StepAnswered

if TYPE_CHECKING:
    from flowkit.core.marking import Marking
    from flowkit.core.records import EventReceived, Record, StepAsked
    from flowkit.runtime.handle import Handle
    from flowkit.runtime.run import Run

__all__ = ["awaited_by", "open_questions", "takes", "wanted"]


def open_questions(marking: Marking) -> list[StepAsked]:
    """Questions of steps that are not answered yet, the oldest first."""
    asked = list(marking.asked.values())
    return [each for questions in asked for each in list(questions.values())]


def awaited_by(run: Handle) -> tuple[str, ...]:
    """Names of the events a waiting run waits for."""
    if run.status != "waiting":
        return ()
    names = list(awaited(run.net, run.marking))
    for asked in open_questions(run.marking):
        names += (asked.detail or {}).get("names", ())
    return tuple(dict.fromkeys(names))


def takes(
    run: Handle, name: str, key: str | None, at: float = inf, but: int = 0
) -> bool:
    """Whether a step waits for an event of this name and key.

    Args:
        at: when it was sent, in seconds since the epoch.
        but: so many steps have theirs already.
    """
    asked = open_questions(run.marking)
    found = [e for e in asked if _fits(e, name, key) and not _too_early(e, at)]
    return len(found) > but


def wanted(run: Run, event: EventReceived) -> Record | None:
    """An event as the answer of the step that has waited for it longest.

    None if it was an answer to a review, which has ended its step.
    """
    at = event.at if run.journal is None else run.journal.sent(event)
    for asked in open_questions(run.marking):
        if _fits(asked, event.name, event.key) and not _too_early(asked, at):
            if asked.verb == "feedback":
                from flowkit.runtime.reviewed import answered  # only who pauses

                answered(run, asked, event)
                return None
            answer = [asked.verb, event.name, event.payload]
            record = StepAnswered(event.at, asked.firing, asked.position, answer)
            if run.journal is not None:
                run.journal.instead(event, record)
            return record
    return event


def _fits(asked: StepAsked, name: str, key: str | None) -> bool:
    detail = asked.detail or {}
    return name in detail.get("names", ()) and detail.get("key") == key


def _too_early(asked: StepAsked, at: float) -> bool:
    """Whether a question is only about what comes after it, and this came before."""
    return "transient" in (asked.detail or {}) and at < asked.at
