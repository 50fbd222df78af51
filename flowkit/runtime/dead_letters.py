"""Dead letters of a stored bus: events that were refused or failed, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.errors import FlowkitError, RunError
from flowkit.journal.codec import encode
from flowkit.journal.rows import Bury
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from flowkit.journal.base import Store
    from flowkit.journal.rows import Dead
    from flowkit.journal.writer import Writer

__all__ = ["DeadLetters"]


class DeadLetters:
    """Those of one store."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer

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
        self._writer.submit(
            Bury(name, letter.key, id_, now(), payload, reason, kind, subscriber)
        )

    def listed(self, limit: int) -> list[Dead]:
        """Dead letters, oldest first."""
        return self._store.dead(limit=limit)

    def taken(self, number: int) -> Bury:
        """Take one out.

        Raises:
            RunError: it is not there.
        """
        found = self._store.undead(number)
        if found is None:
            msg = f"There is no dead letter {number} in {self._store.url}."
            raise RunError(msg)
        return found.letter
