"""A marking carried over to a changed graph, by the names of steps and inputs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from flowkit.core.carrying import carry_gates, carry_lanes, relabel_groups
from flowkit.core.definition import ENDINGS, Leaf
from flowkit.core.marking import Firing, Marking, Round
from flowkit.core.net import net_of
from flowkit.core.undoing import Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowkit.core.definition import Condition, Definition
    from flowkit.core.marking import Token
    from flowkit.core.net import Net, Node, Trigger
    from flowkit.core.undoing import Done

_OF_STEPS = ENDINGS | {"step", "gather"}

__all__ = ["relabelled", "renamed", "transferred"]


def renamed(definition: Definition, names: Mapping[str, str]) -> Definition:
    """The same graph with steps under other names (``{old: new}``)."""
    steps = (
        step._replace(
            name=names.get(step.name, step.name),
            trigger=step.trigger and _renamed(step.trigger, names),
            undo=names.get(step.undo, step.undo),
            during=step.during and _during(step.during, names),
            cancels=tuple(names.get(name, name) for name in step.cancels),
        )
        for step in definition.steps
    )
    return definition._replace(steps=tuple(steps))


def _renamed(condition: Condition, names: Mapping[str, str]) -> Condition:
    if not isinstance(condition, Leaf):
        inner = tuple(_renamed(each, names) for each in condition.inputs)
        return condition._replace(inputs=inner)
    if condition.kind == "timer":
        after = names.get(condition.after, condition.after)
        name = _timer_name(condition.name, condition.after, after)
        return condition._replace(name=name, after=after)
    if condition.kind not in _OF_STEPS:
        return condition
    return condition._replace(name=names.get(condition.name, condition.name))


def _during(during: tuple[str, str], names: Mapping[str, str]) -> tuple[str, str]:
    opened, closed = (_source_name(name, names) or "" for name in during)
    return opened, closed


def _timer_name(name: str, after: str, now: str) -> str:
    """The name of a timer, which tells what it comes after."""
    return name.replace(f"after={after},", f"after={now},") if after else name


def relabelled(marking: Marking, net: Net, names: Mapping[str, str]) -> Net:
    """Rename steps of a marking in place; gives the renamed graph's tables."""
    made = net_of(renamed(net.definition, names))
    held = {
        token
        for rounds in marking.rounds.values()
        for each in rounds
        for token in each.tokens()
    }
    for firing in marking.live.values():
        firing.node = made.nodes[firing.node.index]
        firing.name = _source_name(firing.name, names)
        held.update(firing.tokens or ())
    _relabel_ends(marking, made, names)
    for token in held:
        if token.router < 0 <= token.source:  # of a step, not a label or an event
            token.name = _source_name(token.name, names) or ""
    for (index, _), rounds in marking.rounds.items():
        for each in rounds:
            each.trigger = made.triggers[index]
    for timer in marking.timers.values():
        for old, now in names.items():
            timer.name = _timer_name(timer.name, old, now)
            if timer.window and timer.name.startswith(f"{old} window "):
                timer.name = f"{now}{timer.name.removeprefix(old)}"
    if marking.lanes is not None:
        relabel_groups(marking.lanes, made, names)
    return made


def _relabel_ends(marking: Marking, made: Net, names: Mapping[str, str]) -> None:
    """What can be undone, and what has failed."""
    for done in (marking.undoable, marking.not_undone):
        done[:] = [_relabel_done(each, names) for each in done]
    if marking.undoing is not None:
        now = _relabel_done(marking.undoing.done, names)
        marking.undoing = Undone(now.step, now.output, now)
    for each in marking.compensations:
        each.todo = [_relabel_done(one, names) for one in each.todo]
        each.left = [_relabel_done(one, names) for one in each.left]
        if each.undoing is not None:
            each.undoing = _relabel_done(each.undoing, names)
    for firing in marking.dead.values():
        firing.node = made.nodes[firing.node.index]


def _relabel_done(done: Done, names: Mapping[str, str]) -> Done:
    return done._replace(step=names.get(done.step, done.step))


def _source_name(name: str | None, names: Mapping[str, str]) -> str | None:
    if name is None:
        return None
    step, dot, how = name.rpartition(".")
    if dot and how in ENDINGS:
        return f"{names.get(step, step)}.{how}"
    return names.get(name, name)


