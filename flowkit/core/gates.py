"""Gates: what a ready firing waits for before it starts (R12).

- a *mutex*, of the step or of its region: one holder at a time, first come first
  served; a firing that needs two takes both at once or none;
- a *milestone*: ``during=(opened, closed)``, a test that consumes nothing.

A firing at a gate is live work. A region holds its mutex from the first firing in it
until nothing is left to do there.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from flowkit.core.commands import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.commands import Command
    from flowkit.core.marking import Firing, Marking
    from flowkit.core.net import Net, Node

__all__ = [
    "Gates",
    "deadlock",
    "expire",
    "free",
    "gates_of",
    "note",
    "passes",
    "recheck",
]

OPEN, CLOSED = "open", "closed"


class Gates:
    """What is held and who waits.

    Attributes:
        waiting: firings that cannot start yet, in the order they came.
        lines: the same, apart for each step: those behind the first one of a step
            need what it needs, so that only the first ones are looked at.
        holders: who holds each mutex: the number of a firing, or a region's name.
        phases: whether a step's milestone is open or closed; missing before.
    """

    __slots__ = ("holders", "lines", "phases", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[int, Firing] = {}
        self.lines: dict[int, dict[int, Firing]] = {}
        self.holders: dict[str, int | str] = {}
        self.phases: dict[int, str] = {}

    def add(self, firing: Firing) -> None:
        """A firing gets in line."""
        self.waiting[firing.id] = firing
        self.lines.setdefault(firing.node.index, {})[firing.id] = firing

    def remove(self, firing: Firing) -> None:
        """A firing stands in line no more."""
        if self.waiting.pop(firing.id, None) is not None:
            line = self.lines[firing.node.index]
            del line[firing.id]
            if not line:
                del self.lines[firing.node.index]

    def first(self, index: int) -> int:
        """Number of who has waited longest of those before one step."""
        return next(iter(self.lines[index]))


def gates_of(marking: Marking) -> Gates:
    """The gates of a run, made at the first use."""
    if marking.gates is None:
        marking.gates = Gates()
    return marking.gates


def passes(marking: Marking, firing: Firing) -> bool:
    """Whether a firing may start; it takes what it needs, or gets in line."""
    gates = gates_of(marking)
    node = firing.node
    ahead = set[str]()
    for index in gates.lines:
        each = firing.node.net.nodes[index]
        if _phase(gates, each) == OPEN:
            ahead.update(_needs(gates, each))
    if _phase(gates, node) == OPEN and _takes(gates, firing, ahead):
        return True
    gates.add(firing)
    return False


def _phase(gates: Gates, node: Node) -> str:
    if node.during is None:
        return OPEN
    return gates.phases.get(node.index, "")


def _needs(gates: Gates, node: Node) -> Iterator[str]:
    """The mutexes that a firing of this step must take; not what its region holds."""
    region = node.region
    if region is not None and region.mutex:
        if gates.holders.get(region.mutex) != region.name:
            yield region.mutex
        if node.mutex and node.mutex != region.mutex:
            yield node.mutex
    elif node.mutex:
        yield node.mutex


def _takes(gates: Gates, firing: Firing, ahead: set[str]) -> bool:
    needs = list(_needs(gates, firing.node))
    if any(each in gates.holders or each in ahead for each in needs):
        return False
    region = firing.node.region
    for each in needs:
        of_region = region is not None and each == region.mutex
        gates.holders[each] = region.name if of_region and region else firing.id
    return True


def free(marking: Marking, firing: Firing) -> None:
    """A firing has ended, or is cancelled: its own mutex is free."""
    gates = marking.gates
    if gates is None:
        return
    gates.remove(firing)
    mutex = firing.node.mutex
    if mutex and gates.holders.get(mutex) == firing.id:
        del gates.holders[mutex]


def note(net: Net, marking: Marking, name: str) -> None:
    """A name has arrived that opens or closes milestones."""
    for node, phase in net.phases.get(name, ()):
        gates_of(marking).phases[node.index] = phase


def recheck(marking: Marking, out: list[Command]) -> tuple[list[Firing], bool]:
    """Free what regions hold no more; give the waiting firings that may start now.

    What a closed milestone keeps out is dropped and reported. Tells also whether
    anything has moved.
    """
    gates = marking.gates
    if gates is None or not (gates.waiting or gates.holders):
        return [], False
    _leave_regions(marking, gates)
    found: list[Firing] = []
    dropped = False
    ahead = set[str]()
    heads = [(gates.first(index), index) for index in gates.lines]
    heapify(heads)
    while heads:
        number, index = heappop(heads)
        firing = gates.waiting[number]
        phase = _phase(gates, firing.node)
        if phase == CLOSED:
            drop(marking, firing, out)
            dropped = True
        elif phase == OPEN and _takes(gates, firing, ahead):
            gates.remove(firing)
            found.append(firing)
        else:
            if phase == OPEN:
                ahead.update(_needs(gates, firing.node))
            continue  # who stands behind it cannot start, either
        if index in gates.lines:
            heappush(heads, (gates.first(index), index))
    return found, dropped or bool(found)


def _leave_regions(marking: Marking, gates: Gates) -> None:
    held = {name: mutex for mutex, name in gates.holders.items() if type(name) is str}
    if not held:
        return
    for firing in marking.live.values():
        region = firing.node.region
        if region is not None:
            held.pop(region.name, None)
    for parked in marking.parked():
        region = parked.trigger.node.region
        if region is not None and marking.live and not _stands(marking, gates):
            held.pop(region.name, None)
    for mutex in held.values():
        del gates.holders[mutex]


def _stands(marking: Marking, gates: Gates) -> bool:
    """Whether all that is live waits at a gate."""
    return len(gates.waiting) == len(marking.live)


def drop(marking: Marking, firing: Firing, out: list[Command]) -> None:
    """A firing whose time is over, or never comes: it is logged as missed."""
    assert marking.gates is not None  # noqa: S101 - it stands at one
    node = firing.node
    assert node.during is not None  # noqa: S101 - that is what it waited for
    opened, closed = node.during
    why = (
        f"{closed} came before it could start"
        if _phase(marking.gates, node) == CLOSED
        else f"{opened} never came"
    )
    marking.gates.remove(firing)
    marking.live.pop(firing.id, None)
    if firing.lane and marking.lanes is not None:
        marking.lanes.leave(firing.lane)
    text = (
        f"{node.net.definition.name}.{node.name} missed its time between {opened} and "
        f"{closed}: {why}. ({node.step.place})"
    )
    out.append(Report("missed", node.name, text))
    if node.serial:
        marking.late = (*marking.late, ("next", node))


def deadlock(net: Net, marking: Marking) -> Exception:
    """The error for firings that wait for mutexes and hold what the others need."""
    from flowkit.errors import DeadlockError  # only an error needs it

    gates = gates_of(marking)
    waits = [
        f"{firing.node.name} waits for {' and '.join(map(repr, sorted(needs)))}"
        for firing in gates.waiting.values()
        if (needs := set(_needs(gates, firing.node)))
    ]
    holds = [
        f"{mutex!r} is held by {_holder(marking, holder)}"
        for mutex, holder in gates.holders.items()
    ]
    return DeadlockError(
        f"{net.definition.name} cannot go on: {'; '.join([*waits, *holds])}. Give the "
        f"steps of a region no mutex that another region holds."
    )


def _holder(marking: Marking, holder: int | str) -> str:
    if isinstance(holder, str):
        return f"region {holder}"
    return marking.live[holder].node.name


def expire(marking: Marking, out: list[Command]) -> bool:
    """Drop those whose milestone cannot open any more; whether there were any."""
    gates = marking.gates
    if gates is None or not gates.waiting:
        return False
    gone = [each for each in gates.waiting.values() if _phase(gates, each.node) != OPEN]
    for firing in gone:
        drop(marking, firing, out)
    return bool(gone)
