"""How far the groups of a run are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flowkit.core.marking import Marking

__all__ = ["Progress", "progress_of"]


class Progress(NamedTuple):
    """How far one group is.

    Attributes:
        step: the step that fans out.
        lane: indexes of the instances around the group, outermost first.
        total: items so far.
        waiting: items that have no instance yet.
        running: instances at work.
        done: instances that are over, failed ones included.
        failed: instances that failed and nobody handled.
        growing: whether the source may give more.
    """

    step: str
    lane: tuple[int, ...]
    total: int
    waiting: int
    running: int
    done: int
    failed: int
    growing: bool


def progress_of(marking: Marking) -> list[Progress]:
    """One entry for each open group."""
    lanes = marking.lanes
    groups = [] if lanes is None else list(lanes.groups.values())
    return [
        Progress(
            group.node.name,
            tuple(index for _, index in group.lane),
            group.total,
            len(group.items),
            len(group.lanes),
            group.done,
            len(group.failures),
            not group.exhausted,
        )
        for group in groups
    ]
