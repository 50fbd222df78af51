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
    Cancel,
    Command,
    End,
    Fault,
    Report,
    Wait,
)
from flowkit.core.ending import awaited, stuck_text
from flowkit.core.leaving import arm, give_up, goes_on, leave, milestone, token_of
from flowkit.core.lines import fire, next_in_line, started
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
    StepHit,
    StepTurned,
    StepYielded,
    TimerFired,
)
from flowkit.core.rounds import arrive, same_turn, settle, spread
from flowkit.core.undoing import Done, next_undo, requeued, undone
from flowkit.errors import RunawayError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.core.net import Edge, Net, Node, Trigger

__all__ = ["decide"]


GOING_ON = frozenset({"continue", "collect"})
"""Modes in which a failure that nobody listens to ends its branch alone."""


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
        return _checked(net, marking, out)
    return out


def _finished(  # noqa: C901 - the hot path, in one body
    net: Net, marking: Marking, record: StepFinished
) -> Sequence[Command]:
    firing = marking.live.pop(record.firing, None)
    if firing is None:
        return ()
    if marking.asked and marking.asked.pop(firing.id, None) is not None:
        marking.status = "running"  # somebody outside has answered
        marking.fired = [0] * len(marking.fired)
    node = firing.node
    marking.seen[node.index] += 1
    labels = record.labels
    if node.router:
        marking.routes[node.index] = labels
        if not node.done and len(labels) == 1:
            edges = net.by_name.get(labels[0], ())
            if len(edges) == 1 and not node.slow:
                edge = edges[0]
                if not marking.watched and _direct(marking, edge):
                    payload = record.payload
                    label = labels[0]
                    if payload is None:
                        payload = label
                    return _one(net, marking, edge, label, payload, firing)
    elif node.solo is not None and not node.slow:
        edge = node.solo
        if not marking.watched:
            if _direct(marking, edge):
                return _one(net, marking, edge, node.name, record.output, firing)
            trigger = edge.trigger
            if trigger is not None and trigger.simple and not labels:
                return _joined(net, marking, edge, trigger, record.output, firing)
    elif node.last and not (labels or marking.live or marking.rounds or net.outside):
        marking.status = "completed"
        return _ENDED
    return _deliver(net, marking, firing, record)


def _direct(marking: Marking, edge: Edge) -> bool:
    """Whether one token on this edge is one firing, with no round to keep.

    A round of an ``or_`` opens, fires and closes in one settle when nothing else
    is live or parked, so it need not exist.
    """
    trigger = edge.trigger
    if trigger is None:
        return True
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
        token = token_of(marking, name, payload, source, -1)
        out: list[Command] = []
        return _checked(net, marking, _fire(net, marking, node, token, out))
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
    return _checked(net, marking, out)


def _deliver(
    net: Net, marking: Marking, firing: Firing, record: StepFinished
) -> Sequence[Command]:
    if marking.undoing is not None:
        return undone(net, marking, well=True)
    out: list[Command] = []
    if marking.is_undo(firing.id):
        return _checked(net, marking, _undone(net, marking, firing))
    if firing.node.step.undo:
        done = Done(firing.node.name, record.output, firing.lane, record.at)
        marking.undoable.append(done)
    first = marking.next_token, marking.next_firing
    marking.at = record.at
    fault = leave(net, marking, firing, record, out)
    if fault is not None:
        return _fault(net, marking, fault, out)
    if marking.watched or marking.lanes is not None:
        same_turn(marking, *first)
    return _checked(net, marking, out)


def _undone(
    net: Net, marking: Marking, firing: Firing, failed: StepFailed | None = None
) -> list[Command]:
    from flowkit.core.compensating import undone_here  # only who compensates scopes

    return undone_here(net, marking, firing, failed)


def _fire(
    net: Net, marking: Marking, node: Node, token: Token, out: list[Command]
) -> list[Command]:
    fire(marking, node, token, out, past=token.past)
    return out


def _checked(net: Net, marking: Marking, out: list[Command]) -> Sequence[Command]:
    """Settle, then stop a runaway, then see whether anything is left."""
    if marking.watched or marking.lanes is not None:
        settle(marking, out)
    if marking.lanes is not None or marking.gates is not None or marking.late:
        _settle_rest(net, marking, out)
    for command in out:
        if type(command) is Firing:
            if _runs_away(marking, command):
                marking.late = ()
                return _fault(net, marking, _runaway(net, command.node), out)
        elif type(command) is Fault and not _bears(net, marking):
            return (*_told(out), *_over_by_error(net, marking))
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