def transferred(  # noqa: C901, PLR0912 - one part of a marking after another
    marking: Marking, old: Net, new: Net
) -> Marking:
    """The same places in the tables of another definition.

    Every step with live work and every join that holds something must exist there
    (``missing_positions`` says whether they do); counts of steps that are gone are
    forgotten.

    Raises:
        KeyError: a step with live work is gone.
    """
    nodes = {node.name: node for node in new.nodes}
    made = Marking(len(new.nodes))
    made.status = marking.status
    made.next_firing = marking.next_firing
    made.next_round = marking.next_round
    made.next_token = marking.next_token
    made.next_timer = marking.next_timer
    made.asked, made.timers, made.at = marking.asked, marking.timers, marking.at
    made.busy = marking.busy
    made.deferred, made.degraded = marking.deferred, marking.degraded
    made.lost = marking.lost
    made.undoable = [each for each in marking.undoable if each.step in nodes]
    made.undoing, made.compensations = marking.undoing, marking.compensations
    made.not_undone = [each for each in marking.not_undone if each.step in nodes]
    for going in made.compensations:
        going.todo = [each for each in going.todo if each.step in nodes]
    for number, each in marking.dead.items():
        if each.node.name in nodes:
            made.dead[number] = _same_firing(each, nodes[each.node.name])
    if marking.lanes is not None:
        made.lanes = carry_lanes(marking.lanes, old, new)
    tokens: dict[int, Token] = {}
    for node in old.nodes:
        now = nodes.get(node.name)
        if now is not None:
            made.fired[now.index] = marking.fired[node.index]
            made.seen[now.index] = marking.seen[node.index]
            if node.index in marking.routes:
                made.routes[now.index] = marking.routes[node.index]
    for number, each in marking.live.items():
        made.live[number] = _same_firing(each, nodes[each.node.name])
        for token in each.tokens or ():
            tokens[id(token)] = token
    for index, line in (marking.queued or {}).items():
        if line:
            made.queued = made.queued or {}
            there = nodes[old.nodes[index].name].index
            made.queued[there] = deque(made.live[each.id] for each in line)
    if marking.gates is not None:
        made.gates = carry_gates(marking.gates, old, made, new)
    for (index, lane), rounds in marking.rounds.items():
        trigger = _same_trigger(old.triggers[index], new)
        if trigger is None:
            continue
        moved = [_moved(here, trigger) for here in rounds]
        made.rounds[trigger.index, lane] = moved
        for here in moved:
            tokens.update((id(token), token) for token in here.tokens())
            watched = here.id in marking.watched_in(lane)
            if watched or (trigger.sensitive and not here.fired):
                made.watch(here)
    for token in tokens.values():  # a token knows its router by the old tables
        if token.router >= 0:
            router = nodes.get(old.nodes[token.router].name)
            token.router = len(new.nodes) if router is None else router.index
    return made


def _same_firing(each: Firing, node: Node) -> Firing:
    firing = Firing(
        each.id, node, each.name, each.payload, each.past, each.tokens, each.lane
    )
    firing.attempt, firing.turn = each.attempt, each.turn
    return firing


def _same_trigger(trigger: Trigger, new: Net) -> Trigger | None:
    """The join at the same place in front of the step of that name."""
    place = trigger.node.triggers.index(trigger)
    for node in new.nodes:
        if node.name == trigger.node.name and place < len(node.triggers):
            return node.triggers[place]
    return None


def _moved(each: Round, trigger: Trigger) -> Round:
    made = Round(each.id, trigger, each.lane)
    made.fired, made.cancelled = each.fired, each.cancelled
    texts = {slot.text: slot for slot in trigger.slots}
    leaves = {leaf: slot for slot in trigger.slots for leaf in slot.leaves}
    for before in each.trigger.slots:
        near = (leaves[leaf] for leaf in before.leaves if leaf in leaves)
        slot = texts.get(before.text) or next(near, None)
        if slot is None:
            continue
        if before.index in each.held:
            held = made.held.setdefault(slot.index, [])
            held += each.held[before.index]
        if each.arrived >> before.index & 1:
            made.arrived |= 1 << slot.index
    return made
