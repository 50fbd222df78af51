"""By name and key: which open run an event belongs to."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from flowkit.core.definition import Leaf, leaves
from flowkit.runtime.changes import raw_fields
from flowkit.runtime.expected import open_questions

if TYPE_CHECKING:
    from flowkit.runtime.kinds import Kind
    from flowkit.runtime.run import Run

__all__ = ["OpenRuns", "carried_key", "event_leaves", "key_in", "only_transient"]

Place = tuple[type, str, str | None]


def event_leaves(kind: Kind, *, begins: bool) -> tuple[Leaf, ...]:
    """Event leaves of a flow's starts, or of its listeners."""
    return _event_leaves(kind)[begins]


@cache
def _event_leaves(kind: Kind) -> tuple[tuple[Leaf, ...], tuple[Leaf, ...]]:
    found: tuple[list[Leaf], list[Leaf]] = ([], [])
    for step in kind.compiled.definition.steps:
        for leaf in leaves(step.trigger):
            if leaf.kind == "event":
                found[step.begins_on_event].append(leaf)
    return tuple(found[False]), tuple(found[True])


def only_transient(kind: Kind, name: str) -> bool:
    """Whether all listeners of an event take it at once or not at all."""
    found = [leaf for leaf in event_leaves(kind, begins=False) if leaf.name == name]
    return bool(found) and all(leaf.transient for leaf in found)


def key_in(kind: Kind, leaf: Leaf, carrier: Any) -> str | None:
    """The correlation key that a payload or a state carries, as text."""
    if leaf.key is None or carrier is None:
        return None
    if leaf.key == "<function>":
        try:
            found = kind.compiled.keys[leaf.name](carrier)
        except Exception:  # noqa: BLE001 - made for the other side: payload or state
            return None
    else:
        found = carrier
        for part in leaf.key.split("."):
            found = _field(found, part)
    return None if found is None else str(found)


def carried_key(kind: Kind, name: str, payload: Any) -> str | None:
    """The key of an event that was sent without one, read from its payload."""
    for begins in (True, False):
        for leaf in event_leaves(kind, begins=begins):
            if leaf.name == name:
                key = key_in(kind, leaf, payload)
                if key is not None:
                    return key
    return None


def _field(carrier: Any, name: str) -> Any:
    if isinstance(carrier, dict):
        return dict.get(raw_fields(carrier), name)
    return getattr(carrier, name, None)


class OpenRuns:
    """Runs that are not over, by flow class, event name and key."""

    def __init__(self) -> None:
        self._places: dict[Place, dict[Run, None]] = {}
        self._of: dict[Run, set[Place]] = {}

    def __len__(self) -> int:
        return len(self._of)

    def runs(self) -> list[Run]:
        """All of them, oldest first."""
        return list(self._of)

    def put(self, run: Run, kind: Kind) -> set[Place]:
        """Note what a run can take now; its state may have changed its keys."""
        cls = type(run.flow)
        places = set()
        for leaf in event_leaves(kind, begins=False):
            key = run.key or key_in(kind, leaf, run.box.live)
            places.add((cls, leaf.name, key))
        for asked in open_questions(run.marking) if run.marking.asked else ():
            detail = asked.detail or {}
            places |= {(cls, name, detail["key"]) for name in detail.get("names", ())}
        before = self._of.get(run, set())
        for place in before - places:
            self._leave(run, place)
        for place in places - before:
            self._places.setdefault(place, {})[run] = None
        self._of[run] = places
        return places

    def drop(self, run: Run) -> None:
        """A run is over."""
        for place in self._of.pop(run, ()):
            self._leave(run, place)

    def _leave(self, run: Run, place: Place) -> None:
        there = self._places[place]
        del there[run]
        if not there:
            del self._places[place]

    def find(self, cls: type, name: str, key: str | None) -> list[Run]:
        """Open runs of a class that take such an event, oldest first."""
        return list(self._places.get((cls, name, key), ()))
