"""What a call did to a state of its own, applied to the changes of its step.

For calls that see a state of their own: those beside each other, of which one counts,
and those in another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.runtime.values import MISSING, same, snapshot

if TYPE_CHECKING:
    from flowkit.runtime.scope import Scope
    from flowkit.runtime.state import Changes

__all__ = ["CallChanges", "apply_to", "changes_in", "changes_of", "view_beside"]

_put = object.__setattr__


class CallChanges(NamedTuple):
    """What a call did to a state.

    Attributes:
        fields: the new value of each changed field, and whether it is the object that
            was there, changed in place. Without a value the field is gone.
        extra: what a model that allows more fields holds now; None if as before.
    """

    fields: dict[str, tuple[bool, Any] | None]
    extra: dict[str, Any] | None = None


def changes_in(scope: Scope) -> Changes:
    """What the step that runs on this object does to the state."""
    changes = scope.changes
    if changes is None:
        assert scope.firing is not None  # noqa: S101 - a step runs on it
        changes = scope.firing.driver
    found: Changes = changes
    return found


def view_beside(changes: Changes) -> Changes:
    """A further view, of what these changes show now; nobody else commits it."""
    view = changes.box._view(dict.copy(changes.raw))
    view.since = changes.since
    if changes.extra is not None:
        view.extra = changes.extra
        _put(
            view.state, "__pydantic_extra__", snapshot(changes.state.__pydantic_extra__)
        )
    return view


def changes_of(changes: Changes) -> CallChanges:
    """What a view's step has changed in it."""
    fields: dict[str, tuple[bool, Any] | None] = {}
    for field, was in changes.before.items():
        value = dict.get(changes.raw, field, MISSING)
        if not same(was, value):
            in_place = changes.own.get(field) is value
            fields[field] = None if value is MISSING else (in_place, value)
    extra = None
    if changes.extra is not None:
        extra = getattr(changes.state, "__pydantic_extra__", None)
        if extra is not None and same(changes.extra, extra):
            extra = None
    return CallChanges(fields, extra)


def apply_to(changes: Changes, done: CallChanges) -> None:
    """Have these changes be what a call has done, as if the step had done it here."""
    for field, found in done.fields.items():
        changes.write(field)
        if found is None:
            dict.pop(changes.raw, field, None)
            changes.own.pop(field, None)
            continue
        in_place, value = found
        dict.__setitem__(changes.raw, field, value)
        if in_place:
            changes.own[field] = value
        else:
            changes.own.pop(field, None)
    if done.extra is not None and changes.extra is not None:
        _put(changes.state, "__pydantic_extra__", dict(done.extra))
