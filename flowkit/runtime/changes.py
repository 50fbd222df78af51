"""What one step does to the state, and the dictionary that notes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.runtime.values import ATOMS, MISSING, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from flowkit.runtime.state import StateBox

__all__ = [
    "Changes",
    "StateDict",
    "link_dict",
    "put",
    "raw_fields",
    "unlink_dict",
]


class Changes:
    """What one step does to the state.

    Attributes:
        before: each touched field as last committed.
        own: each touched value as the step holds it, to tell growth from a new value.
        extra: what a model's ``extra="allow"`` holds, as last committed.
        base: fields that somebody else committed meanwhile, as this step saw them.
    """

    __slots__ = (
        "base",
        "before",
        "box",
        "extra",
        "original",
        "own",
        "raw",
        "since",
        "state",
        "view",
    )

    def __init__(self, box: StateBox, state: Any, *, view: bool) -> None:
        self.box: StateBox = box
        self.state: Any = state
        self.raw: dict[str, Any] = raw_fields(state)
        self.view: bool = view
        self.before: dict[str, Any] = {}
        self.base: dict[str, Any] | None = None
        self.own: dict[str, Any] = {}
        self.since: int = box.commits
        self.original: Any = None
        self.extra: dict[str, Any] | None = None

    def touch(self, field: str, value: Any) -> Any:
        """Note a mutable value before a step can change it; return what to use."""
        if field in self.before:
            return value
        if self.view:
            self.before[field] = value
            own = snapshot(value)
            dict.__setitem__(self.raw, field, own)
            self.own[field] = own
            return own
        if self.since < 0:  # no step is alone: somebody outside looks
            return value
        self.own[field] = value
        old = self.before[field] = snapshot(value)
        for other in self.box.views:
            if field not in other.before and other.raw.get(field) is value:
                dict.__setitem__(other.raw, field, old)
        return value

    def write(self, field: str) -> None:
        """Note a field that is about to be assigned or deleted."""
        if field not in self.before and (self.view or self.since >= 0):
            self.before[field] = dict.get(self.raw, field, MISSING)


def raw_fields(state: Any) -> dict[str, Any]:
    """The fields of a state as one dictionary, past all tracking."""
    if isinstance(state, dict):
        return state
    fields: dict[str, Any] = state.__dict__
    return fields


class StateDict(dict[str, Any]):
    """Free-form state: a dictionary that notes what a step touches."""

    __slots__ = ("changes",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.changes: Changes | None = None

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if self.changes is not None and type(value) not in ATOMS:
            return self.changes.touch(key, value)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or ``default``."""
        return self[key] if key in self else default  # noqa: SIM401 - this is get

    def __iter__(self) -> Iterator[str]:  # else dict(state) reads past __getitem__
        return super().__iter__()

    def __getattr__(self, name: str) -> Any:
        msg = f"Free-form state has no attribute {name!r}. Write state[{name!r}]."
        raise AttributeError(msg)

    def _touch_all(self) -> None:
        if self.changes is not None:
            for key, value in list(super().items()):
                if type(value) not in ATOMS:
                    self.changes.touch(key, value)

    def values(self) -> Any:
        """The values, as of any dictionary."""
        self._touch_all()
        return super().values()

    def items(self) -> Any:
        """The pairs, as of any dictionary."""
        self._touch_all()
        return super().items()

    def __setitem__(self, key: str, value: Any) -> None:
        if self.changes is not None:
            self.changes.write(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        if self.changes is not None and key in self:
            self.changes.write(key)
        super().__delitem__(key)

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a key and give its value."""
        if self.changes is not None and key in self:
            value = self[key]  # noted: the step may change what it takes out
            self.changes.write(key)
            super().__delitem__(key)
            return value
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        """Remove the newest pair and give it."""
        for key in reversed(self):
            return key, self.pop(key)
        return super().popitem()

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, set to ``default`` first if it is absent."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several keys."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]  # as dict
        self.update(other)
        return self

    def clear(self) -> None:
        """Remove all keys."""
        for key in list(self):
            del self[key]

    def copy(self) -> dict[str, Any]:
        """A plain dictionary with the same pairs."""
        return dict(self.items())

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        from copy import deepcopy  # loaded when used

        return deepcopy(dict(super().items()), memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (dict(super().items()),)


def put(raw: dict[str, Any], field: str, value: Any) -> None:
    """Set a field past all tracking, or take it away."""
    if value is MISSING:
        dict.pop(raw, field, None)
    else:
        dict.__setitem__(raw, field, value)


def link_dict(state: Any, changes: Changes) -> None:
    """Have free-form state note what a step touches."""
    state.changes = changes


def unlink_dict(state: Any) -> None:
    """Free-form state notes nothing any more."""
    state.changes = None
