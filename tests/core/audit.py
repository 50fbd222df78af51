"""What must hold of any settled marking, whatever came before it (P9, R10, R12).

Counters agree with what they count, nobody holds what another one holds, no group has
more lanes at work than it may, and nothing is left that could still be settled.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowkit.core.lanes import Group
    from flowkit.core.marking import Lane, Marking
    from flowkit.core.net import Net

__all__ = ["audit"]


def audit(net: Net, marking: Marking) -> None:
    """Check a marking after a record."""
    assert marking.late == (), "something is left to settle"
    if marking.lanes is not None:
        _lanes(marking)
    elif marking.gates is None:
        return
    if marking.gates is not None:
        _gates(marking)


def _lanes(marking: Marking) -> None:
    lanes = marking.lanes
    assert lanes is not None
    assert not lanes.idle, "a lane that is over is not looked at"
    live: Counter[Lane] = Counter()
    live.update(each.lane for each in marking.live.values() if each.lane)
    live.update(each.lane for each in lanes.groups.values() if each.lane)
    live.update(each.lane for each in marking.timers.values() if each.lane)
    there: set[Lane] = {()}
    for group in lanes.groups.values():
        for index, instance in group.lanes.items():
            lane = (*group.lane, (group.id, index))
            there.add(lane)
            assert instance.live == live[lane], f"{lane} counts {instance.live}"
            assert instance.live, f"{lane} is over and still there"
    for rounds in marking.rounds.values():
        for each in rounds:
            assert each.lane in there, f"tokens are parked in {each.lane}, a lane gone"
    for timer in marking.timers.values():
        assert timer.lane in there, "a timer of a lane that is gone"
    fed = set(lanes.streams.values())
    for group in lanes.groups.values():
        _group(group, there, fed)
    for firing, _ in lanes.streams:
        assert firing in marking.live, "a step that is gone feeds a group"


def _group(group: Group, there: set[Lane], fed: set[int]) -> None:
    assert group.lane in there, "a group of a lane that is gone"
    limit = group.node.each.limit if group.node.each else 0
    assert not limit or len(group.lanes) <= limit, "more instances than the limit"
    assert group.lanes or group.items or group.id in fed, "a group that never ends"
    assert group.exhausted or group.id in fed, "a source that is gone"
    there_now = len(group.lanes) + len(group.items) + group.done
    assert there_now == group.total or group.sealed, "an item is lost"


def _gates(marking: Marking) -> None:
    gates = marking.gates
    assert gates is not None
    held: dict[str, str | int] = {}
    back = marking.held_back
    for firing in marking.live.values():
        if firing.id in back:
            continue
        node = firing.node
        region = node.region
        takes: dict[str, str | int] = {}
        if node.mutex:
            takes[node.mutex] = firing.id
        if region is not None and region.mutex:
            takes[region.mutex] = region.name
        for mutex, holder in takes.items():
            first = held.setdefault(mutex, holder)
            assert first == holder, f"{first} and {holder} both hold {mutex}"
            assert gates.holders.get(mutex) == holder, f"{holder} took no {mutex}"
    for mutex, holder in gates.holders.items():
        if isinstance(holder, int):
            assert holder in marking.live, f"{mutex} is held by nobody"
    assert set(gates.waiting) <= set(marking.live), "somebody gone is in line"
