"""Cancelling a part of a run: steps, regions, groups, lanes (R8, R13).

Bodies at work are cancelled and joined by the runner; ready firings, queued ones and
parked tokens are removed, open questions and timers withdrawn. What was committed
before stays. Whoever listens to ``step.cancelled`` is told once all has settled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.commands import Cancel
from flowkit.core.lines import next_in_line
from flowkit.core.marking import within
from flowkit.core.net import bits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from flowkit.core.commands import Command
    from flowkit.core.lanes import Group
    from flowkit.core.marking import Firing, Lane, Marking, Round
    from flowkit.core.net import Net

__all__ = ["reach", "withdraw", "withdraw_firing", "withdraw_lanes"]


def reach(net: Net, nodes: int, lane: Lane) -> Lane:
    """How far up a lane these steps stand: what is asked there holds from there on."""
    depth = len(lane)
    for index in bits(nodes):
        node = net.nodes[index]
        depth = min(depth, node.depth - (node.each is not None))
    return lane[:depth]


def withdraw(  # noqa: C901 - one part of a marking after another
    net: Net,
    marking: Marking,
    nodes: int,
    out: list[Command],
    *,
    lane: Lane = (),
    cause: int = 0,
    asking: int = -1,
) -> None:
    """Cancel what is live or parked in these steps.

    Args:
        nodes: the steps, as a bitset; of one that fans out its whole group.
        lane: only there and below.
        cause: number of a round whose own work is spared, 0 for none.
        asking: number of the firing that asks, which is spared.
    """
    groups = () if marking.lanes is None else [*marking.lanes.groups.values()]
    gone = {
        group.id
        for group in groups
        if nodes & group.node.bit
        and within(group.lane, lane)
        and cause not in group.past
    }

    def inside(there: Lane) -> bool:
        return any(number in gone for number, _ in there)

    def takes(firing: Firing) -> bool:
        if firing.id == asking:
            return False
        if inside(firing.lane):
            return True
        return bool(
            nodes & firing.node.bit
            and within(firing.lane, lane)
            and cause not in firing.past
        )

    def opens(late: tuple[Any, ...]) -> bool:
        if late[0] != "open":
            return False
        _, node, token, past = late
        own = nodes & node.bit and within(token.lane, lane) and cause not in past
        return inside(token.lane) or bool(own)

    marking.late = tuple(late for late in marking.late if not opens(late))
    for group in groups:
        if group.id in gone or inside(group.lane):
            _forget(marking, group)
    _firings(marking, takes, out)
    for parked in list(marking.parked(lane)):
        if nodes & parked.trigger.node.bit and within(parked.lane, lane):
            _purge(marking, parked, cause)
    _timers(net, marking, nodes, lane, inside)


def withdraw_lanes(
    marking: Marking,
    group: Group,
    indexes: Iterable[int],
    out: list[Command],
    asking: int = -1,
) -> None:
    """Cancel all that goes on in some lanes of a group: they are over.

    Args:
        asking: number of the firing that asks, which is spared; but its lane is over.
    """
    assert marking.lanes is not None  # noqa: S101 - the group stands in it
    gone = {(group.id, index) for index in indexes}
    if not gone:
        return
    depth = len(group.lane)

    def inside(there: Lane) -> bool:
        return len(there) > depth and there[depth] in gone

    marking.late = tuple(
        late for late in marking.late if late[0] != "open" or not inside(late[2].lane)
    )
    if group.node.nests:
        for inner in [*marking.lanes.groups.values()]:
            if inside(inner.lane):
                _forget(marking, inner)
    _firings(marking, lambda firing: inside(firing.lane) and firing.id != asking, out)
    for number, timer in list(marking.timers.items()):
        if inside(timer.lane):
            del marking.timers[number]
    for _, index in gone:
        marking.lanes.close(marking, group, index)


def _forget(marking: Marking, group: Group) -> None:
    """Take a group away; a step that feeds it goes on to nobody."""
    assert marking.lanes is not None  # noqa: S101 - the group stands in it
    group.items.clear()
    for index in list(group.lanes):
        marking.lanes.close(marking, group, index)
    if marking.lanes.groups.pop(group.id, None) is not None and group.lane:
        marking.lanes.leave(group.lane)


def withdraw_firing(marking: Marking, firing: Firing, out: list[Command]) -> None:
    """Stop one firing; what it holds is given up by who calls."""
    del marking.live[firing.id]
    marking.asked.pop(firing.id, None)
    marking.settle_deferred(firing)
    queue = (marking.queued or {}).get(firing.node.index)
    if queue and firing in queue:
        queue.remove(firing)
    out.append(Cancel((firing,)))


def _firings(
    marking: Marking, takes: Callable[[Firing], bool], out: list[Command]
) -> None:
    gone = tuple(firing for firing in marking.live.values() if takes(firing))
    if marking.compensations:
        gone = tuple(each for each in gone if not marking.is_undo(each.id))
    if not gone:
        return
    for firing in gone:
        del marking.live[firing.id]
        marking.asked.pop(firing.id, None)
        marking.settle_deferred(firing)
        queue = (marking.queued or {}).get(firing.node.index)
        if queue and firing in queue:
            queue.remove(firing)
        if marking.gates is not None:
            from flowkit.core.gates import free  # only who has gates

            free(marking, firing)
        if firing.node.feeds and marking.lanes is not None:
            marking.lanes.exhaust(firing)
        if firing.lane and marking.lanes is not None:
            marking.lanes.leave(firing.lane)
        if firing.node.heard:
            marking.late = (*marking.late, ("tell", firing))
    out.append(Cancel(gone))
    for node in dict.fromkeys(firing.node for firing in gone):
        next_in_line(marking, node, out)


def _purge(marking: Marking, parked: Round, cause: int) -> None:
    for slot, tokens in list(parked.held.items()):
        tokens[:] = [token for token in tokens if cause and cause in token.past]
        if len(tokens) < parked.trigger.slots[slot].need:
            parked.arrived &= ~(1 << slot)
        if not tokens:
            del parked.held[slot]
    if not parked.held:
        marking.close(parked)
        for number, timer in list(marking.timers.items()):
            if timer.window == parked.id:
                del marking.timers[number]
                if timer.lane and marking.lanes is not None:
                    marking.lanes.leave(timer.lane)
    if parked.lane and marking.lanes is not None:
        marking.lanes.stirred.add(parked.lane)


def _timers(
    net: Net,
    marking: Marking,
    nodes: int,
    lane: Lane,
    inside: Callable[[Lane], bool],
) -> None:
    """Timers in cancelled groups, and those that lead nowhere else."""
    for number, timer in list(marking.timers.items()):
        heard = 0
        for edge in net.by_timer.get(timer.name, ()):
            heard |= edge.node.bit
        useless = heard and not heard & ~nodes and within(timer.lane, lane)
        if inside(timer.lane) or useless:
            del marking.timers[number]
            if timer.lane and marking.lanes is not None:
                marking.lanes.leave(timer.lane)
