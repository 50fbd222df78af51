"""How a run is over before its steps are: stopped, cancelled, failed, expired.

What is live is cancelled; with ``on_error="compensate"`` a failure undoes first what
was done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.commands import Cancel, Command, End, Fault, Report
from flowkit.core.records import (
    Record,
    RunAborted,
    RunCancelled,
    RunCompensated,
    RunExpired,
    RunOverdue,
    RunStopped,
)
from flowkit.core.undoing import next_undo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.core.marking import Marking
    from flowkit.core.net import Net

__all__ = ["HANDLERS", "fault", "over_by_error", "told"]


def fault(
    net: Net, marking: Marking, error: BaseException, out: Sequence[Command] = ()
) -> Sequence[Command]:
    """The run fails by an error that is nobody's step's; ``out`` was decided before."""
    return (*told(out), Fault(error), *over_by_error(net, marking))


def told(out: Sequence[Command]) -> list[Command]:
    """What of the commands counts though the run fails: all but what was to start."""
    return [each for each in out if type(each) in {Cancel, Fault, Report}]


def over_by_error(net: Net, marking: Marking) -> Sequence[Command]:
    """The run fails; what was done is undone first, if it is to be."""
    cancel = _cancel_all(marking)
    if net.definition.on_error == "compensate":
        return (*cancel, next_undo(net, marking))
    marking.status = "failed"
    return (*cancel, End("failed"))


def _cancel_all(marking: Marking) -> tuple[Command, ...]:
    firings = tuple(marking.live.values())
    if marking.compensations:
        from flowkit.core.compensating import hand_back  # only who compensates scopes

        hand_back(marking)
    marking.live.clear()
    marking.rounds.clear()
    marking.watched.clear()
    marking.asked.clear()
    marking.timers.clear()
    marking.queued = marking.lanes = marking.gates = None
    marking.late = ()
    marking.undoing = None
    return (Cancel(firings),) if firings else ()


def _ends(marking: Marking, firing: int | None) -> bool:
    """Whether a run that is not over is ended by a firing that is live."""
    if marking.status not in {"running", "waiting"}:
        return False
    return firing is None or marking.live.pop(firing, None) is not None


def _stopped(net: Net, marking: Marking, record: RunStopped) -> Sequence[Command]:
    if not _ends(marking, record.firing):
        return ()
    marking.status = "completed"
    return (*_cancel_all(marking), End("completed"))


def _aborted(net: Net, marking: Marking, record: RunAborted) -> Sequence[Command]:
    if not _ends(marking, record.firing):
        return ()
    marking.status = "cancelled"
    return (*_cancel_all(marking), End("cancelled"))


def _compensated(
    net: Net, marking: Marking, record: RunCompensated
) -> Sequence[Command]:
    if marking.undoing is not None or not _ends(marking, record.firing):
        return ()
    return (*_cancel_all(marking), next_undo(net, marking))


def _overdue(net: Net, marking: Marking, record: RunOverdue) -> Sequence[Command]:
    if marking.undoing is not None or not _ends(marking, None):
        return ()
    return over_by_error(net, marking)


def _cancelled(net: Net, marking: Marking, record: RunCancelled) -> Sequence[Command]:
    if not _ends(marking, None):
        return ()
    marking.status = "cancelled"
    return (*_cancel_all(marking), End("cancelled"))


def _expired(net: Net, marking: Marking, record: RunExpired) -> Sequence[Command]:
    if not _ends(marking, None):
        return ()
    marking.status = "expired"
    return (*_cancel_all(marking), End("expired"))


HANDLERS: dict[type[Record], Callable[[Net, Marking, Any], Sequence[Command]]] = {
    RunStopped: _stopped,
    RunAborted: _aborted,
    RunCancelled: _cancelled,
    RunCompensated: _compensated,
    RunExpired: _expired,
    RunOverdue: _overdue,
}
