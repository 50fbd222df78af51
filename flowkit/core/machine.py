"""The machine: one record in, commands out.

:func:`decide` looks its handler up by the record's type and changes nothing but
the marking. The rules are R1-R15 of ``docs/explanation/semantics.md``; what a
record does is short:

- a finished step's name and labels become tokens, tokens become firings (R1-R9);
- a failed step without a ``.failed`` listener ends the run, siblings cancelled;
- nothing live: the run waits for what is outside, or is over (R14).

The common case, one plain listener behind a step and nothing watched, takes a
handful of dictionary operations and builds one firing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.commands import (
    Answer,
    Command,
    End,
)
from flowkit.core.leaving import arm, give_up, goes_on, leave, milestone, token_of
from flowkit.core.lines import fire
from flowkit.core.marking import DEFERRED, NOTHING, Firing, Marking, Token
from flowkit.core.records import (
    CallBegun,
    CallEnded,
    EventReceived,
    GroupJudged,
    Record,
    RunAborted,
    RunCancelled,
    RunCompensated,
    RunExpired,
    RunOverdue,
    RunRequeued,
    RunStarted,
    RunStopped,
    StepActed,
    StepAnswered,
    StepAsked,
    StepDeferred,
    StepFailed,
    StepFinished,
    StepHedged,
    StepHit,
    StepIsolated,
    StepTurned,
    StepYielded,
    TimerFired,
)
from flowkit.core.rounds import arrive, same_turn, spread
from flowkit.core.settling import GOING_ON, checked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.core.net import Edge, Net, Trigger

__all__ = ["decide"]


def decide(net: Net, marking: Marking, record: Record) -> Sequence[Command]:
    """What to do after ``record``; the marking moves on.

    The same records on a fresh marking give the same commands. A record of a
    firing that is not live any more (cancelled, or ended before) does nothing.
    """
    return _HANDLERS[type(record)](net, marking, record)


def _started(net: Net, marking: Marking, record: RunStarted) -> Sequence[Command]:
    name = record.event
    marking.at = record.at
    if record.step is not None:
        nodes = [node for node in net.nodes if node.name == record.step]
    else:
        nodes = net.kickoff_starts() if name is None else net.event_starts(name)
    payloads = record.payloads or {}
    out: list[Command] = []
    for node in nodes:
        payload = payloads.get(node.name)
        if len(nodes) == 1:
            token = Token(name or "", payload, 0, NOTHING)
        else:
            token = token_of(marking, name or "", payload, None, -1)
        fire(marking, node, token, out)
    for leaf in net.start_timers:
        arm(marking, leaf, record.at, None, out)
    if marking.late or not marking.live:
        return checked(net, marking, out)
    return out


def _finished(  # noqa: C901, PLR0912 - the hot path, in one body
    net: Net, marking: Marking, record: StepFinished
) -> Sequence[Command]:
    firing = marking.live.pop(record.firing, None)
    if firing is None:
        return ()
    if marking.asked and marking.asked.pop(firing.id, None) is not None:
        marking.status = "running"  # somebody outside has answered
        marking.fired = [0] * len(marking.fired)
    node = firing.node
    if marking.deferred:
        marking.settle_deferred(firing, well=True)
    marking.seen[node.index] += 1
    labels = record.labels
    if node.router:
        marking.routes[node.index] = labels
        if not node.done and len(labels) == 1:
            edges = net.by_name.get(labels[0], ())
            if len(edges) == 1 and not node.slow:
                edge = edges[0]
                trigger = edge.trigger
                if not marking.watched and (
                    trigger is None or _direct(marking, trigger)
                ):
                    payload = record.payload
                    label = labels[0]
                    if payload is None:
                        payload = label
                    return _one(net, marking, edge, label, payload, firing)
    elif node.solo is not None and not node.slow:
        edge = node.solo
        if not marking.watched:
            trigger = edge.trigger
            if trigger is None or _direct(marking, trigger):
                return _one(net, marking, edge, node.name, record.output, firing)
            if trigger.simple and not labels:
                return _joined(net, marking, edge, trigger, record.output, firing)
    elif node.last and not (labels or marking.live or marking.rounds or net.outside):
        marking.status = "completed"
        return _ENDED
    return _deliver(net, marking, firing, record)


def _direct(marking: Marking, trigger: Trigger) -> bool:
    """Whether one token into this join is one firing, with no round to keep.

    A round of an ``or_`` opens, fires and closes in one settle when nothing else
    is live or parked, so it need not exist.
    """
    return (
        trigger.shortcut
        and not (marking.live or marking.rounds)
        and marking.lanes is None
    )


def _one(
    net: Net, marking: Marking, edge: Edge, name: str, payload: Any, source: Firing
) -> Sequence[Command]:
    node = edge.node
    index = node.index
    fired = marking.fired
    if fired[index] >= node.limit or node.special:
        out: list[Command] = []
        token = token_of(marking, name, payload, source, -1)
        fire(marking, node, token, out, past=token.past)
        return checked(net, marking, out)
    fired[index] += 1
    number = marking.next_firing
    marking.next_firing = number + 1
    firing = Firing(number, node, name, payload, source.past)
    marking.live[number] = firing
    return (firing,)


_ENDED: tuple[Command, ...] = (End("completed"),)


def _joined(
    net: Net,
    marking: Marking,
    edge: Edge,
    trigger: Trigger,
    payload: Any,
    firing: Firing,
) -> Sequence[Command]:
    """One token into one plain join."""
    out: list[Command] = []
    token = token_of(marking, firing.node.name, payload, firing, -1)
    arrive(marking, trigger, edge.slot, token, out)
    idle = not (marking.watched or marking.asked or marking.gates or marking.late)
    if not out and marking.live and idle:
        return out
    return checked(net, marking, out)


def _deliver(
    net: Net, marking: Marking, firing: Firing, record: StepFinished
) -> Sequence[Command]:
    if marking.undoing is not None:
        from flowkit.core.undoing import undone  # only who compensates

        return undone(net, marking, well=True)
    out: list[Command] = []
    if marking.is_undo(firing.id):
        return checked(net, marking, _undone(net, marking, firing))
    if firing.node.step.undo:
        from flowkit.core.undoing import Done  # only what can be undone

        done = Done(firing.node.name, record.output, firing.lane, record.at)
        marking.undoable.append(done)
    first = marking.next_token, marking.next_firing
    marking.at = record.at
    error = leave(net, marking, firing, record, out)
    if error is not None:
        from flowkit.core.over import fault  # only who fails

        return fault(net, marking, error, out)
    if marking.watched or marking.lanes is not None:
        same_turn(marking, *first)
    return checked(net, marking, out)


def _undone(
    net: Net, marking: Marking, firing: Firing, failed: StepFailed | None = None
) -> list[Command]:
    from flowkit.core.compensating import undone_here  # only who compensates scopes

    return undone_here(net, marking, firing, failed)


def _failed(net: Net, marking: Marking, record: StepFailed) -> Sequence[Command]:
    firing = marking.live.pop(record.firing, None)
    if firing is None:
        return ()
    marking.asked.pop(firing.id, None)
    marking.settle_deferred(firing)
    marking.at = record.at
    node = firing.node
    if marking.undoing is not None:
        from flowkit.core.undoing import undone  # only who compensates

        return undone(net, marking, well=False)
    if marking.is_undo(firing.id):
        return checked(net, marking, _undone(net, marking, firing, record))
    edges = node.hears(late=record.late)
    if not (edges or firing.lane):
        return _unheard(net, marking, firing)
    out: list[Command] = []
    if node.special:
        give_up(marking, firing, out)
    if node.feeds and marking.lanes is not None:
        marking.lanes.exhaust(firing)
    first = marking.next_token, marking.next_firing
    ending = "timeout" if edges and edges is node.timeout else "failed"
    name = f"{node.name}.{ending}"
    if net.phases:
        milestone(net, marking, name)
    if edges and goes_on(marking, firing.lane):
        token = token_of(marking, name, record.error, firing, -1)
        spread(marking, edges, token, out)
    else:
        from flowkit.core.groups import fail_instance  # only flows with groups

        fail_instance(marking, firing.lane, record.error, out, firing)
    if marking.watched or marking.lanes is not None:
        same_turn(marking, *first)
    return checked(net, marking, out)


def _unheard(net: Net, marking: Marking, firing: Firing) -> Sequence[Command]:
    """What becomes of a run whose failed step nobody listens to."""
    if net.definition.on_error not in GOING_ON:
        from flowkit.core.over import over_by_error  # the first error is the last

        return over_by_error(net, marking)
    out: list[Command] = []
    marking.dead[firing.id] = firing
    if firing.node.special:
        give_up(marking, firing, out)
    if firing.node.feeds and marking.lanes is not None:
        marking.lanes.exhaust(firing)
    if net.phases:
        milestone(net, marking, f"{firing.node.name}.failed")
    return checked(net, marking, out)


def _deferred(net: Net, marking: Marking, record: StepDeferred) -> Sequence[Command]:
    """A firing begins again, at once or at its time; it waits as if it had asked."""
    firing = marking.live.get(record.firing)
    if firing is None:
        return ()
    if record.error is not None:
        firing.attempt += 1
    marking.deferred[firing.id] = record
    marking.asked.pop(firing.id, None)
    if record.due <= record.at:
        marking.status = "running"
        return (Answer(firing, DEFERRED, None),)
    wait = {"due": record.due}
    asked = StepAsked(record.at, firing.id, DEFERRED, record.why, wait)
    marking.asked[firing.id] = {DEFERRED: asked}
    return checked(net, marking, [])


def _rare(net: Net, marking: Marking, record: Any) -> Sequence[Command]:
    from flowkit.core import acts  # only flows that use these verbs

    if record.firing not in marking.live:
        return ()
    marking.at = record.at
    out: list[Command] = []
    first = marking.next_token, marking.next_firing
    error = acts.HANDLERS[type(record)](net, marking, record, out)
    if error is not None:
        from flowkit.core.over import fault  # only who fails

        return fault(net, marking, error, out)
    if marking.watched or marking.lanes is not None:
        same_turn(marking, *first)
    return checked(net, marking, out)


def _judged(net: Net, marking: Marking, record: GroupJudged) -> Sequence[Command]:
    from flowkit.core.groups import judged  # only flows with groups

    if marking.status not in {"running", "waiting"}:
        return ()
    if record.error is not None:
        from flowkit.core.over import fault  # only who fails

        return fault(net, marking, record.error)
    marking.at = record.at
    out: list[Command] = []
    judged(marking, record.group, net.gathers[record.gather], out)
    return checked(net, marking, out)


def _comes_later(net: Net, marking: Marking, record: Any) -> Sequence[Command]:
    """A kind that most runs never see: from now on its handlers are in the table."""
    from flowkit.core import outside, over

    _HANDLERS.update(over.HANDLERS)
    _HANDLERS.update(outside.HANDLERS)
    return _HANDLERS[type(record)](net, marking, record)


_HANDLERS: dict[type[Record], Callable[[Net, Marking, Any], Sequence[Command]]] = {
    RunStarted: _started,
    StepFinished: _finished,
    StepFailed: _failed,
    StepDeferred: _deferred,
    StepHit: lambda _net, _marking, _record: (),
    StepHedged: lambda _net, _marking, _record: (),
    StepIsolated: lambda _net, _marking, _record: (),
    StepTurned: _rare,
    StepYielded: _rare,
    StepActed: _rare,
    GroupJudged: _judged,
    EventReceived: _comes_later,
    StepAsked: _comes_later,
    StepAnswered: _comes_later,
    TimerFired: _comes_later,
    CallBegun: _comes_later,
    CallEnded: _comes_later,
    RunStopped: _comes_later,
    RunAborted: _comes_later,
    RunCancelled: _comes_later,
    RunCompensated: _comes_later,
    RunExpired: _comes_later,
    RunOverdue: _comes_later,
    RunRequeued: _comes_later,
}
