"""What a model's ``extra="allow"`` holds beside its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.runtime.changes import put
from flowkit.runtime.values import MISSING, same

if TYPE_CHECKING:
    from flowkit.runtime.changes import Changes
    from flowkit.runtime.state import StateBox

__all__ = ["put_extra", "take_extra"]


def put_extra(state: Any, extra: dict[str, Any]) -> None:
    """Give a model other extra fields, past all tracking."""
    object.__setattr__(state, "__pydantic_extra__", extra)


def take_extra(box: StateBox, changes: Changes) -> None:
    """Extra fields that a view changed; the later commit wins."""
    old, new = changes.extra, changes.state.__pydantic_extra__
    if old is None or new is None:
        return
    solo = box.solo
    targets = [box.live.__pydantic_extra__]
    if solo is not None and solo.since >= 0 and solo.extra is not None:
        targets.append(solo.extra)
    for key in {**old, **new}:
        value = new.get(key, MISSING)
        if not same(old.get(key, MISSING), value):
            for target in targets:
                put(target, key, value)
