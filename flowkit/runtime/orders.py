"""Commands of the core, carried out on a run: one function a kind, in a table.

A ``Firing`` is no entry: it is made ready by the run itself, on the hot path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.commands import (
    Answer,
    Arm,
    Cancel,
    End,
    Fault,
    Judge,
    Report,
    Wait,
)
from flowkit.core.marking import DEFERRED
from flowkit.core.records import GroupJudged
from flowkit.runtime import signals
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.core.commands import Command
    from flowkit.runtime.run import Run

__all__ = ["ORDERS", "cancel", "carry_folded", "judge_open"]


def carry_folded(run: Run, commands: Sequence[Command]) -> None:
    """What of the commands counts when records are folded: how it ended."""
    for command in commands:
        if type(command) is Fault:
            run.failures.append(command.error)
        elif type(command) is Report and command.kind == "stuck":
            run.stuck.append(command.text)
        elif type(command) is Report and command.kind == "not undone":
            run.not_undone.append(command.step)
        elif type(command) is Report and command.kind == "undone":
            run.not_undone.remove(command.step)
        elif type(command) is Answer and command.position != DEFERRED:
            run.answers[command.firing.id, command.position] = command.value
        elif type(command) is End:
            run.over = run.told = True


def cancel(run: Run, command: Cancel) -> None:
    """Cancel firings: what runs of them ends where it waits."""
    run.cut = tuple(each for each in command.firings if each.driver is not None)
    if run.children is not None and not run.lost_or_kept:
        run.children.withdraw(command.firings)
    for firing in command.firings:
        run.pauses.pop(firing.id, None)
        scope = run.scopes.get(firing.id)
        if scope is not None:
            scope.cancel()
        elif firing.driver is not None:
            from flowkit.runtime.failing import discard  # one that was not reached

            discard(run, firing.driver)
        if signals.step_cancelled.receivers:
            run.tell_step(signals.step_cancelled, firing)
    run.make_room()


def _judge(run: Run, command: Judge) -> None:
    """Ask the predicate of a gather; that it is content is a record."""
    from flowkit.core.groups import gathers  # loaded with the first group

    if not gathers(run.marking, command.group, command.gather):
        return
    until = run.compiled.until[run.net.gathers[command.gather].leaf.until]
    error: Exception | None = None
    try:
        if not until(command.results, command.total):
            return
    except Exception as fault:  # noqa: BLE001 - the user's own: it ends the run
        error = fault
    run.apply(GroupJudged(now(), command.group, command.gather, error))


def judge_open(run: Run) -> None:
    """After a restart: ask the predicates whose gathers were not judged."""
    if run.marking.lanes is not None:
        from flowkit.core.groups import unjudged  # only flows with groups

        for command in unjudged(run.marking):
            _judge(run, command)


def _fault(run: Run, command: Fault) -> None:
    run.failures.append(command.error)


def _report(run: Run, command: Report) -> None:
    about = signals.about(run, step=command.step)
    if command.kind == "stuck":
        run.stuck.append(command.text)
        signals.log().warning("%s", command.text, extra=about)
        if signals.stuck.receivers:
            run.tell(signals.stuck, step=command.step, reason=command.text)
    elif command.kind == "missed":
        signals.log().warning("%s", command.text, extra=about)
    elif command.kind == "undone":
        run.not_undone.remove(command.step)
        signals.log().info("%s", command.text, extra=about)
    elif command.kind == "not undone":
        run.not_undone.append(command.step)
        signals.log().error("%s", command.text, extra=about)
        if run.failures:
            run.failures[0].add_note(f"flowkit: {command.text}")
    else:
        signals.log().info("%s", command.text, extra=about)


def _wait(run: Run, _: Wait) -> None:
    for told in run.on_wait:
        told(run)


def _answer(run: Run, command: Answer) -> None:
    from flowkit.runtime.restarts import carry_answer  # only who waits in its body

    carry_answer(run, command)


def _arm(run: Run, _: Arm) -> None:
    if run.alarm is not None:
        run.alarm()


def _end(run: Run, _: End) -> None:
    run.over = True


ORDERS: dict[type, Callable[[Run, Any], None]] = {
    Cancel: cancel,
    Fault: _fault,
    Report: _report,
    Wait: _wait,
    Arm: _arm,
    Answer: _answer,
    Judge: _judge,
    End: _end,
}
