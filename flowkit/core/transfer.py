"""A marking carried over to a changed graph, by the names of steps and inputs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from flowkit.core.marking import Firing, Marking, Round

if TYPE_CHECKING:
    from flowkit.core.net import Net, Trigger

__all__ = ["transferred"]


def transferred(  # noqa: C901 - one part of a marking after another
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
    made.asked, made.timers = marking.asked, marking.timers
    for node in old.nodes:
        now = nodes.get(node.name)
        if now is not None:
            made.fired[now.index] = marking.fired[node.index]
            made.seen[now.index] = marking.seen[node.index]
            if node.index in marking.routes:
                made.routes[now.index] = marking.routes[node.index]
    for number, each in marking.live.items():
        firing = Firing(
            number,
            nodes[each.node.name],
            each.name,
            each.payload,
            each.past,
            each.tokens,
            each.lane,
        )
        firing.attempt = each.attempt
        made.live[number] = firing
    for index, line in (marking.queued or {}).items():
        if line:
            made.queued = made.queued or {}
            there = nodes[old.nodes[index].name].index
            made.queued[there] = deque(made.live[each.id] for each in line)
    for (index, lane), rounds in marking.rounds.items():
        trigger = _same_trigger(old.triggers[index], new)
        if trigger is None:
            continue
        moved = [_moved(here, trigger) for here in rounds]
        made.rounds[trigger.index, lane] = moved
        for here in moved:
            if here.id in marking.watched or (trigger.sensitive and not here.fired):
                made.watched[here.id] = here
    return made


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
    places = {slot.text: slot for slot in each.trigger.slots}
    for slot in trigger.slots:
        before = places.get(slot.text)
        if before is None:
            continue
        if before.index in each.held:
            made.held[slot.index] = each.held[before.index]
        if each.arrived >> before.index & 1:
            made.arrived |= 1 << slot.index
    return made
