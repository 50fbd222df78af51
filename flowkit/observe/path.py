"""The critical path of a run: what it would have been shorter without.

It is followed from the end back: each execution after the latest of those that
triggered it. Where nothing of the run triggered one, it is the latest to have ended
before, and what lies between was spent waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowkit.runtime.execution_info import Execution

__all__ = ["Leg", "critical_path", "waited"]

WORKS = frozenset({"call", "compensate", "step"})
"""Questions during which something of the run's own works."""


class Leg(NamedTuple):
    """A part of a critical path.

    Attributes:
        execution: which one.
        gap: seconds before it in which it could not begin.
        behind: what it waited for then, in a few words.
        waits: seconds it waited within, by what for.
        worked: seconds it took without these.
    """

    execution: Execution
    gap: float
    behind: str
    waits: dict[str, float]
    worked: float


def critical_path(executions: Sequence[Execution], began: float) -> list[Leg]:
    """The legs of a run that is over, in the order of time.

    Args:
        executions: those that count; ones that a function called are left out.
        began: when the run did.
    """
    ended = [e for e in executions if e.ended is not None and e.position is None]
    by_firing = {each.firing: each for each in ended}
    in_order = sorted(ended, key=lambda each: (each.ended or 0.0, each.firing))
    found: list[Leg] = []
    passed: set[int] = set()
    at = in_order[-1] if in_order else None
    while at is not None and at.firing not in passed:
        passed.add(at.firing)
        before, behind = _before(at, by_firing, in_order, passed)
        since = began if before is None else before.ended or began
        inside = waited(at)
        lasted = (at.duration or 0.0) - sum(inside.values())
        gap = max(0.0, at.started - since)
        found.append(Leg(at, gap, behind, inside, max(0.0, lasted)))
        at = before
    return found[::-1]


def _before(
    at: Execution,
    by_firing: dict[int, Execution],
    in_order: Sequence[Execution],
    passed: set[int],
) -> tuple[Execution | None, str]:
    causes = [
        found
        for cause in at.causes
        if (found := by_firing.get(cause.firing)) is not None
        and found.firing not in passed
    ]
    outside = [cause.name for cause in at.causes if not cause.firing and cause.name]
    if causes and not outside:
        return _latest(causes), "its turn" if at.attempt == 1 else "its last start"
    earlier = [
        each
        for each in in_order
        if (each.ended or 0.0) <= at.started and each.firing not in passed
    ]
    behind = f"event {outside[0]!r}" if outside else "its beginning"
    return (earlier[-1] if earlier else None), behind


def _latest(executions: Iterable[Execution]) -> Execution:
    return max(executions, key=lambda each: (each.ended or 0.0, each.firing))


def waited(each: Execution) -> dict[str, float]:
    """Seconds that an execution waited for others, by what for.

    A question beside another one counts from where that was answered.
    """
    found: dict[str, float] = {}
    for limit in each.limits:
        if limit.what == "waited":
            found[limit.limit] = found.get(limit.limit, 0.0) + limit.seconds
    at = each.started
    for question in sorted(each.questions, key=lambda one: one.asked):
        if question.answered is None or question.verb in WORKS:
            continue
        since = max(at, question.asked)
        if question.answered > since:
            what = _what(question.verb, question.detail or {})
            found[what] = found.get(what, 0.0) + question.answered - since
            at = question.answered
    return found


def _what(verb: str, detail: dict[str, object]) -> str:
    if verb == "sleep":
        return "sleep"
    if "token" in detail or verb == "feedback":
        return "a person"
    names = detail.get("names")
    if isinstance(names, Sequence):
        return " or ".join(f"event {name!r}" for name in names)
    return verb
