"""Group commit: moves of many runs made durable together, by one thread.

A move is handed in and gives a :class:`Ticket`; whoever has to wait for it waits on
that, in a thread or on an event loop. Moves are written in the order they came.
Where a commit costs less than handing it over, and nobody else is writing, the
caller writes itself (:meth:`Writer.now`). A commit whose outcome is unknown is
repeated once.
"""

from __future__ import annotations

import threading
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from flowkit.errors import StoreError, UnknownOutcomeError
from flowkit.journal.rows import Accepted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Move, Outcome

__all__ = ["Ticket", "Writer", "writer_of"]

MOST_TOGETHER = 500
QUICK = 0.0005
"""Seconds up to which a commit is made on the event loop, if nobody else writes."""
IDLE = 5.0  # seconds after which a thread without work ends

Soon = "Callable[[Callable[[], None]], Any]"


class Ticket:
    """A move on its way into the store.

    Attributes:
        done: it is durable, or refused.
        outcome: what the store said; an exception if it was refused or failed.
    """

    __slots__ = ("_waiters", "done", "moves", "outcome")

    def __init__(self, moves: tuple[Move, ...]) -> None:
        self.moves: tuple[Move, ...] = moves
        self.done: bool = False
        self.outcome: Outcome | BaseException | None = None
        self._waiters: list[tuple[Any, Callable[[], None]]] = []

    def result(self) -> Any:
        """The outcome; raises it if it is an exception."""
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


class Writer:
    """Writes moves into one store, many at a time.

    Attributes:
        cheap: a commit does not wait for a disk.
        took: seconds that commits of late took, on the average.
        quick: a commit costs less than handing it over, or little more. (Handing it
            over lets an event loop do other things meanwhile, and costs two changes
            of thread: more than the commit itself on a fast disk.)
        idle: nothing is being written or waits to be.
        graphs: definitions that this process has handed in, by their hash.
    """

    def __init__(self, store: Store) -> None:
        self._store = ref(store)  # a store that nobody uses any more may go
        self.took: float = QUICK
        self.cheap: bool = (
            not store.durable or getattr(store, "synchronous", "full") == "normal"
        )
        self.graphs: set[str] = set()
        self.quick: bool = self.cheap
        self.idle: bool = True
        self._line: deque[Ticket] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None

    def _open(self) -> Store:
        store = self._store()
        assert store is not None  # noqa: S101 - whoever writes holds it
        return store

    def measured(self, seconds: float) -> None:
        """Note how long a commit took."""
        self.took += (seconds - self.took) / 8
        self.quick = self.cheap or self.took < QUICK

    def submit(self, *moves: Move) -> Ticket:
        """Hand in a move, or several that are one commit; returns at once.

        The outcome is that of the first.
        """
        ticket = Ticket(moves)
        self.enqueue(ticket)
        return ticket

    def enqueue(self, ticket: Ticket) -> None:
        """Hand in what somebody has the ticket of already."""
        with self._changed:
            self.idle = False
            self._line.append(ticket)
            if self._thread is None:
                self._start()
            else:
                self._changed.notify_all()

    def now(self, *moves: Move) -> Any:
        """Write a move, or several in one commit, in the caller's thread; blocks.

        Raises:
            StoreError: it was refused, or could not be written.
        """
        begun = perf_counter()
        outcome = self._commit([*moves])[0]
        self.measured(perf_counter() - begun)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def wait(self, ticket: Ticket) -> Any:
        """Block until a move is durable; its outcome.

        Raises:
            StoreError: it was refused, or could not be written.
        """
        with self._changed:
            while not ticket.done:
                self._changed.wait()
        return ticket.result()

    def call(self, ticket: Ticket, soon: Any, back: Callable[[], None]) -> None:
        """Have ``soon(back)`` called when the move is durable or refused."""
        with self._changed:
            if not ticket.done:
                ticket._waiters.append((soon, back))  # noqa: SLF001 - one pair
                return
        back()

    def _start(self) -> None:
        self._thread = threading.Thread(
            target=self._work, name="flowkit-writer", daemon=True
        )
        self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._line and not self._changed.wait(IDLE) and not self._line:
                    self._thread = None
                    return
                batch = [
                    self._line.popleft()
                    for _ in range(min(len(self._line), MOST_TOGETHER))
                ]
            if batch:
                self._write(batch)
            del batch  # who waits for it would be kept alive until the next one

    def _commit(self, moves: list[Move]) -> list[Outcome]:
        """Commit; once more if the connection was lost in the middle of it."""
        try:
            return self._open().commit(moves)
        except UnknownOutcomeError:
            outcomes = self._open().commit(moves)
        return [
            outcome._replace(repeated=True)
            if isinstance(outcome, Accepted) and outcome.duplicate
            else outcome
            for outcome in outcomes
        ]

    def _write(self, batch: list[Ticket]) -> None:
        outcomes: list[Any]
        begun = perf_counter()
        try:
            every = self._commit([move for ticket in batch for move in ticket.moves])
            outcomes, at = [], 0
            for ticket in batch:
                outcomes.append(every[at])
                at += len(ticket.moves)
        except StoreError as error:
            outcomes = [error] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may hang
            outcomes = [error] * len(batch)
        if len(batch) == 1:
            self.measured(perf_counter() - begun)
        with self._changed:
            self.idle = not self._line
        self.settle(list(zip(batch, outcomes, strict=True)))

    def settle(self, outcomes: Sequence[tuple[Ticket, Any]]) -> None:
        """Moves are durable, or refused: tell who waits for them."""
        calls: dict[Any, list[Callable[[], None]]] = {}
        with self._changed:
            for ticket, outcome in outcomes:
                ticket.outcome = outcome
                ticket.done = True
                for soon, back in ticket._waiters:  # noqa: SLF001 - one pair
                    calls.setdefault(soon, []).append(back)
            self._changed.notify_all()
        for soon, backs in calls.items():
            try:
                soon(lambda backs=backs: [back() for back in backs])
            except RuntimeError:  # that loop is gone, and its runs with it
                continue


_writers: WeakKeyDictionary[Store, Writer] = WeakKeyDictionary()
_lock = threading.Lock()


def writer_of(store: Store) -> Writer:
    """The one writer of a store object in this process."""
    with _lock:
        found = _writers.get(store)
        if found is None:
            found = _writers[store] = Writer(store)
        return found
