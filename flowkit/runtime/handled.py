"""Letters for the plain handlers of a stored bus: kept until they are done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flowkit.journal.codec import decode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Letter
    from flowkit.runtime.dead_letters import DeadLetters
    from flowkit.runtime.handlers import Handler

__all__ = ["Handled"]


class Handled:
    """Calls handlers with their letters, also with those of a process that is gone.

    Args:
        bus: whose handlers they are.
        store: where the letters are.
        dead: where a letter goes whose handler raised.
        put: has a job done.
    """

    def __init__(
        self,
        bus: Any,
        store: Store,
        dead: DeadLetters,
        put: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> None:
        self._bus = bus
        self._store = store
        self._dead = dead
        self._put = put
        self._recovered = False
        self._handling: set[int] = set()
        self._rescued: set[int] = set()
        self._undone: list[int] = []

    def take(self, handler: Handler, payload: Any, letter: Letter) -> None:
        """Have a handler called, unless its letter was found in the store before."""
        if letter.number not in self._rescued:
            self._begin(handler, payload, letter)

    def _begin(self, handler: Handler, payload: Any, letter: Letter) -> None:
        self._handling.add(letter.number)
        self._put(partial(self._handle, handler, payload, letter))

    async def _handle(self, handler: Handler, payload: Any, letter: Letter) -> None:
        error = await handler.call(self._bus, payload)
        if error is not None:
            reason = f"{handler} raised {error!r}"
            done = partial(self._undone.append, letter.number)
            self._dead.failed(letter, reason, done)
            self._dead.settle()  # until then its letter stays
        else:
            self._undone.append(letter.number)
        self.finish()
        self._handling.discard(letter.number)

    def finish(self) -> None:
        """Take what handlers have done out of the store, also what failed before."""
        while self._undone:
            number = self._undone[-1]
            self._store.done(number)
            self._undone.remove(number)  # the writer may have put one behind it

    def look_again(self) -> None:
        """A commit was not answered: its letters may be in the store."""
        self._recovered = False

    def recover(self) -> None:
        """After a restart: letters of handlers that did not get to them."""
        if self._recovered:
            return
        handlers = {
            (each.name, each.subscriber): each
            for several in self._bus.handlers.values()
            for each in several
        }
        for letter in self._store.kept():
            handler = handlers.get((letter.name, letter.subscriber))
            if handler is not None and letter.number not in self._handling:
                self._rescued.add(letter.number)
                self._begin(handler, decode(letter.payload), letter)
        self._recovered = True
