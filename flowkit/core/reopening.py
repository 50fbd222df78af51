"""Groups that failed while the run went on, so that they can go on after all.

Where ``on_error="collect"`` says so, what a failed instance had in hand is kept as it
was: the firing that failed, what was cancelled with it, what was parked. When the run
is requeued it is put back, and its instances begin again where they stood. What had
finished stays finished.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from flowkit.core.lines import begin
from flowkit.core.marking import within

if TYPE_CHECKING:
    from flowkit.core.commands import Command
    from flowkit.core.lanes import Group, Instance
    from flowkit.core.marking import Firing, Lane, Marking, Round, Timer

__all__ = ["Kept", "Lost", "keep", "keep_lane", "reopen"]


class Kept:
    """What stood in one lane and below it.

    Attributes:
        instance: the lane's own counts.
        firings: those that were live, and the one that failed.
        rounds: what joins held.
        watched: those of them that are watched, by lane.
        timers: by number.
        groups: those opened in it, with what they held.
        results: what it had given to gathers.
    """

    __slots__ = (
        "firings",
        "groups",
        "instance",
        "results",
        "rounds",
        "timers",
        "watched",
    )

    def __init__(self, instance: Instance, results: dict[int, Any]) -> None:
        self.instance: Instance = instance
        self.results: dict[int, Any] = results
        self.firings: list[Firing] = []
        self.rounds: dict[tuple[int, Lane], list[Round]] = {}
        self.watched: dict[Lane, dict[int, Round]] = {}
        self.timers: dict[int, Timer] = {}
        self.groups: list[Lost] = []


class Lost:
    """A group that was taken away, with all it needs to go on."""

    __slots__ = ("done", "fired", "group", "items", "kept", "sealed")

    def __init__(self, group: Group) -> None:
        self.group: Group = group
        self.items: list[tuple[int, Any]] = [*group.items]
        self.fired: set[int] = {*group.fired}
        self.sealed: bool = group.sealed
        self.done: int = group.done
        self.kept: dict[int, Kept] = {**group.kept}


def keep_lane(
    marking: Marking,
    group: Group,
    index: int,
    failed: Firing | None = None,
    lost: Lost | None = None,
) -> None:
    """Keep what stands in a lane before it is taken away.

    Args:
        failed: the firing whose failure nobody handled.
        lost: the group in it that failed.
    """
    instance = group.lanes.get(index)
    if instance is None:
        return
    results = {
        gather: found.get(index)
        for gather, found in group.results.items()
        if index in found
    }
    group.kept[index] = _kept(marking, group, index, instance, results)
    if failed is not None:
        group.kept[index].firings.append(failed)
    if lost is not None:
        group.kept[index].groups.append(lost)


def _kept(
    marking: Marking,
    group: Group,
    index: int,
    instance: Instance,
    results: dict[int, Any],
) -> Kept:
    assert marking.lanes is not None  # noqa: S101 - the group stands in it
    lane = (*group.lane, (group.id, index))
    made = Kept(instance, results)
    made.firings = [each for each in marking.live.values() if within(each.lane, lane)]
    made.rounds = {
        key: [*rounds] for key, rounds in marking.rounds.items() if within(key[1], lane)
    }
    made.watched = {
        at: {**found} for at, found in marking.lanes.watched.items() if within(at, lane)
    }
    made.timers = {
        number: timer
        for number, timer in marking.timers.items()
        if within(timer.lane, lane)
    }
    for inner in marking.lanes.groups.values():
        if within(inner.lane, lane):
            lost = Lost(inner)
            for number, each in inner.lanes.items():  # what stands in them is kept here
                lost.kept[number] = Kept(each, {})
            made.groups.append(lost)
    return made


def keep(marking: Marking, group: Group) -> Lost:
    """Keep a whole group before it is taken away."""
    for index in group.lanes:
        if index not in group.kept:
            keep_lane(marking, group, index)
    return Lost(group)


def reopen(marking: Marking, out: list[Command]) -> bool:
    """Put back what was lost, and begin it again; whether there was anything."""
    lost, marking.lost_groups = marking.lost_groups, []
    firings: list[Firing] = []
    for each in lost:
        _put_back(marking, each, firings)
    for firing in firings:
        firing.attempt += 1
        marking.deferred.pop(firing.id, None)
        begin(marking, firing, out)
    return bool(lost)


def _put_back(marking: Marking, lost: Lost, firings: list[Firing]) -> None:
    lanes, group = marking.lanes, lost.group
    if lanes is None:
        from flowkit.core.lanes import Lanes  # they were dropped with the last group

        lanes = marking.lanes = Lanes()
    group.items, group.kept = deque(lost.items), {}
    group.fired, group.sealed = lost.fired, lost.sealed
    group.exhausted = True  # what gave the items has ended with the run
    group.done = lost.done
    lanes.groups[group.id] = group
    if group.lane:
        lanes.enter(group.lane)
    for index, kept in lost.kept.items():
        if group.failures.pop(index, None) is not None:
            group.done -= 1  # it was over already
        kept.instance.live = 0
        group.lanes[index] = kept.instance
        for gather, result in kept.results.items():
            group.results[gather].put(index, result)
        marking.rounds.update(kept.rounds)
        lanes.watched.update(kept.watched)
        for inner in kept.groups:
            _put_back(marking, inner, firings)
        for number, timer in kept.timers.items():
            marking.timers[number] = timer
            lanes.enter(timer.lane)
        firings += kept.firings
    lanes.idle.append((*group.lane, (group.id, -1)))
