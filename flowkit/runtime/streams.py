"""Steps that yield: each item is committed at once and feeds the group behind.

The items of one firing are numbered. A step that starts again yields from its first
item on; those that were recorded before are passed over. A group with a ``limit``
holds the step back, so that no more than one item waits.
"""

from __future__ import annotations

import threading
from copy import copy
from typing import TYPE_CHECKING, Any

from flowkit.core.records import StepYielded
from flowkit.runtime.clock import now
from flowkit.runtime.positions import at_home, step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.core.lanes import Group
    from flowkit.core.net import Net
    from flowkit.runtime.calls import Call

__all__ = ["streaming_calls"]

_GENERATOR, _ASYNC_GENERATOR = 0x20, 0x200


def streaming_calls(calls: Sequence[Call], net: Net) -> tuple[Call, ...]:
    """The calls of a flow, those of steps that yield into a group bridged to it."""
    return tuple(
        _bridged(call) if node.feeds else call
        for call, node in zip(calls, net.nodes, strict=True)
    )


def _bridged(call: Call) -> Call:
    function = call.function
    code = getattr(function, "__code__", None)
    flags = 0 if code is None else code.co_flags
    if not flags & (_GENERATOR | _ASYNC_GENERATOR):
        return call
    changed = copy(call)
    changed.looped = True
    if flags & _ASYNC_GENERATOR:
        changed.is_async = True
        changed.function = _async_step(function)
    else:
        changed.function = _plain_step(function)
    return changed


def _async_step(function: Callable[..., Any]) -> Callable[..., Any]:
    async def step(flow: Any, *args: Any, **kwargs: Any) -> None:
        stream = _Stream(flow)
        items = function(flow, *args, **kwargs)
        try:
            async for item in items:
                if not await stream.give(item):
                    break
        finally:
            await items.aclose()

    return step


def _plain_step(function: Callable[..., Any]) -> Callable[..., Any]:
    def step(flow: Any, *args: Any, **kwargs: Any) -> Any:
        stream = _Stream(flow)
        items = function(flow, *args, **kwargs)
        try:
            while True:
                try:
                    item = next(items)
                except StopIteration as end:
                    return end.value
                if not stream.give_blocking(item):
                    return None
        finally:
            items.close()

    return step


class _Stream:
    """The items of one firing."""

    def __init__(self, flow: Any) -> None:
        self.run, self.firing = step_of(flow, "yield")
        self.count = 0

    def _record(self, item: Any) -> None:
        run, number = self.run, self.firing.id
        if number not in run.marking.live or run.over:
            return
        if run.journal is not None:
            item = run.journal.checked(item)
        run.yielded[number] = self.count
        run.apply(StepYielded(now(), number, self.count - 1, item))

    def _known(self) -> bool:
        """Whether the next item was recorded before the step started again."""
        self.count += 1
        return self.count <= self.run.yielded.get(self.firing.id, 0)

    @property
    def _groups(self) -> list[Group]:
        """The groups that still take items."""
        lanes = self.run.marking.lanes
        if lanes is None or self.firing.id not in self.run.marking.live:
            return []
        found = []
        for edge in self.firing.node.feeds:
            number = lanes.streams.get((self.firing.id, edge.node.index))
            group = None if number is None else lanes.groups.get(number)
            if group is not None and not group.sealed:
                found.append(group)
        return found

    @property
    def _crowded(self) -> bool:
        return any(group.full and group.items for group in self._groups)

    def _wait_with(self, wake: Callable[[], object]) -> None:
        """Have ``wake`` called at the first record that leaves room."""

        def look() -> bool:
            if self._crowded:
                return False
            wake()
            return True

        self.run.rooms[self.firing.id] = look

    async def give(self, item: Any) -> bool:
        """Hand an item over, and wait for room; whether more are wanted."""
        import anyio  # a loop runs, so it is there
        from anyio.lowlevel import checkpoint

        run = self.run
        if self._known():
            return True
        self._record(item)
        if run.held and run.settle is not None:
            await run.settle()
        if run.hurry is not None:
            run.hurry()
        await checkpoint()
        while self._crowded:
            room = anyio.Event()
            self._wait_with(room.set)
            await room.wait()
        return bool(self._groups)

    def give_blocking(self, item: Any) -> bool:
        """The same in the thread of a synchronous step."""
        run = self.run
        if self._known():
            return True
        at_home(run, lambda: self._record(item))
        while self._crowded and run.home not in {None, threading.get_ident()}:
            room = threading.Event()
            self._wait_with(room.set)
            if self._crowded:
                room.wait()
        return bool(self._groups)
