"""Questions of a step and their positions, at which their answers are kept.

Each question has a *position*, counted within its firing. What it was answered is
a record; a step that starts again is given the same answers at the same positions
and goes on behind them. A question that is another one than before at its position
is a :class:`~flowkit.errors.DriftError`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.records import CallBegun
from flowkit.errors import DriftError, RunError
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = [
    "INNER",
    "OPEN",
    "RETRY",
    "Question",
    "at_home",
    "known_answer",
    "position_of",
    "record_begun",
    "shown_position",
    "step_of",
]

INNER = 32
"""Bits of a position that count within one branch of a function flow."""
RETRY = "retry"
"""The verb at which a failed attempt of a called step waits for the next one."""


class _Open:
    """No answer yet."""


OPEN = _Open()


class Question(NamedTuple):
    """What a step asks.

    Attributes:
        verb: ``sleep``, ``wait_for``, ``wait_any``, ``ask``, ``call``.
        detail: as it is recorded: ``names`` and ``key`` of events, ``due``, ``late``
            (the answer once it is due), ``token`` for a person.
        read: makes the step's value of the recorded answer.
        mark: what must be the same when the step starts again.
    """

    verb: str
    detail: dict[str, Any]
    read: Callable[[Any], Any]
    mark: Any


def step_of(flow: Any, verb: str) -> tuple[Run, Firing]:
    """The run and the firing of the step that runs on this object.

    Raises:
        RunError: no step runs on it.
    """
    scope = flow._flowkit
    if scope.run is None or scope.firing is None:
        msg = (
            f"{type(flow).__name__}.{verb} works within a step; no step of this "
            f"object runs. Use it in a method that is a step."
        )
        raise RunError(msg)
    if scope.run.bars is not None:
        scope.run.bars(verb)
    return scope.run, scope.firing


def position_of(flow: Any, verb: str) -> tuple[Run, Firing, int]:
    """The step that asks, and the position of its next question."""
    run, firing = step_of(flow, verb)
    if run.claim is not None:
        position = run.claim(verb)
        run.asked[firing.id] = 1  # its body is in memory
        return run, firing, position
    position = run.asked.get(firing.id, 0)
    run.asked[firing.id] = position + 1
    return run, firing, position


def known_answer(run: Run, firing: Firing, position: int, question: Question) -> Any:
    """The recorded answer, :data:`OPEN` if there is none yet.

    Raises:
        DriftError: the step asked something else here before it started again.
    """
    place = firing.id, position
    record, answer = run.questions.get(place), run.answers.get(place, OPEN)
    if record is not None or answer is not OPEN:
        if record is not None:
            before: Any = record.verb, (record.detail or {}).get("mark")
        else:  # a call that never waited has its answer's record only
            before = answer[0], answer[1]
        if before != (question.verb, question.mark):
            raise DriftError(_drifted(run, firing, position, before, question))
    return answer


def _drifted(
    run: Run, firing: Firing, position: int, before: Any, question: Question
) -> str:
    name = f"{run.net.definition.name}.{firing.node.name}"
    then, today = _said(*before), _said(question.verb, question.mark)
    if run.claim is not None:
        return (
            f"{name} came to {then} at its position {shown_position(position)} before "
            f"it started again, and comes to {today} now. What run {run.id} has done "
            f"is kept by position: calls have to come in the same order again, so "
            f"times, chance and reading belong into steps. Restore the order, or "
            f"rewind the run to this place. ({firing.node.step.place})"
        )
    return (
        f"{name} asked {then} as its question {position + 1} before it "
        f"started again, and asks {today} now. The "
        f"answers of run {run.id} are kept by position: keep the order of the "
        f"questions, or rewind the run to this step. ({firing.node.step.place})"
    )


def record_begun(run: Run, firing: Firing) -> None:
    """Record which calls are under way: from now on the function waits, too."""
    for (number, position), told in run.underway.items():
        if not told[1] and number == firing.id:
            told[1] = True
            run.apply(CallBegun(now(), number, position, told[0]))


def shown_position(position: int) -> str:
    """``3``, or ``3.2.1`` in a branch: the call, its branch, and the call there."""
    lowest = (1 << INNER) - 1
    parts = [(position & lowest) + 1]
    while position := position >> INNER:
        parts.append(position & lowest)
        position >>= INNER
        parts.append((position & lowest) + 1)
    return ".".join(map(str, reversed(parts)))


def _said(verb: str, mark: Any) -> str:
    given = [each for each in mark or () if each is not None]
    return f"{verb}({', '.join(map(repr, given))})"


def at_home(run: Run, verb: Callable[[], None]) -> None:
    """Have the thread that moves a run do something; it is durable soon after.

    Raises:
        BaseException: whatever it raises there.
    """
    if run.home is None or run.home == threading.get_ident():
        verb()
        if run.journal is not None:
            run.journal.wait(run)
        return
    done = threading.Event()
    faults: list[BaseException] = []

    def work() -> None:
        try:
            verb()
        except BaseException as error:  # noqa: BLE001 - raised in the step
            faults.append(error)
        finally:
            done.set()

    run.post(work)
    done.wait()
    if faults:
        raise faults[0]
