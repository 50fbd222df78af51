"""A step assigns a whole state: ``self.state = ..``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.runtime.changes import StateDict, raw_fields
from flowkit.runtime.values import MISSING, snapshot

if TYPE_CHECKING:
    from flowkit.runtime.changes import Changes
    from flowkit.runtime.state import StateBox

__all__ = ["replace"]


def replace(box: StateBox, changes: Changes, state: Any) -> None:
    """``self.state = state`` within a step: its fields become the new ones."""
    for field in list(dict.keys(changes.raw)):
        value = dict.__getitem__(changes.raw, field)
        if field not in changes.before:  # the new state may share its lists
            changes.before[field] = snapshot(value)
    if isinstance(state, dict):
        state = StateDict(dict(state.items()))
    elif changes.view and isinstance(changes.state, dict):
        state = StateDict(raw_fields(state))  # the live state is a dictionary
    for field in raw_fields(state):
        changes.before.setdefault(field, MISSING)
    box.unlink(changes.state)
    if not changes.view:
        if changes.original is None:
            changes.original = changes.state
        box.adopt(state)
    changes.state = state
    changes.raw = raw_fields(state)
    box.link(state, changes)