def _runs_away(marking: Marking, firing: Firing) -> bool:
    """Whether a step has fired more often, in its lane, than it may."""
    node, lane = firing.node, firing.lane
    if lane:
        lanes = marking.lanes
        return lanes is not None and lanes.count(node, lane) > node.limit
    return marking.fired[node.index] > node.limit


def _settle_rest(net: Net, marking: Marking, out: list[Command]) -> None:
    """Groups, then gates, until nothing moves or something runs away (R3)."""
    moved = True
    seen = 0
    while moved:
        moved = False
        new, seen = out[seen:], len(out)
        if any(type(each) is Firing and _runs_away(marking, each) for each in new):
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
    from flowkit.core.groups import lanes_of, open_group  # only flows that fan out

    lane = token.lane
    if not goes_on(marking, lane):
        return
    opened = lanes_of(marking).count(node, lane) if lane else marking.fired[node.index]
    if opened >= node.limit:
        out.append(Fault(_runaway(net, node)))
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


def _order(late: tuple[Any, ...]) -> int:
    """What is to open comes before what is to be cut, or it would survive."""
    return _LATE_ORDER.index(late[0])


_LATE_ORDER = ("open", "cut", "tell", "next")


def _gated(net: Net, marking: Marking, out: list[Command]) -> Sequence[Command]:
    """All that is live waits at a gate: for an event, or for what never comes."""
    from flowkit.core.gates import deadlock, expire  # only flows with gates

    if awaited(net, marking):
        marking.status = "waiting"
        return (*out, Wait())
    if expire(marking, out):
        return _checked(net, marking, out)
    return _fault(net, marking, deadlock(net, marking), out)


def _rest(net: Net, marking: Marking, out: list[Command]) -> Sequence[Command]:
    """Nothing is live: the run waits for what is outside, or it ends (R14)."""
    if awaited(net, marking):
        marking.status = "waiting"
        return (*out, Wait())
    if marking.lanes is not None and _drop_timers(marking):
        return _checked(net, marking, out)
    stuck = [
        Report("stuck", each.trigger.node.name, stuck_text(net, marking, each))
        for each in marking.parked()
    ]
    if stuck and net.definition.strict:
        from flowkit.errors import StuckError  # the strict end is the rare one

        text = " ".join(report.text for report in stuck)
        return (*out, *stuck, *_fault(net, marking, StuckError(text)))
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


def _failed(net: Net, marking: Marking, record: StepFailed) -> Sequence[Command]:
    firing = marking.live.pop(record.firing, None)
    if firing is None:
        return ()
    marking.asked.pop(firing.id, None)
    marking.at = record.at
    node = firing.node
    if marking.undoing is not None:
        return undone(net, marking, well=False)
    if marking.is_undo(firing.id):
        return _checked(net, marking, _undone(net, marking, firing, record))
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
    return _checked(net, marking, out)


def _unheard(net: Net, marking: Marking, firing: Firing) -> Sequence[Command]:
    """What becomes of a run whose failed step nobody listens to."""
    if net.definition.on_error not in GOING_ON:
        return _over_by_error(net, marking)
    out: list[Command] = []
    marking.dead[firing.id] = firing
    if firing.node.special:
        give_up(marking, firing, out)
    if firing.node.feeds and marking.lanes is not None:
        marking.lanes.exhaust(firing)
    if net.phases:
        milestone(net, marking, f"{firing.node.name}.failed")
    return _checked(net, marking, out)


def _awake(marking: Marking, at: float) -> None:
    """Something came from outside: firings are counted anew (R11)."""
    marking.status = "running"
    marking.at = at
    marking.fired = [0] * len(marking.fired)
    if marking.lanes is not None:
        marking.lanes.anew()


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
    return _checked(net, marking, out)


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
    return _checked(net, marking, out)


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
    return _checked(net, marking, [])


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


def _call_begun(_net: Net, marking: Marking, record: CallBegun) -> Sequence[Command]:
    if record.firing in marking.live:
        marking.busy.setdefault(record.firing, set()).add(record.position)
        marking.status = "running"
    return ()


def _call_ended(net: Net, marking: Marking, record: CallEnded) -> Sequence[Command]:
    if record.firing not in marking.busy or record.firing not in marking.live:
        return ()
    _call_over(marking, record.firing, record.position)
    return _checked(net, marking, [])


