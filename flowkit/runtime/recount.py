"""What the records of a run tell of its steps, when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.commands import Firing
from flowkit.core.machine import decide
from flowkit.core.marking import Marking
from flowkit.core.records import CallEnded, StepFailed, StepFinished

if TYPE_CHECKING:
    from flowkit.runtime.handle import Handle

__all__ = ["degraded_of", "history_of"]

_OUTCOMES = {StepFinished: "finished", StepFailed: "failed"}


def history_of(run: Handle) -> list[tuple[str, str, float]]:
    """``(step, outcome, time)`` of every step that ended, in order."""
    names = _names(run)
    return [
        (names[record.firing], _OUTCOMES[type(record)], record.at)
        if not isinstance(record, CallEnded)
        else (record.step, "failed" if record.error else "finished", record.at)
        for record in run.records
        if isinstance(record, StepFinished | StepFailed | CallEnded)
        and not getattr(record, "cancelled", False)
    ]


def degraded_of(run: Handle) -> tuple[str, ...]:
    """Steps whose result is a fallback's, in the order they ended."""
    called = (each for each in run.records if isinstance(each, CallEnded))
    return (*run.marking.degraded, *(each.step for each in called if each.stage))


def _names(run: Handle) -> dict[int, str]:
    """The step of each firing, found by a replay."""
    names: dict[int, str] = {}
    replay = run.first() if run.first else Marking(len(run.net.nodes))
    names.update((firing.id, firing.node.name) for firing in replay.live.values())
    for record in run.records:
        commands = decide(run.net, replay, record)
        for command in commands:
            if type(command) is Firing:
                names[command.id] = command.node.name
        for firing in replay.live.values():
            names[firing.id] = firing.node.name
    return names
