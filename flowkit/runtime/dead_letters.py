"""Dead letters of a stored bus: events that were refused or failed, with the reason.

One that the store does not take is told at once and handed in again: with the next
one, whenever the bus looks at its store, when somebody reads them, and at the end.
"""

from __future__ import annotations

import threading
from functools import partial
from sys import maxsize
from typing import TYPE_CHECKING, Any

from flowkit.errors import FlowkitError, NotFoundError
from flowkit.journal.codec import encode
from flowkit.journal.rows import Bury
from flowkit.runtime import signals
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Dead, Letter
    from flowkit.journal.writer import Ticket, Writer
    from flowkit.runtime.receipt import Rejection

__all__ = ["DeadLetters"]


class _Burial:
    """A dead letter on its way into the store.

    Attributes:
        ticket: of the latest try.
        done: called once it is durable.
        told: somebody was told that a try failed.
    """

    __slots__ = ("done", "move", "ticket", "told")

    def __init__(self, move: Bury, done: Callable[[], None] | None) -> None:
        self.move: Bury = move
        self.done: Callable[[], None] | None = done
        self.ticket: Ticket | None = None
        self.told: bool = False

    @property
    def failed(self) -> bool:
        """Whether the latest try is over, and the letter is not in the store."""
        return self.ticket is not None and isinstance(
            self.ticket.outcome, BaseException
        )


class DeadLetters:
    """Those of one store.

    Args:
        bus: whose they are.
        store: where they are kept.
        writer: of that store.
    """

    def __init__(self, bus: Any, store: Store, writer: Writer) -> None:
        self._bus = bus
        self._store = store
        self._writer = writer
        self._lock = threading.RLock()
        self._open: dict[_Burial, None] = {}

    def refused(
        self, gone: Rejection, payload: Any, key: str | None, subscriber: str
    ) -> None:
        """Put an event into the dead letters that nobody, or somebody, did not take."""
        try:
            text = encode(payload, "the payload")
        except FlowkitError:
            text = encode(ascii(payload), "the payload")
        name = str(gone.name)  # that it is no text may be what is wrong with it
        id_ = None if gone.id is None else str(gone.id)
        self._put(
            Bury(name, key, id_, now(), text, gone.reason, gone.status, subscriber)
        )

    def failed(self, letter: Letter, reason: str, done: Callable[[], None]) -> None:
        """Put a handler's letter there; ``done`` is called when it is durable."""
        _, subscriber, name, key, event, payload, *_ = letter
        move = Bury(name, key, event, now(), payload, reason, "failed", subscriber)
        self._put(move, done)

    def _put(self, move: Bury, done: Callable[[], None] | None = None) -> None:
        self.retry()
        storable = [_storable(each) for each in move]
        self._submit(_Burial(Bury(*storable), done))

    def _submit(self, burial: _Burial) -> None:
        with self._lock:
            self._open[burial] = None
            ticket = burial.ticket = self._writer.submit(burial.move)
        self._writer.call(ticket, _at_once, partial(self._written, burial, ticket))

    def _written(self, burial: _Burial, ticket: Ticket) -> None:
        """A try is over; in the thread of the writer."""
        error = ticket.outcome
        if not isinstance(error, BaseException):
            self._concluded(burial)
        elif not burial.told:
            burial.told = True
            self._tell(burial.move, error)

    def _concluded(self, burial: _Burial) -> None:
        with self._lock:
            known = burial in self._open
            self._open.pop(burial, None)
            if known and burial.done is not None:
                burial.done()

    def _tell(self, move: Bury, error: BaseException) -> None:
        signals.log().error(
            "The dead letter of event %r (%s) could not be written to %s: %s It is "
            "kept in this process and handed in again until the store takes it: mend "
            "the store before the process ends.",
            move.name,
            move.reason,
            self._store.url,
            error,
        )
        if signals.dead_letter_failed.receivers:
            signals.tell(
                signals.dead_letter_failed,
                self._bus,
                name=move.name,
                key=move.key,
                id=move.id,
                reason=move.reason,
                error=error,
            )

    def retry(self) -> None:
        """Hand in again what the store did not take; returns at once."""
        with self._lock:
            for burial in [each for each in self._open if each.failed]:
                self._submit(burial)

    def listed(self) -> list[Dead]:
        """All dead letters, oldest first."""
        self.settle()
        return self._store.dead(limit=maxsize)

    def found(self, number: int) -> Bury:
        """One of them.

        Raises:
            NotFoundError: it is not there.
        """
        for dead in self.listed():
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
            StoreError: it could not be written; it is handed in again later.
        """
        self.retry()
        with self._lock:
            burials = [(each, each.ticket) for each in self._open]
        for burial, ticket in burials:
            if ticket is not None:
                self._writer.wait(ticket)
            self._concluded(burial)

    def close(self) -> None:
        """The bus ends: write what is open, or tell that it goes with the process."""
        try:
            self.settle()
        except Exception as error:  # noqa: BLE001 - the bus ends, whatever it is
            with self._lock:
                left = [each.move for each in self._open]
            for move in left:
                signals.log().error(
                    "The dead letter of event %r (%s, payload %s) was not written to "
                    "%s before the bus ended: %s",
                    move.name,
                    move.reason,
                    move.payload,
                    self._store.url,
                    error,
                )


def _storable(value: Any) -> Any:
    """A text without what no store takes: lone surrogates and, of some, null bytes."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _at_once(back: Callable[[], None]) -> None:
    """What a writer calls when a ticket is done: in its own thread."""
    back()
