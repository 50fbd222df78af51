"""Whom an event from outside concerns, and what is said of one that concerns nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.runtime.correlation import event_leaves
from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["odd", "takes", "unknown"]


def odd(name: Any, id: Any) -> str:
    """One sentence on an envelope that can't be one, else ""."""
    if not isinstance(name, str):
        return f"An event's name is text, not {name!r}."
    if id is not None and not isinstance(id, str | int):
        return f"An event's id is text, not {id!r}."
    return ""


def takes(flow: type, name: str) -> bool:
    """Whether a flow begins on such an event, or listens to it."""
    kind = known[flow]
    return any(
        leaf.name == name
        for begins in (True, False)
        for leaf in event_leaves(kind, begins=begins)
    )


def unknown(flows: Iterable[type], handlers: Iterable[str], name: str) -> str:
    """Why an event is refused that no flow and no handler takes."""
    from flowkit.core.validate import closest

    names = set(handlers)
    for flow in flows:
        for begins in (True, False):
            leaves = event_leaves(known[flow], begins=begins)
            names.update(leaf.name for leaf in leaves)
    guess = closest(name, frozenset(names))
    hint = f"Did you mean {guess!r}?" if guess else "Register a flow or a handler."
    return f"No flow and no handler takes the event {name!r}. {hint}"
