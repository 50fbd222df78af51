"""Fanning out: a group is opened over items, and an instance begun for each (R10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.commands import Fault
from flowkit.core.lanes import Group, Instance, Lanes
from flowkit.core.lines import begin
from flowkit.core.marking import Firing, Token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.commands import Command
    from flowkit.core.marking import Marking
    from flowkit.core.net import Node

__all__ = [
    "add",
    "end_stream",
    "lanes_of",
    "look",
    "open_group",
    "pump",
    "spawn",
]


def lanes_of(marking: Marking) -> Lanes:
    """The groups of a run, made at the first one."""
    if marking.lanes is None:
        marking.lanes = Lanes()
    return marking.lanes


def open_group(
    marking: Marking, node: Node, token: Token, past: frozenset[int], out: list[Command]
) -> None:
    """Fan out over the payload of a token, and count that as a firing."""
    assert node.each is not None  # noqa: S101 - who calls has looked
    if token.lane:
        lanes_of(marking).fired(node, token.lane)
    else:
        marking.fired[node.index] += 1
    if node.each.times:
        items: Any = [token.payload] * node.each.times
    else:
        items = _items(token.payload)
        if items is None:
            out.append(Fault(_no_items(node, token)))
            return
    group = _opened(marking, node, token, past)
    for item in _batches(items, node.each.batch):
        group.items.append((group.total, item))
        group.total += 1
    group.exhausted = True
    look(marking, group)
    pump(marking, group, out)


def _opened(marking: Marking, node: Node, token: Token, past: frozenset[int]) -> Group:
    lanes = lanes_of(marking)
    group = Group(lanes.next, node, token, past)
    lanes.next += 1
    lanes.groups[group.id] = group
    if group.lane:
        lanes.enter(group.lane)  # an open group is live in the lane around it
    return group


def look(marking: Marking, group: Group) -> None:
    """Have a group looked at, though none of its lanes has changed."""
    lanes_of(marking).idle.append((*group.lane, (group.id, -1)))


def _items(payload: Any) -> list[Any] | None:
    if isinstance(payload, str | bytes | bytearray) or hasattr(payload, "__next__"):
        return None
    try:
        return list(payload)
    except TypeError:
        return None


def _batches(items: list[Any], size: int) -> Iterator[Any]:
    if not size:
        yield from items
        return
    for at in range(0, len(items), size):
        yield items[at : at + size]


def _no_items(node: Node, token: Token) -> TypeError:
    from flowkit.errors import ItemsError  # only who errs needs it

    kind = type(token.payload).__name__
    return ItemsError(
        f"{node.net.definition.name}.{node.name} takes each item of {token.name}, "
        f"which gave {_a(kind)}. Return a list, or yield the items from the step. "
        f"({node.step.place})"
    )


def _a(kind: str) -> str:
    if kind == "NoneType":
        return "None"
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"


def pump(marking: Marking, group: Group, out: list[Command]) -> None:
    """Begin as many instances as may be at work."""
    node, items = group.node, group.items
    while items and not group.full and not _partial(group):
        index, item = items.popleft()
        lane = (*group.lane, (group.id, index))
        group.lanes[index] = Instance()
        number = marking.next_firing
        marking.next_firing = number + 1
        firing = Firing(number, node, group.name, item, group.past, None, lane)
        begin(marking, firing, out)


def _partial(group: Group) -> bool:
    """Whether the next item is a batch that may still grow."""
    assert group.node.each is not None  # noqa: S101 - else it has no group
    size = group.node.each.batch
    return bool(size) and not group.exhausted and len(group.items[0][1]) < size


def add(marking: Marking, source: Firing, item: Any, out: list[Command]) -> None:
    """A running step has yielded an item: an instance more behind each of its fans."""
    lanes = lanes_of(marking)
    if source.lane and source.lane not in lanes:
        return
    for edge in source.node.feeds:
        place = source.id, edge.node.index
        number = lanes.streams.get(place)
        if number is None:
            group = _streaming(marking, source, edge.node)
        elif number in lanes.groups:
            group = lanes.groups[number]
        else:
            continue  # it was cancelled, or completed
        if not group.sealed:
            spawn(marking, group, item, out)


def _streaming(marking: Marking, source: Firing, node: Node) -> Group:
    token = Token(source.node.name, None, 0, source.past, lane=source.lane)
    group = _opened(marking, node, token, source.past)
    lanes_of(marking).streams[source.id, node.index] = group.id
    return group


def end_stream(marking: Marking, source: Firing, out: list[Command]) -> None:
    """A step that yields has ended well: what it gave nothing is an empty group."""
    for edge in source.node.feeds:
        if (source.id, edge.node.index) not in lanes_of(marking).streams:
            _streaming(marking, source, edge.node)
    lanes_of(marking).exhaust(source)


def spawn(marking: Marking, group: Group, item: Any, out: list[Command]) -> None:
    """One item more for a group that is open: it has come, or a step asks for it."""
    assert group.node.each is not None  # noqa: S101 - else it has no group
    size = group.node.each.batch
    if size and group.items and len(group.items[-1][1]) < size:
        group.items[-1][1].append(item)
        pump(marking, group, out)
        return
    group.items.append((group.total, [item] if size else item))
    group.total += 1
    pump(marking, group, out)
