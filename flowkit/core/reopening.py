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

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    if index not in group.lanes:
        return
    _keep(marking, group, [index])
    if failed is not None:
        group.kept[index].firings.append(failed)
    if lost is not None:
        group.kept[index].groups.append(lost)


def keep(marking: Marking, group: Group) -> Lost:
    """Keep a whole group before it is taken away."""
    _keep(marking, group, group.lanes)
    return Lost(group)


def _keep(  # noqa: C901 - one part of a marking after another
    marking: Marking, group: Group, indexes: Iterable[int]
) -> None:
    """Keep some lanes of a group, in one go through all that stands anywhere."""
    assert marking.lanes is not None  # noqa: S101 - the group stands in it
    made: dict[int, Kept] = {}
    for index in indexes:
        found = {at: each for at, each in group.results.items() if index in each}
        results = {at: each.get(index) for at, each in found.items()}
        made[index] = Kept(group.lanes[index], results)
    depth = len(group.lane)

    def of(lane: Lane) -> Kept | None:
        inside = len(lane) > depth and lane[depth][0] == group.id
        return made.get(lane[depth][1]) if inside else None

    for firing in marking.live.values():
        if (kept := of(firing.lane)) is not None:
            kept.firings.append(firing)
    for key, rounds in marking.rounds.items():
        if (kept := of(key[1])) is not None:
            kept.rounds[key] = [*rounds]
    for lane, watched in marking.lanes.watched.items():
        if (kept := of(lane)) is not None:
            kept.watched[lane] = {**watched}
    for number, timer in marking.timers.items():
        if (kept := of(timer.lane)) is not None:
            kept.timers[number] = timer
    for inner in marking.lanes.groups.values():
        if (kept := of(inner.lane)) is not None:
            lost = Lost(inner)
            for index, each in inner.lanes.items():  # what is in them is kept here
                lost.kept[index] = Kept(each, {})
            kept.groups.append(lost)
    group.kept.update(made)


def reopen(marking: Marking, out: list[Command]) -> bool:
    """Put back what was lost, and begin it again; whether there was anything."""
    lost, marking.lost_groups = marking.lost_groups, []
    firings: list[Firing] = []
    for each in lost:
        _put_back(marking, each, firings)
    for firing in firings:
        firing.attempt += 1
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
