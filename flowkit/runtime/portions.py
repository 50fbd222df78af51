"""The type of one event for a step that is handed several, or one of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from flowkit.core.definition import Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.definition import Condition
    from flowkit.core.net import Node

__all__ = ["carried_type"]


def carried_type(node: Node, event: str, hint: Any) -> Any:
    """What an event carries for a parameter of this type; None takes anything.

    A step behind ``window`` or ``times`` takes a list, of which an event is one item.
    A step behind ``each`` takes an item of the list that the event carries.
    """
    if hint is None or not event:
        return hint
    several = [
        counted for name, counted in _counted(node.step.trigger) if name == event
    ]
    if several and all(several):
        return _item(hint)
    if node.each is not None and not (node.each.times or node.each.batch):
        return list[hint]
    return hint


def _counted(
    condition: Condition | None,
    counted: bool = False,  # noqa: FBT001, FBT002 - goes down with the joins
) -> Iterator[tuple[str, bool]]:
    """The name of each leaf, and whether several of it are handed over as a list."""
    if isinstance(condition, Leaf):
        yield condition.name, counted
    elif condition is not None:
        for inner in condition.inputs:
            yield from _counted(inner, counted or condition.kind in {"times", "window"})


def _item(hint: Any) -> Any:
    """``T`` of ``list[T]`` and the like; None of what says no more."""
    while get_origin(hint) is Annotated:
        hint = hint.__origin__
    kinds = [each for each in get_args(hint) if each is not Ellipsis]
    return kinds[0] if len(kinds) == 1 else None
