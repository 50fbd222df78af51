"""Compensation: finished steps are undone, the newest first, once each.

A step with ``undo=`` leaves its firing in ``marking.undoable`` when it ends. When the
run fails with ``on_error="compensate"``, or a step asks for it, everything live is
cancelled and the undo steps run one after another, each as a firing of its own: it is
recorded, tried again and resumed as any other, and given what its step had returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.commands import Command, End, Report
from flowkit.core.lines import begin
from flowkit.core.marking import Firing

if TYPE_CHECKING:
    from flowkit.core.marking import Lane, Marking
    from flowkit.core.net import Net

__all__ = ["Done", "Undone", "next_undo", "requeued", "undone"]


class Done(NamedTuple):
    """A finished step that can be undone.

    Attributes:
        step: its name.
        output: what it returned.
        lane: where it stood.
        at: when it ended.
        failed: undoing it has failed before.
    """

    step: str
    output: Any
    lane: Lane = ()
    at: float = 0.0
    failed: bool = False


class Undone(NamedTuple):
    """How far a compensation has come.

    Attributes:
        step: whose work is undone now.
        output: what that step returned.
        done: all that is known of it.
    """

    step: str
    output: Any
    done: Done


def next_undo(net: Net, marking: Marking) -> Command:
    """The firing that undoes the newest step not undone yet, or the end."""
    if not marking.undoable:
        marking.undoing = None
        marking.status = "failed" if marking.not_undone else "compensated"
        return End("failed" if marking.not_undone else "compensated")
    step, output, *_ = done = marking.undoable.pop()
    node = next(each for each in net.nodes if each.name == step)
    target = next(each for each in net.nodes if each.name == node.step.undo)
    firing = Firing(marking.next_firing, target, step, output)
    marking.next_firing += 1
    marking.live[firing.id] = firing
    marking.undoing = Undone(step, output, done)
    marking.status = "running"
    return firing


def undone(net: Net, marking: Marking, *, well: bool) -> list[Command]:
    """An undo step has ended; the next one, and a report if it has failed."""
    now = marking.undoing
    assert now is not None  # noqa: S101 - asked before
    out: list[Command] = []
    if not well:
        marking.not_undone.append(now.done)
        text = (
            f"{net.definition.name}.{now.step} could not be undone: its undo step "
            f"has failed. Undo it by hand, or mend the step and resume the run."
        )
        out.append(Report("not undone", now.step, text))
    out.append(next_undo(net, marking))
    return out


def requeued(net: Net, marking: Marking) -> list[Command]:
    """What failed while the run went on, or could not be undone, begins again."""
    if marking.not_undone:
        marking.undoable = marking.not_undone[::-1]
        marking.not_undone = []
        return [next_undo(net, marking)]
    out: list[Command] = []
    firings = list(marking.dead.values())
    marking.dead.clear()
    for firing in firings:
        firing.attempt += 1
        if firing.node.special:  # it waits at its gates again
            begin(marking, firing, out)
        else:
            marking.live[firing.id] = firing
            out.append(firing)
    reopened = False
    if marking.lost_groups:
        from flowkit.core.reopening import reopen  # only runs with groups

        reopened = reopen(marking, out)
    if firings or reopened:
        marking.status, marking.lost = "running", False
    return out
