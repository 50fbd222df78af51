"""Compensation of a scope: some finished steps are undone, and the run goes on.

A step asks for it and waits. What it names is taken out of ``marking.undoable`` and
undone one after another, the newest first, each by a firing of its own. The last of
them gives the answer, which so needs no record. What could not be undone is put back
at its place: whoever compensates next tries it again. Several compensations come one
after another.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from flowkit.core.commands import Answer, Command, Report
from flowkit.core.leaving import give_up
from flowkit.core.lines import begin
from flowkit.core.marking import Firing
from flowkit.core.net import targets

if TYPE_CHECKING:
    from flowkit.core.marking import Lane, Marking
    from flowkit.core.net import Net
    from flowkit.core.records import StepAsked, StepFailed
    from flowkit.core.undoing import Done

__all__ = ["Compensation", "ask", "hand_back", "undone_here"]

_AT = attrgetter("at")


class Compensation:
    """One that a step has asked for.

    Attributes:
        firing: who asks.
        position: of its question.
        todo: what is to be undone, oldest first.
        undoing: what is undone now, None before its turn.
        number: of the firing that does.
        undone: names of steps whose work is undone.
        faults: names of the others, and why.
        left: their work.
    """

    __slots__ = (
        "faults",
        "firing",
        "left",
        "number",
        "position",
        "todo",
        "undoing",
        "undone",
    )

    def __init__(self, firing: int, position: int, todo: list[Done]) -> None:
        self.firing: int = firing
        self.position: int = position
        self.todo: list[Done] = todo
        self.undoing: Done | None = None
        self.number: int = 0
        self.undone: list[str] = []
        self.faults: list[list[str]] = []
        self.left: list[Done] = []


def ask(net: Net, marking: Marking, record: StepAsked, out: list[Command]) -> None:
    """A step asks that a scope be undone, and waits for it."""
    nodes = targets(net, tuple(record.detail["scope"]))
    names = {node.name for node in net.nodes if node.bit & nodes}
    lane = marking.live[record.firing].lane
    todo = [
        each
        for each in marking.undoable
        if each.step in names and _meets(each.lane, lane)
    ]
    gone = set(map(id, todo))
    marking.undoable = [each for each in marking.undoable if id(each) not in gone]
    marking.compensations.append(Compensation(record.firing, record.position, todo))
    if len(marking.compensations) == 1:
        _go_on(net, marking, out)


def _meets(one: Lane, other: Lane) -> bool:
    """Whether one of two lanes is within the other."""
    depth = min(len(one), len(other))
    return one[:depth] == other[:depth]


def _go_on(net: Net, marking: Marking, out: list[Command]) -> None:
    """The next firing that undoes, and the answer of what is through."""
    while marking.compensations:
        now = marking.compensations[0]
        if now.todo:
            now.undoing = now.todo.pop()
            now.number = marking.next_firing
            marking.next_firing += 1
            _undo(net, marking, now, out)
            return
        marking.compensations.pop(0)
        marking.undoable = sorted([*marking.undoable, *now.left], key=_AT)
        _answer(marking, now, out)


def _undo(net: Net, marking: Marking, now: Compensation, out: list[Command]) -> None:
    done = now.undoing
    assert done is not None  # noqa: S101 - it was taken just now
    node = next(each for each in net.nodes if each.name == done.step)
    target = next(each for each in net.nodes if each.name == node.step.undo)
    firing = Firing(now.number, target, done.step, done.output)
    if target.special:  # it waits at its gates
        begin(marking, firing, out)
    else:  # not counted: an undo is no turn of a loop
        marking.live[firing.id] = firing
        out.append(firing)


def _answer(marking: Marking, now: Compensation, out: list[Command]) -> None:
    """Who has asked goes on, if it still waits."""
    questions = marking.asked.get(now.firing, {})
    if questions.pop(now.position, None) is None:
        return
    if not questions:
        del marking.asked[now.firing]
    marking.status = "running"
    answer = [now.undone, now.faults]
    out.append(Answer(marking.live[now.firing], now.position, answer))


def undone_here(
    net: Net, marking: Marking, firing: Firing, failed: StepFailed | None = None
) -> list[Command]:
    """A firing that undoes something of a scope has ended; the next one."""
    now = marking.compensations[0]
    done = now.undoing
    assert done is not None  # noqa: S101 - its firing was live
    out: list[Command] = []
    name = f"{net.definition.name}.{done.step}"
    if firing.node.special:
        give_up(marking, firing, out)
    if failed is None:
        now.undone.append(done.step)
        if done.failed:
            out.append(Report("undone", done.step, f"{name} is undone after all."))
    else:
        why = f"{type(failed.error).__name__}: {failed.error}"
        now.faults.append([done.step, why])
        now.left.append(done._replace(failed=True))
        if not done.failed:
            text = (
                f"{name} could not be undone: its undo step has failed ({why}). Undo "
                f"it by hand, or mend the step and compensate again."
            )
            out.append(Report("not undone", done.step, text))
    now.undoing, now.number = None, 0
    _go_on(net, marking, out)
    return out


def hand_back(marking: Marking) -> None:
    """Compensations end in the middle: what is not undone can still be undone."""
    for each in marking.compensations:
        now = () if each.undoing is None else (each.undoing,)
        marking.undoable += [*each.todo, *now, *each.left]
    marking.undoable.sort(key=_AT)
    marking.compensations = []
