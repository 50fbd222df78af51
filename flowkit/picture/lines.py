"""A run over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.picture.words import error_text, facts, state_of, story_line, waits
from flowkit.plot.lengths import length
from flowkit.plot.timeline import Bar, Timeline, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.runtime.execution_info import Execution
    from flowkit.runtime.recall import Recalled

__all__ = ["timeline_of"]


def timeline_of(told: Recalled, now: float) -> Timeline:
    """The timeline of a run; what goes on ends now.

    Args:
        told: the run.
        now: seconds since the epoch.
    """
    ended = max(now, told.began) if told.ended is None else told.ended
    bars = tuple(
        _bar(told, each, ended) for each in sorted(told.executions, key=_order)
    )
    return Timeline(told.name, told.began, ended, bars, facts(told, now))


def _order(each: Execution) -> tuple[float, bool, int]:
    """By beginning; a function flow before what it calls."""
    return each.started, each.position is not None, each.firing


def _bar(told: Recalled, each: Execution, ended: float) -> Bar:
    end = ended if each.ended is None else each.ended
    note = length(end - each.started)
    if each.attempt > 1:
        note += f", attempt {each.attempt}"
    if each.turns > 1:
        note += f", {each.turns} turns"
    if each.error is not None:
        note += f", {error_text(each.error)}"
    tip = f"{each.step} {story_line(each, told.began)}"
    found = tuple(_waits(each, end))
    state = state_of(each)
    return Bar(each.step, each.firing, each.started, end, state, note, tip, found)


def _waits(each: Execution, end: float) -> Iterator[Wait]:
    """When it waited; a question beside another one counts from where that ends."""
    at = each.started
    for question in sorted(each.questions, key=lambda one: one.asked):
        until = end if question.answered is None else min(question.answered, end)
        since = max(at, question.asked)
        if until > since:
            lasted = length(until - since)
            said = waits(question).replace("waits", "waited").replace("sleeps", "slept")
            yield Wait(since, until, f"{said}, {lasted}")
            at = until
