"""After a record was dealt with: what settles, and whether anything is left (R14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.commands import Command, End, Fault, Report, Wait
from flowkit.core.ending import awaited, stuck_text
from flowkit.core.lines import runs_away
from flowkit.core.marking import Firing
from flowkit.core.rounds import settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.core.marking import Marking
    from flowkit.core.net import Net

__all__ = ["GOING_ON", "checked"]

GOING_ON = frozenset({"continue", "collect"})
"""Modes in which a failure that nobody listens to ends its branch alone."""


def checked(net: Net, marking: Marking, out: list[Command]) -> Sequence[Command]:
    """Settle, then stop a runaway, then see whether anything is left."""
    if marking.watched or marking.lanes is not None:
        settle(marking, out)
    if marking.lanes is not None or marking.gates is not None or marking.late:
        from flowkit.core.late import settle_rest  # only groups, gates and cancels

        settle_rest(net, marking, out)
    for command in out:
        if type(command) is Firing:
            if runs_away(marking, command):
                from flowkit.core.runaway import runaway  # only an error says it

                marking.late = ()
                return _fault(net, marking, runaway(net, command.node), out)
        elif type(command) is Fault and not _bears(net, marking):
            from flowkit.core.over import over_by_error, told  # only who fails

            return (*told(out), *over_by_error(net, marking))
    if not marking.live:
        return _rest(net, marking, out)
    if marking.gates is not None and not marking.asked and _all_wait(marking):
        return _gated(net, marking, out)
    if marking.asked and marking.waits:
        marking.status = "waiting"
        out.append(Wait())
    return out


def _bears(net: Net, marking: Marking) -> bool:
    """Whether the run goes on though a group has failed that nobody listens to."""
    marking.lost = net.definition.on_error in GOING_ON
    return marking.lost


def _all_wait(marking: Marking) -> bool:
    """Whether all that is live stands in line or at a gate."""
    line = sum(map(len, (marking.queued or {}).values()))
    waiting = 0 if marking.gates is None else len(marking.gates.waiting)
    return line + waiting == len(marking.live)


def _gated(net: Net, marking: Marking, out: list[Command]) -> Sequence[Command]:
    """All that is live waits at a gate: for an event, or for what never comes."""
    from flowkit.core.gates import deadlock, expire  # only flows with gates

    if awaited(net, marking):
        marking.status = "waiting"
        return (*out, Wait())
    if expire(marking, out):
        return checked(net, marking, out)
    return _fault(net, marking, deadlock(net, marking), out)


def _rest(net: Net, marking: Marking, out: list[Command]) -> Sequence[Command]:
    """Nothing is live: the run waits for what is outside, or it ends (R14)."""
    if awaited(net, marking):
        marking.status = "waiting"
        return (*out, Wait())
    if marking.lanes is not None and _drop_timers(marking):
        return checked(net, marking, out)
    stuck = [
        Report("stuck", each.trigger.node.name, stuck_text(net, marking, each))
        for each in marking.parked()
    ]
    if stuck and net.definition.strict:
        from flowkit.errors import StuckError  # the strict end is the rare one

        text = " ".join(report.text for report in stuck)
        return (*out, *stuck, *_fault(net, marking, StuckError(text), []))
    if (marking.dead or marking.lost) and net.definition.on_error == "collect":
        marking.status = "failed"
        return (*out, *stuck, End("failed"))
    marking.status = "completed"
    return (*out, *stuck, End("completed"))


def _drop_timers(marking: Marking) -> bool:
    """Timers that can move nothing hold no lane open; whether there were any."""
    gone = [number for number, timer in marking.timers.items() if timer.lane]
    for number in gone:
        lane = marking.timers.pop(number).lane
        if marking.lanes is not None:
            marking.lanes.leave(lane)
    return bool(gone)


def _fault(
    net: Net, marking: Marking, error: BaseException, out: list[Command]
) -> Sequence[Command]:
    from flowkit.core.over import fault  # only who fails

    return fault(net, marking, error, out)
