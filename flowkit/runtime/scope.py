"""What a flow object shows of its run: the live state, or a step's own view.

A flow object carries one scope. A step that runs beside others is called on a
facade: an object of the same class that shares the flow's attributes and has a
scope of its own, so threads and tasks the step starts see the step's state.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.marking import Firing
    from flowkit.runtime.changes import Changes
    from flowkit.runtime.run import Run
    from flowkit.runtime.state import StateBox

__all__ = ["Scope"]


_new = object.__new__


class Scope:
    """The state and the firing that belong to one flow object or facade.

    Attributes:
        state: what ``self.state`` gives.
        changes: the view's, None for the flow object itself.
        firing: the step that runs on this object now.
        run: the latest run.
        origin: the flow object users made.
    """

    __slots__ = (
        "box",
        "changes",
        "facade",
        "firing",
        "options",
        "origin",
        "run",
        "state",
    )

    def __init__(
        self, origin: Any, box: StateBox, facade: Callable[[Any, Scope], Any]
    ) -> None:
        self.origin: Any = origin
        self.box: StateBox = box
        self.facade: Callable[[Any, Scope], Any] = facade
        self.state: Any = box.live
        self.changes: Changes | None = None
        self.firing: Firing | None = None
        self.run: Run | None = None
        self.options: dict[str, Any] = {}

    def beside(self, firing: Firing, changes: Changes) -> Any:
        """A facade for a step that runs beside others."""
        scope: Scope = _new(Scope)
        scope.origin = self.origin
        scope.box = self.box
        scope.facade = self.facade
        scope.state = changes.state
        scope.changes = changes
        scope.firing = firing
        scope.run = self.run
        scope.options = self.options
        return self.facade(self.origin, scope)

    def assign(self, state: Any) -> None:
        """``self.state = ..``: within a step a change, outside the new state."""
        changes = self.changes
        if changes is None and self.firing is not None:
            changes = self.firing.driver
        if changes is None:
            self.box.adopt(state)
            self.state = self.box.live
            return
        from flowkit.runtime.replacing import replace  # only who assigns a state

        replace(self.box, changes, state)
        self.state = changes.state

    def set_apart(self, thread: int, changes: Changes, firing: Firing) -> None:
        """From now on a thread that was given up sees its own state here."""
        _apart[thread] = (self, changes, firing, self.run)
        self.__class__ = _Shared

    def let_back(self, thread: int | None) -> None:
        """That thread has ended."""
        gone = thread is not None and _apart.pop(thread, None) is not None
        if gone and all(each[0] is not self for each in list(_apart.values())):
            self.__class__ = Scope


_apart: dict[int, tuple[Scope, Any, Any, Any]] = {}
"""By thread that was given up: whose scope it uses, and what it sees there."""


def _for_each_thread(name: str, index: int, part: str = "") -> property:
    slot = getattr(Scope, name)

    def read(self: Scope) -> Any:
        apart = _apart.get(get_ident())
        if apart is None or apart[0] is not self:
            return slot.__get__(self)
        return getattr(apart[index], part) if part else apart[index]

    def write(self: Scope, value: Any) -> None:
        apart = _apart.get(get_ident())
        if apart is None or apart[0] is not self:
            slot.__set__(self, value)

    return property(read, write)


class _Shared(Scope):
    """A flow object's scope while a thread that was given up goes on with it."""

    __slots__ = ()

    changes = _for_each_thread("changes", 1)
    firing = _for_each_thread("firing", 2)
    run = _for_each_thread("run", 3)
    state = _for_each_thread("state", 1, "state")
