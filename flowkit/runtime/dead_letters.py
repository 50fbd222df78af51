"""Dead letters of a stored bus: events that were refused or failed, with the reason."""

from __future__ import annotations

from sys import maxsize
from typing import TYPE_CHECKING, Any

from flowkit.errors import FlowkitError, NotFoundError
from flowkit.journal.codec import encode
from flowkit.journal.rows import Bury
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from flowkit.journal.base import Store
    from flowkit.journal.rows import Dead
    from flowkit.journal.writer import Ticket, Writer

__all__ = ["DeadLetters"]


class DeadLetters:
    """Those of one store."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer
        self._latest: Ticket | None = None

    def bury(self, letter: Any, reason: str, kind: str, subscriber: str = "") -> None:
        """Put an event into the dead letters."""
        payload = letter.payload
        if not isinstance(payload, str):
            try:
                payload = encode(payload, "the payload")
            except FlowkitError:
                payload = encode(repr(payload), "the payload")
        name = letter.name if isinstance(letter.name, str) else repr(letter.name)
        event = getattr(letter, "event", getattr(letter, "id", None))
        id_ = None if event is None else str(event)
        self._latest = self._writer.submit(
            Bury(name, letter.key, id_, now(), payload, reason, kind, subscriber)
        )

    def listed(self, limit: int) -> list[Dead]:
        """Dead letters, oldest first."""
        self.settle()
        return self._store.dead(limit=limit)

    def found(self, number: int) -> Bury:
        """One of them.

        Raises:
            NotFoundError: it is not there.
        """
        for dead in self.listed(maxsize):
            if dead.number == number:
                return dead.letter
        msg = (
            f"There is no dead letter {number} in {self._store.url}. Look at the "
            f"numbers in bus.dead; one that was sent again is taken out."
        )
        raise NotFoundError(msg)

    def drop(self, number: int) -> None:
        """Take one out, once what was buried in its place is in the store."""
        self.settle()
        self._store.undead(number)

    def settle(self) -> None:
        """Block until what was buried is in the store.

        Raises:
            StoreError: it could not be written.
        """
        ticket, self._latest = self._latest, None
        if ticket is not None:
            self._writer.wait(ticket)