def _call_over(marking: Marking, firing: int, position: int) -> None:
    """A call is under way no more, or waits for its next attempt."""
    places = marking.busy[firing]
    places.discard(position)
    if not places:
        del marking.busy[firing]


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
    return _checked(net, marking, out)


def _rare(net: Net, marking: Marking, record: Any) -> Sequence[Command]:
    from flowkit.core import acts  # only flows that use these verbs

    if record.firing not in marking.live:
        return ()
    marking.at = record.at
    out: list[Command] = []
    first = marking.next_token, marking.next_firing
    fault = acts.HANDLERS[type(record)](net, marking, record, out)
    if fault is not None:
        return _fault(net, marking, fault, out)
    if marking.watched or marking.lanes is not None:
        same_turn(marking, *first)
    return _checked(net, marking, out)


def _judged(net: Net, marking: Marking, record: GroupJudged) -> Sequence[Command]:
    from flowkit.core.groups import judged  # only flows with groups

    if marking.status not in {"running", "waiting"}:
        return ()
    if record.error is not None:
        return _fault(net, marking, record.error)
    marking.at = record.at
    out: list[Command] = []
    judged(marking, record.group, net.gathers[record.gather], out)
    return _checked(net, marking, out)


def _share(token: Token, record: EventReceived, node: Node) -> Token:
    """The token as one listener takes it."""
    if record.shares is None or node.name not in record.shares:
        return token
    return Token(token.name, record.shares[node.name], token.seq, token.past)


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
    return _over_by_error(net, marking)


def _over_by_error(net: Net, marking: Marking) -> Sequence[Command]:
    """The run fails; what was done is undone first, if it is to be."""
    cancel = _cancel_all(marking)
    if net.definition.on_error == "compensate":
        return (*cancel, next_undo(net, marking))
    marking.status = "failed"
    return (*cancel, End("failed"))


def _requeued(net: Net, marking: Marking, record: RunRequeued) -> Sequence[Command]:
    if marking.status != "failed":
        return ()
    lost = bool(marking.lost_groups)
    out = requeued(net, marking)
    return _checked(net, marking, out) if lost else out


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


def _fault(
    net: Net, marking: Marking, error: BaseException, out: Sequence[Command] = ()
) -> Sequence[Command]:
    return (*_told(out), Fault(error), *_over_by_error(net, marking))


def _told(out: Sequence[Command]) -> list[Command]:
    """What of the commands counts though the run fails: all but what was to start."""
    return [each for each in out if type(each) in {Cancel, Fault, Report}]


def _runaway(net: Net, node: Node) -> RunawayError:
    circle = " -> ".join([*_circle(net, node), node.name])
    return RunawayError(
        f"{net.definition.name}.{node.name} would fire more than {node.limit} times "
        f"in one run, in the circle {circle}. Give the loop an exit, or raise the "
        f"bound with max_firings= on the step or max_method_calls on the flow. "
        f"({node.step.place})"
    )


def _circle(net: Net, node: Node) -> list[str]:
    """The shortest way from a step back to itself."""
    from flowkit.core.net import bits  # only an error needs the way

    ways = {node.index: [node.name]}
    front = [node.index]
    while front:
        following: list[int] = []
        for index in front:
            for target in bits(net.followers(net.nodes[index])):
                if target == node.index:
                    return ways[index]
                if target not in ways:
                    ways[target] = [*ways[index], net.nodes[target].name]
                    following.append(target)
        front = following
    return [node.name]


_HANDLERS: dict[type[Record], Callable[[Net, Marking, Any], Sequence[Command]]] = {
    RunStarted: _started,
    StepFinished: _finished,
    StepFailed: _failed,
    StepDeferred: _deferred,
    StepHit: lambda _net, _marking, _record: (),
    EventReceived: _received,
    RunStopped: _stopped,
    RunAborted: _aborted,
    RunCancelled: _cancelled,
    RunCompensated: _compensated,
    RunExpired: _expired,
    RunOverdue: _overdue,
    RunRequeued: _requeued,
    StepAsked: _asked,
    StepAnswered: _answered,
    StepTurned: _rare,
    StepYielded: _rare,
    StepActed: _rare,
    GroupJudged: _judged,
    TimerFired: _timed,
    CallBegun: _call_begun,
    CallEnded: _call_ended,
}
