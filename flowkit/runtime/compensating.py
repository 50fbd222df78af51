"""``self.compensate(scope=..)``: a step has what others have done undone, and goes on.

The undo steps are firings of the run, one after another; what they came to is the
answer of a question, so a step that starts again does not ask twice.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flowkit.core.net import targets
from flowkit.errors import CompensationError, RunError
from flowkit.runtime.acts import target_of
from flowkit.runtime.exits import Evicted
from flowkit.runtime.positions import OPEN, Question, position_of, step_of
from flowkit.runtime.waits import Asking

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["compensate"]

VERB = "compensate"


def compensate(flow: Any, scope: Any, reason: str) -> Any:
    """Undo what the steps of a scope have done; gives their names, newest first.

    In an async step what is given is to be awaited.

    Raises:
        RunError: a name that is no step or region, or nothing that can be undone.
        CompensationError: some of it could not be undone.
    """
    run, firing = step_of(flow, VERB)
    given = scope if type(scope) in {list, tuple} else (scope,)
    names = [target_of(run, firing.node, VERB, each) for each in given]
    _check(run, firing, names)
    step = f"{run.net.definition.name}.{firing.node.name}"

    def read(answer: Any) -> tuple[str, ...]:
        undone, faults = answer
        if faults:
            raise CompensationError(_left(step, faults), step=step, faults=faults)
        return tuple(undone)

    question = Question(VERB, {"scope": names, "reason": reason}, read, names)
    asking = _Asking(run, firing, _position(flow, question), question)
    if run.calls[firing.node.index].is_async:
        return asking
    return asking.block()


class _Asking(Asking):
    """A question that other steps of the run answer."""

    __slots__ = ()

    async def ask(self) -> None:
        await super().ask()
        if self.run.hurry is not None:
            self.run.hurry()  # what undoes starts while this step waits

    def wait_blocking(self) -> Any:
        run = self.run
        if run.hurry is not None or run.home != threading.get_ident():
            return super().wait_blocking()
        self.ask_blocking()  # in a plain loop there is nobody else to undo anything
        if self.answered:
            return self.value()
        raise Evicted


def _position(flow: Any, question: Question) -> int:
    """The position to ask at: what could not be undone before is tried once more."""
    while True:
        run, firing, position = position_of(flow, VERB)
        answer = run.answers.get((firing.id, position), OPEN)
        following = run.questions.get((firing.id, position + 1))
        if answer is OPEN or not answer[1]:
            return position
        if following is not None:
            mark = (following.detail or {}).get("mark")
            if (following.verb, mark) != (VERB, question.mark):
                return position  # the step went on with what it was told


def _check(run: Run, firing: Firing, names: list[str]) -> None:
    """See that there is anything in the scope that could be undone."""
    nodes = targets(run.net, tuple(names))
    if any(node.step.undo for node in run.net.nodes if node.bit & nodes):
        return
    step = firing.node.step
    msg = (
        f"{run.net.definition.name}.{step.name} would compensate "
        f"{' and '.join(names)}, and no step of that has undo=. Name steps that say "
        f"how their work is undone. ({step.place})"
    )
    raise RunError(msg)


def _left(step: str, faults: list[list[str]]) -> str:
    told = "; ".join(f"{name} ({why})" for name, why in faults)
    return (
        f"{step} could not have everything undone: {told}. Undo it by hand, or mend "
        f"the undo steps and compensate again: what is undone is not undone twice."
    )
