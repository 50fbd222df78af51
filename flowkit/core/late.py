"""What comes after the joins of a record have settled: groups, cancels, gates (R3).

Steps leave in ``marking.late`` what has to wait until then: a group that opens, what
a step cancels, and who hears of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.commands import Command, Fault
from flowkit.core.leaving import goes_on, milestone, token_of
from flowkit.core.lines import next_in_line, runs_away, started
from flowkit.core.marking import Firing, Marking, Token
from flowkit.core.rounds import settle, spread
from flowkit.core.runaway import runaway

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.net import Net, Node

__all__ = ["settle_rest"]


def settle_rest(net: Net, marking: Marking, out: list[Command]) -> None:
    """Groups, then gates, until nothing moves or something runs away (R3)."""
    moved = True
    seen = 0
    while moved:
        moved = False
        new, seen = out[seen:], len(out)
        if any(type(each) is Firing and runs_away(marking, each) for each in new):
            return
        if marking.late:
            late, marking.late = marking.late, ()
            for what, *about in sorted(late, key=_order):
                _LATE[what](net, marking, out, *about)
            moved = True
        elif marking.lanes is not None and _lane(marking, out):
            moved = True
        elif marking.gates is not None:
            from flowkit.core.gates import recheck  # only flows with gates

            firings, moved = recheck(marking, out)
            for firing in firings:
                started(marking, firing, out)
        if moved and (marking.watched or marking.lanes is not None):
            settle(marking, out)


def _lane(marking: Marking, out: list[Command]) -> bool:
    """Look at one lane that may be over; whether there was one."""
    if marking.lanes is None or not marking.lanes.idle:
        return False
    from flowkit.core.groups import settle_lane  # only flows with groups

    return settle_lane(marking, out)


def _open(
    net: Net,
    marking: Marking,
    out: list[Command],
    node: Node,
    token: Token,
    past: frozenset[int],
) -> None:
    from flowkit.core.fanning import lanes_of, open_group  # only flows that fan out

    lane = token.lane
    if not goes_on(marking, lane):
        return
    opened = lanes_of(marking).count(node, lane) if lane else marking.fired[node.index]
    if opened >= node.limit:
        out.append(Fault(runaway(net, node)))
        return
    open_group(marking, node, token, past, out)


def _cut(net: Net, marking: Marking, out: list[Command], firing: Firing) -> None:
    """What a step cancels as it starts."""
    from flowkit.core.withdraw import reach, withdraw  # only flows that cancel

    if firing.id not in marking.live:
        return  # another one has cancelled it
    nodes = firing.node.cancels
    lane = reach(net, nodes, firing.lane)
    withdraw(net, marking, nodes, out, lane=lane, asking=firing.id)


def _tell(net: Net, marking: Marking, out: list[Command], firing: Firing) -> None:
    """Who listens to the cancelling of a step hears of it, if its lane goes on."""
    name = f"{firing.node.name}.cancelled"
    if net.phases:
        milestone(net, marking, name)
    if goes_on(marking, firing.lane):
        token = token_of(marking, name, None, firing, -1)
        spread(marking, firing.node.cancelled, token, out)


def _next(_: Net, marking: Marking, out: list[Command], node: Node) -> None:
    """A firing has missed its time: the next one in line has a try."""
    next_in_line(marking, node, out)


_LATE: dict[str, Callable[..., None]] = {
    "open": _open,
    "cut": _cut,
    "tell": _tell,
    "next": _next,
}

_LATE_ORDER = ("open", "cut", "tell", "next")


def _order(late: tuple[Any, ...]) -> int:
    """What is to open comes before what is to be cut, or it would survive."""
    return _LATE_ORDER.index(late[0])
