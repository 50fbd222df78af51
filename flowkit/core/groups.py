"""Groups of instances: opened by ``each``, closed by ``gather`` (R10).

Item i of a group runs in a lane of its own, and so does all that comes of it. A lane
is over when nothing in it is live; a join that it leaves unfired is stuck. A group is
done when its source is exhausted and all its lanes are over. A gather fires once: when
the group is done, or as soon as it has enough. What a failed instance means for the
others is the group's policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.commands import Fault, Judge, Report
from flowkit.core.ending import stuck_text
from flowkit.core.fanning import lanes_of, look, pump
from flowkit.core.lanes import Results
from flowkit.core.marking import Token, within
from flowkit.core.rounds import spread
from flowkit.core.withdraw import withdraw_lanes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.commands import Command
    from flowkit.core.lanes import Group
    from flowkit.core.marking import Firing, Lane, Marking, Round
    from flowkit.core.net import Gather, Node
    from flowkit.core.reopening import Lost

__all__ = [
    "collect",
    "complete",
    "fail_instance",
    "gathers",
    "group_for",
    "judged",
    "settle_lane",
    "unjudged",
]

NONE = Results()
"""What a gather has that no instance has reached; never added to."""


def settle_lane(marking: Marking, out: list[Command]) -> bool:
    """Look at one lane that may be over; whether there was one."""
    lanes = lanes_of(marking)
    while lanes.idle:
        lane = lanes.idle.popleft()
        number, index = lane[-1]
        group = lanes.groups.get(number)
        if group is None:
            continue
        instance = group.lanes.get(index)
        if instance is not None:
            if instance.live:
                continue
            _stuck(marking, lanes.close(marking, group, index), out)
        if group.exhausted and group.failed and not _waits(group):
            _fail(marking, group, out)
            return True
        pump(marking, group, out)
        if not (group.lanes or group.items) and group.exhausted:
            _finish(marking, group, out)
        return True
    return False


def _stuck(marking: Marking, parked: list[Round], out: list[Command]) -> None:
    """Joins of a lane that is over, which did not fire."""
    for each in parked:
        net = each.trigger.net
        text = stuck_text(net, marking, each)
        out.append(Report("stuck", each.trigger.node.name, text))
        if net.definition.strict:
            from flowkit.errors import StuckError  # the strict end is the rare one

            out.append(Fault(StuckError(text)))


def _waits(group: Group) -> bool:
    """Whether a group that has failed goes on to its end all the same."""
    each = group.node.each
    return each is not None and each.failures == "finish"


def group_for(marking: Marking, target: Node, lane: Lane) -> Group | None:
    """The group of a step that a lane belongs to, else the youngest open one in it."""
    if marking.lanes is None:
        return None
    groups = marking.lanes.groups
    for number, _ in reversed(lane):
        group = groups.get(number)
        if group is not None and group.node is target:
            return group
    for group in reversed(groups.values()):
        if group.node is target and within(lane, group.lane):
            return group
    return None


def collect(marking: Marking, gather: Gather, token: Token, out: list[Command]) -> None:
    """A result for a gather; it fires if that is enough."""
    assert marking.lanes is not None  # noqa: S101 - the token stands in a lane
    number, index = token.lane[-1]
    group = marking.lanes.groups.get(number)
    if group is None or group.node is not gather.fan or gather.index in group.fired:
        return
    results = group.results.get(gather.index)
    if results is None:
        results = group.results[gather.index] = Results()
    results.put(index, token.payload)
    need = gather.leaf.need
    if need and len(results) >= need:
        _gathered(marking, group, gather, out)
    elif gather.leaf.until:
        out.append(Judge(group.id, gather.index, _values(group, gather), group.total))


def judged(marking: Marking, number: int, gather: Gather, out: list[Command]) -> None:
    """A predicate has said that a gather has enough."""
    group = None if marking.lanes is None else marking.lanes.groups.get(number)
    if group is not None and gather.index not in group.fired:
        _gathered(marking, group, gather, out)


def gathers(marking: Marking, number: int, gather: int) -> bool:
    """Whether a gather of a group has not fired, so that its predicate matters."""
    group = None if marking.lanes is None else marking.lanes.groups.get(number)
    return group is not None and gather not in group.fired


def unjudged(marking: Marking) -> Iterator[Judge]:
    """Gathers whose predicate is to be asked again, after a restart."""
    groups = [] if marking.lanes is None else [*marking.lanes.groups.values()]
    for group in groups:
        for gather in group.node.gathers:
            asked = gather.leaf.until and group.results.get(gather.index)
            if asked and gather.index not in group.fired:
                values = _values(group, gather)
                yield Judge(group.id, gather.index, values, group.total)


def _values(group: Group, gather: Gather) -> list[Any]:
    """Results by index; of those who failed their errors, if they are collected."""
    assert group.node.each is not None  # noqa: S101 - else it has no group
    results = group.results.get(gather.index, NONE)
    if group.node.each.failures != "collect" or not group.failures:
        return [*results.values]
    found = {
        **dict(zip(results.indexes, results.values, strict=True)),
        **group.failures,
    }
    return [found[index] for index in sorted(found)]


def _gathered(
    marking: Marking, group: Group, gather: Gather, out: list[Command]
) -> None:
    """Fire a gather with what it has; nothing is added to its group any more."""
    group.fired.add(gather.index)
    group.sealed = True
    if group.lane:
        lanes_of(marking).stirred.add(group.lane)
    values = _values(group, gather)
    if gather.leaf.rest == "cancel":
        _withdraw_rest(marking, group, group.results.get(gather.index, NONE), out)
    seq = marking.next_token
    marking.next_token = seq + 1
    token = Token(gather.leaf.name, values, seq, group.past, lane=group.lane)
    spread(marking, gather.edges, token, out)


def _withdraw_rest(
    marking: Marking,
    group: Group,
    kept: Results,
    out: list[Command],
    asking: int = -1,
) -> None:
    group.items.clear()
    gone = [index for index in group.lanes if index not in kept]
    withdraw_lanes(marking, group, gone, out, asking)
    look(marking, group)


def complete(marking: Marking, group: Group, asking: int, out: list[Command]) -> None:
    """Withdraw what is left, and go on as if the group were done.

    Args:
        asking: number of the firing that asks, which is spared.
    """
    group.sealed = group.exhausted = True
    _withdraw_rest(marking, group, NONE, out, asking)
    if group.failed:
        return  # too many already: that is told, as at any end
    for gather in group.node.gathers:
        if gather.index not in group.fired:
            _gathered(marking, group, gather, out)


def fail_instance(
    marking: Marking,
    lane: Lane,
    error: BaseException,
    out: list[Command],
    firing: Firing | None = None,
    lost: Lost | None = None,
) -> None:
    """Nobody handles a failure in a lane: its group's policy says what follows.

    If the lane is over, it is one of the lane around it; in the end, of the run.

    Args:
        firing: that failed, if it was one.
        lost: the group that failed, else.
    """
    assert marking.lanes is not None  # noqa: S101 - there is a lane
    lane = marking.lanes.surviving(lane)
    if not lane:
        out.append(Fault(error))
        return
    number, index = lane[-1]
    group = marking.lanes.groups[number]
    assert group.node.each is not None  # noqa: S101 - else it has no group
    each = group.node.each
    group.failures[index] = error
    if _collects(group):
        from flowkit.core.reopening import keep_lane  # only runs that collect

        keep_lane(marking, group, index, firing, lost)
    withdraw_lanes(marking, group, [index], out)
    look(marking, group)
    for gather in group.node.gathers:
        if gather.index in group.results:
            group.results[gather.index].drop(index)
    share = each.max_failures is not None and each.max_failures < 1
    if share and not group.exhausted:
        return  # how many that is will be known at the end
    if group.failed and each.failures != "finish":
        _fail(marking, group, out)


def _finish(marking: Marking, group: Group, out: list[Command]) -> None:
    """A group is done: gathers that have not fired do, and it is forgotten."""
    if group.failed:
        _fail(marking, group, out)
        return
    for gather in group.node.gathers:
        if gather.index in group.fired:
            continue
        results = group.results.get(gather.index, NONE)
        if len(results) < gather.leaf.need:
            error = _too_few(group, gather, len(results))
            if not _tell(marking, group, gather, error, out):
                lost = _kept(marking, group)
                _close(marking, group)
                _unhandled(marking, group, [error], out, lost)
                return
        else:
            _gathered(marking, group, gather, out)
    _close(marking, group)


def _close(marking: Marking, group: Group) -> None:
    assert marking.lanes is not None  # noqa: S101 - it stands in it
    if marking.lanes.groups.pop(group.id, None) is not None and group.lane:
        marking.lanes.leave(group.lane)


def _fail(marking: Marking, group: Group, out: list[Command]) -> None:
    """Too many instances have failed: the rest is withdrawn, who gathers is told."""
    lost = _kept(marking, group)
    group.sealed = group.exhausted = True
    group.items.clear()
    withdraw_lanes(marking, group, list(group.lanes), out)
    errors = [group.failures[index] for index in group.failures]
    open_ = [each for each in group.node.gathers if each.index not in group.fired]
    told = any(node.failed for gather in open_ for node in gather.nodes)
    error = _noted(errors) if told else errors[0]
    for gather in open_:
        group.fired.add(gather.index)
        _tell(marking, group, gather, error, out)
    _close(marking, group)
    if not told:
        _unhandled(marking, group, errors, out, lost)


def _collects(group: Group) -> bool:
    """Whether the run goes on, and what has failed may be requeued in the end."""
    return group.node.net.definition.on_error == "collect"


def _kept(marking: Marking, group: Group) -> Lost | None:
    """A group as it is, before it is taken away."""
    if not _collects(group):
        return None
    from flowkit.core.reopening import keep  # only runs that collect

    return keep(marking, group)


def _noted(errors: list[BaseException]) -> BaseException:
    first, *others = errors
    for other in others:
        first.add_note(
            f"flowkit: another instance failed: {type(other).__name__}: {other}"
        )
    return first


def _tell(
    marking: Marking,
    group: Group,
    gather: Gather,
    error: BaseException,
    out: list[Command],
) -> bool:
    """Have who gathers fail, if somebody listens to that."""
    told = False
    for node in gather.nodes:
        if node.failed:
            told = True
            seq = marking.next_token
            marking.next_token = seq + 1
            name = f"{node.name}.failed"
            token = Token(name, error, seq, group.past, lane=group.lane)
            spread(marking, node.failed, token, out)
    return told


def _unhandled(
    marking: Marking,
    group: Group,
    errors: list[BaseException],
    out: list[Command],
    lost: Lost | None,
) -> None:
    if group.lane:
        fail_instance(marking, group.lane, _noted(errors), out, lost=lost)
    else:
        if lost is not None:
            marking.lost_groups.append(lost)
        out.extend(Fault(error) for error in errors)


def _too_few(group: Group, gather: Gather, count: int) -> Exception:
    from flowkit.errors import GatherError

    node = gather.nodes[0]
    failed = f", {len(group.failures)} failed" if group.failures else ""
    return GatherError(
        f"{node.net.definition.name}.{node.name} needs {gather.leaf.need} results of "
        f"{gather.leaf.name}; {count} of {group.total} instances gave one{failed}. "
        f"Listen to {node.name}.failed, or ask for fewer. ({node.step.place})"
    )
