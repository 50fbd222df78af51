"""What a firing leaves when it ends well: tokens, timers, its place in line (R1).

In this order: what it emitted, the token of its own name, one for each label it
chose. Listeners of a name in another group than the step are an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.commands import Arm, Report
from flowkit.core.lines import next_in_line
from flowkit.core.marking import NOTHING, Timer, Token
from flowkit.core.rounds import spread
from flowkit.errors import RouteError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.core.commands import Command
    from flowkit.core.definition import Leaf
    from flowkit.core.marking import Firing, Lane, Marking
    from flowkit.core.net import Edge, Net
    from flowkit.core.records import StepFinished

__all__ = ["arm", "emit", "give_up", "goes_on", "leave", "milestone", "token_of"]


def token_of(
    marking: Marking, name: str, payload: Any, source: Firing | None, router: int
) -> Token:
    """The next arrival of the run; ``router`` is the step that chose it, or -1."""
    seq = marking.next_token
    marking.next_token = seq + 1
    if source is None:
        return Token(name, payload, seq, NOTHING, -1, router)
    return Token(name, payload, seq, source.past, source.id, router, source.lane)


def arm(
    marking: Marking, leaf: Leaf, at: float, source: Firing | None, out: list[Command]
) -> None:
    """Set a timer of the graph."""
    number = marking.next_timer
    marking.next_timer = number + 1
    if source is None:
        timer = Timer(leaf.name, at + leaf.delay, NOTHING, -1)
    else:
        due, lane = at + leaf.delay, source.lane
        timer = Timer(leaf.name, due, source.past, source.id, lane)
        if lane and marking.lanes is not None:
            marking.lanes.enter(lane)
    marking.timers[number] = timer
    out.append(Arm(number, at + leaf.delay))


def leave(
    net: Net,
    marking: Marking,
    firing: Firing,
    record: StepFinished,
    out: list[Command],
) -> Exception | None:
    """What a firing that ended well leaves: tokens, timers, its place in line."""
    node = firing.node
    if node.special:
        give_up(marking, firing, out)
    if firing.lane and not goes_on(marking, firing.lane):
        return None  # it has cancelled its own group: nobody hears of it
    for leaf in node.timers:
        arm(marking, leaf, record.at, firing, out)
    for name, payload in record.emitted:
        fault = emit(net, marking, firing, name, payload, out)
        if fault is not None:
            return fault
        if not goes_on(marking, firing.lane):
            return None  # it has decided a race that its group has lost
    _end(net, marking, firing, record, out)
    for label in record.labels:
        if not goes_on(marking, firing.lane):
            return None
        payload = label if record.payload is None else record.payload
        fault = _choose(net, marking, firing, label, payload, out)
        if fault is not None:
            return fault
    return None


def _end(
    net: Net,
    marking: Marking,
    firing: Firing,
    record: StepFinished,
    out: list[Command],
) -> None:
    """The token of a step's own name."""
    node = firing.node
    if net.phases:
        milestone(net, marking, node.name)
    gathered = node.depth and node.name in net.gathered
    if not (node.done or gathered):
        return
    token = token_of(marking, node.name, record.output, firing, -1)
    edges = node.done
    if node.feeds and _ends_stream(marking, firing, out):
        edges = tuple(edge for edge in edges if edge not in node.feeds)
    spread(marking, edges, token, out)
    if gathered:
        _collect(net, marking, token, out)


def _choose(
    net: Net,
    marking: Marking,
    firing: Firing,
    label: str,
    payload: Any,
    out: list[Command],
) -> Exception | None:
    """The token of a label; one that nobody takes is reported."""
    node = firing.node
    if net.phases:
        milestone(net, marking, label)
    edges = net.by_name.get(label, ())
    if edges or label in net.gathered:
        token = token_of(marking, label, payload, firing, node.index)
        fault = _misplaced(net, firing, label, edges)
        if fault is None:
            spread(marking, edges, token, out)
            if label in net.gathered:
                _collect(net, marking, token, out)
        return fault
    text = f"{net.definition.name}.{node.name} chose {label!r}; nobody listens"
    if net.definition.strict:
        return RouteError(f"{text}. ({node.step.place})")
    out.append(Report("unheard", node.name, text))
    return None


def give_up(marking: Marking, firing: Firing, out: list[Command]) -> None:
    """What a special firing holds while it is live."""
    node = firing.node
    if node.serial:
        next_in_line(marking, node, out)
    if node.gated:
        from flowkit.core.gates import free  # only flows with gates

        free(marking, firing)
    if firing.lane and marking.lanes is not None:
        marking.lanes.leave(firing.lane)


def emit(
    net: Net,
    marking: Marking,
    firing: Firing,
    name: str,
    payload: Any,
    out: list[Command],
) -> Exception | None:
    """An event of the flow's own: to listeners of the name, plain or as event."""
    if net.phases:
        milestone(net, marking, name)
    edges = net.by_name.get(name, ())
    heard = tuple(
        edge
        for edge in net.by_event.get(name, ())
        if not edge.node.step.begins_on_event
    )
    token = token_of(marking, name, payload, firing, -1)
    fault = _misplaced(net, firing, name, edges)
    if fault is not None:
        return fault
    spread(marking, edges, token, out)
    if heard:
        token = Token(name, payload, token.seq, firing.past, firing.id)
        spread(marking, heard, token, out)
    if name in net.gathered:
        _collect(net, marking, token, out)
    elif not (edges or heard):
        text = f"{net.definition.name}.{firing.node.name} emitted {name!r}"
        if net.definition.strict:
            place = firing.node.step.place
            return RouteError(f"{text}; nobody listens. ({place})")
        out.append(Report("unheard", firing.node.name, f"{text}; nobody listens"))
    return None


def _misplaced(
    net: Net, firing: Firing, name: str, edges: Sequence[Edge]
) -> Exception | None:
    """A listener in another group than the token, which no check could foresee."""
    if not net.gathers and not firing.node.depth:
        return None
    for edge in edges:
        node = edge.node
        depth = node.depth - (node.each is not None)
        if depth != len(firing.lane):
            return RouteError(
                f"{net.definition.name}.{firing.node.name} leaves {name!r} in "
                f"{_depth(len(firing.lane))}, but {node.name} listens in "
                f"{_depth(depth)}. Put gather(..) between them, or declare who leaves "
                f"the name. ({firing.node.step.place})"
            )
    return None


def _depth(depth: int) -> str:
    return f"{depth} group{'' if depth == 1 else 's'}" if depth else "no group"


def _collect(net: Net, marking: Marking, token: Token, out: list[Command]) -> None:
    if token.lane:
        from flowkit.core.groups import collect  # only flows with groups

        for gather in net.gathered[token.name]:
            collect(marking, gather, token, out)


def milestone(net: Net, marking: Marking, name: str) -> None:
    """A name has come that may open or close milestones."""
    from flowkit.core.gates import note  # only flows with gates

    note(net, marking, name)


def _ends_stream(marking: Marking, firing: Firing, out: list[Command]) -> bool:
    if firing.node.step.yields:
        from flowkit.core.fanning import end_stream  # only flows with groups

        end_stream(marking, firing, out)
        return True
    return marking.lanes is not None and marking.lanes.exhaust(firing)


def goes_on(marking: Marking, lane: Lane) -> bool:
    """Whether a lane is not over."""
    return not lane or (marking.lanes is not None and lane in marking.lanes)
