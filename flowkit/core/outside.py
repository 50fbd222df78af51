"""What comes to a run from outside: events, answers, timers, the ends of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.commands import Answer, Command, Report
from flowkit.core.leaving import milestone, token_of
from flowkit.core.marking import DEFERRED, Marking, Token
from flowkit.core.records import (
    CallBegun,
    CallEnded,
    EventReceived,
    Record,
    RunRequeued,
    StepAnswered,
    StepAsked,
    TimerFired,
)
from flowkit.core.rounds import same_turn, spread
from flowkit.core.settling import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.core.net import Edge, Net, Node

__all__ = ["HANDLERS"]


def _received(net: Net, marking: Marking, record: EventReceived) -> Sequence[Command]:
    if marking.status not in {"running", "waiting"} or marking.undoing:
        return ()
    _awake(marking, record.at)
    out: list[Command] = []
    first = marking.next_token, marking.next_firing
    if net.phases:
        milestone(net, marking, record.name)
    token = token_of(marking, record.name, record.payload, None, -1)
    edges = [
        edge
        for edge in net.by_event.get(record.name, ())
        if not (edge.node.step.begins_on_event or _lost(marking, edge, record.name))
    ]
    for edge in edges:
        spread(marking, (edge,), _share(token, record, edge.node), out)
    if record.name not in net.definition.names:
        plain = net.by_name.get(record.name, ())
        if net.busy:
            plain = _outside(net, plain, record.name, out)
        spread(marking, plain, token, out)
    if marking.watched or marking.lanes is not None:
        same_turn(marking, *first)
    return checked(net, marking, out)


def _outside(
    net: Net, edges: tuple[Edge, ...], name: str, out: list[Command]
) -> tuple[Edge, ...]:
    """Listeners outside of groups; that there are only others is reported."""
    inside = [
        edge.node for edge in edges if edge.node.depth > (edge.node.each is not None)
    ]
    if inside and len(inside) == len(edges):
        text = (
            f"{net.definition.name} was sent {name!r}, which {inside[0].name} hears "
            f"from an instance of each(..) only; nobody listens"
        )
        out.append(Report("unheard", inside[0].name, text))
    return tuple(edge for edge in edges if edge.node not in inside)


def _lost(marking: Marking, edge: Edge, name: str) -> bool:
    """Whether a transient event finds its listener busy: it does not wait in line."""
    node = edge.node
    return (
        node.serial
        and edge.trigger is None
        and any(leaf.name == name and leaf.transient for leaf in node.direct)
        and any(each.node is node for each in marking.live.values())
    )


def _share(token: Token, record: EventReceived, node: Node) -> Token:
    """The token as one listener takes it."""
    if record.shares is None or node.name not in record.shares:
        return token
    return Token(token.name, record.shares[node.name], token.seq, token.past)


def _asked(net: Net, marking: Marking, record: StepAsked) -> Sequence[Command]:
    if record.firing not in marking.live:
        return ()
    marking.asked.setdefault(record.firing, {})[record.position] = record
    out: list[Command] = []
    if record.verb == "compensate":
        from flowkit.core.compensating import ask  # only who compensates scopes

        ask(net, marking, record, out)
    elif record.verb == "retry" and record.firing in marking.busy:
        _call_over(marking, record.firing, record.detail["call"])
    return checked(net, marking, out)


def _answered(net: Net, marking: Marking, record: StepAnswered) -> Sequence[Command]:
    open_ones = marking.asked.get(record.firing, {})
    if open_ones.pop(record.position, None) is None:
        return ()
    if not open_ones:
        del marking.asked[record.firing]
    if record.position == DEFERRED:  # nobody outside has answered
        marking.status = "running"
        marking.at = record.at
    else:
        _awake(marking, record.at)
    firing = marking.live[record.firing]
    return (Answer(firing, record.position, record.answer),)


def _timed(net: Net, marking: Marking, record: TimerFired) -> Sequence[Command]:
    timer = marking.timers.pop(record.timer, None)
    if timer is None or marking.status not in {"running", "waiting"}:
        return ()
    _awake(marking, record.at)
    out: list[Command] = []
    first = marking.next_token, marking.next_firing
    if timer.window:
        from flowkit.core.windows import ended  # only flows with windows

        ended(net, marking, timer, out)
    else:
        token = Token(
            timer.name, timer.due, first[0], timer.past, timer.source, -1, timer.lane
        )
        marking.next_token += 1
        spread(marking, net.by_timer.get(timer.name, ()), token, out)
    if timer.lane and marking.lanes is not None:
        marking.lanes.leave(timer.lane)
    if marking.watched or marking.lanes is not None:
        same_turn(marking, *first)
    return checked(net, marking, out)


def _awake(marking: Marking, at: float) -> None:
    """Something came from outside: firings are counted anew (R11)."""
    marking.status = "running"
    marking.at = at
    marking.fired = [0] * len(marking.fired)
    if marking.lanes is not None:
        marking.lanes.anew()


def _call_begun(_net: Net, marking: Marking, record: CallBegun) -> Sequence[Command]:
    if record.firing in marking.live:
        marking.busy.setdefault(record.firing, set()).add(record.position)
        marking.status = "running"
    return ()


def _call_ended(net: Net, marking: Marking, record: CallEnded) -> Sequence[Command]:
    if record.firing not in marking.busy or record.firing not in marking.live:
        return ()
    _call_over(marking, record.firing, record.position)
    return checked(net, marking, [])


def _call_over(marking: Marking, firing: int, position: int) -> None:
    """A call is under way no more, or waits for its next attempt."""
    places = marking.busy[firing]
    places.discard(position)
    if not places:
        del marking.busy[firing]


def _requeued(net: Net, marking: Marking, record: RunRequeued) -> Sequence[Command]:
    from flowkit.core.undoing import requeued  # only who begins again

    if marking.status != "failed":
        return ()
    lost = bool(marking.lost_groups)
    out = requeued(net, marking)
    return checked(net, marking, out) if lost else out


HANDLERS: dict[type[Record], Callable[[Net, Marking, Any], Sequence[Command]]] = {
    EventReceived: _received,
    StepAsked: _asked,
    StepAnswered: _answered,
    TimerFired: _timed,
    CallBegun: _call_begun,
    CallEnded: _call_ended,
    RunRequeued: _requeued,
}
