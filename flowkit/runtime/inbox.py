"""Outside events into one run: does it take them, and who drives it then."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from flowkit.core.definition import leaves
from flowkit.core.records import EventReceived
from flowkit.runtime.blocking import drive_blocking, in_thread
from flowkit.runtime.launch import payload_for
from flowkit.runtime.loops import forget_loop, in_running_loop, on_trio

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowkit.core.net import Node
    from flowkit.runtime.run import Run

__all__ = [
    "accepted",
    "drive_on",
    "fitting",
    "has_room",
    "listeners",
    "send_to",
    "takes",
    "takes_kept",
    "wants_now",
]


def listeners(run: Run, name: str) -> list[Node]:
    """The steps of a run that an event of this name reaches, before any join."""
    if run.over:
        return []
    edges = list(run.net.by_event.get(name, ()))
    if name not in run.net.definition.names:
        edges += run.net.by_name.get(name, ())
    return [edge.node for edge in edges if not edge.node.step.begins_on_event]


def takes(run: Run, name: str, key: str | None, at: float = inf) -> bool:
    """Whether a listener of a run, or a step that waits in it, takes such an event.

    Args:
        at: when it was sent, in seconds since the epoch.
    """
    return bool(listeners(run, name)) or (not run.over and run.wants(name, key, at))


def has_room(run: Run, name: str, key: str | None) -> bool:
    """Whether a run takes such an event beside those that it is about to take.

    A transient listener takes one at a time, a step that waits for an event one.
    """
    if run.over:
        return False
    queued = _queued(run, name)
    busy = {each.node for each in list(run.marking.live.values())}
    for node in listeners(run, name):
        if not (_once(node, name) and (queued or node in busy)):
            return True
    return run.wants(name, key, but=sum(each.key == key for each in queued))


def takes_kept(run: Run, name: str, key: str | None) -> bool:
    """The same for an event that came before: nothing transient takes that."""
    if run.over:
        return False
    if any(not _once(node, name) for node in listeners(run, name)):
        return True
    queued = sum(each.key == key for each in _queued(run, name))
    return run.wants(name, key, at=-inf, but=queued)


def wants_now(run: Run, name: str, key: str | None) -> bool:
    """Whether steps wait for such an event, all for one that comes from now on."""
    return run.wants(name, key) and not run.wants(name, key, at=-inf)


def _queued(run: Run, name: str) -> list[EventReceived]:
    return [
        each
        for each in list(run.pending)
        if type(each) is EventReceived and each.name == name
    ]


def _once(node: Node, name: str) -> bool:
    """Whether a listener takes such an event only when it can start at once."""
    return node.serial and any(
        each.name == name and each.transient for each in node.direct
    )


Taken = tuple[Any, dict[str, Any] | None]


def accepted(run: Run, name: str, payload: Any) -> Taken:
    """The payload as the run's listeners take it, and what some take otherwise.

    Raises:
        InputError: it does not fit the type of one of them.
    """
    return fitting(type(run.flow), listeners(run, name), name, payload)


def fitting(cls: type, nodes: Iterable[Node], name: str, payload: Any) -> Taken:
    """The payload as these steps of a class take it, each by its own type.

    Raises:
        InputError: it does not fit the type of one of them.
    """
    shares = {
        node.name: payload_for(cls, node, payload, name)
        for node in nodes
        if any(leaf.name == name for leaf in leaves(node.step.trigger))
    }
    if not shares:
        return payload, None
    first, *others = shares.values()
    if all(each is first or each == first for each in others):
        return first, None
    return payload, shares


def send_to(run: Run, name: str, payload: Any, key: str | None, backend: str) -> bool:
    """Hand an event to a run and, if it waits, drive it on; blocks meanwhile."""
    if not has_room(run, name, key):
        return False
    if run.journal is not None and not run.active:
        run.journal.acquire(run)
    taken, shares = accepted(run, name, payload)
    with run.lock:  # whoever moves it sees the event before it stops
        if not has_room(run, name, key):  # another thread has sent one meanwhile
            return False
        run.event(name, taken, key, None, shares)
        moved = run.active
    if moved:
        if run.hurry is not None:
            run.hurry()
        return True
    drive_on(run, backend)
    return True


def drive_on(run: Run, backend: str) -> None:
    """Move a run on that nobody moves; blocks.

    Raises:
        Exception: whatever ended the run.
    """
    if on_trio():
        backend = "trio"
    if in_running_loop():
        run.context.run(forget_loop)  # a run that was loaded here knows this one
        in_thread(lambda: drive_blocking(run, backend), run.cancel)
    else:
        drive_blocking(run, backend)
    run.outcome()
