"""The store port: the journal of runs, their waits, the inbox of events.

A store keeps text and numbers; what they mean is the runtime's. Everything that is
written is a *move*, a piece of data: one move is one unit, all of it or nothing.
:meth:`Store.commit` takes many moves and makes them durable together (group
commit); a refused move leaves the others alone.

Promises of every store, tested by one contract suite (``tests/journal/contract.py``):

1. What :meth:`Store.commit` or :meth:`Store.append` has returned is durable, as far
   as the store promises durability at all, and is seen by every read after it.
2. A move is written whole or not at all. Moves of one call are written in order.
3. Every move on a run carries the run's fence. A fence is raised at each claim; a
   move with an older one is refused (:class:`FencedError`) and writes nothing.
4. Records of a run are append-only and numbered 1, 2, 3 without a gap.
5. An event id is accepted once, for as long as it is remembered.
6. A delivery is handed to one run, once: it stays in the run's inbox until a move of
   that run consumes it.
7. An event that no run waits for stays kept; the wait that comes later takes it, in
   the order of arrival for its subscriber, name and key.

Times are seconds since the epoch, given by the caller: a store reads no clock. All
methods block and may be called from any thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowkit.journal.queries import Failing, Figures, Query
    from flowkit.journal.rows import (
        Dead,
        Entry,
        Hold,
        Letter,
        Move,
        Outcome,
        Owner,
        RunRow,
        Waiting,
    )

__all__ = ["Store"]


class Store(Protocol):
    """Where runs live. See the module for its promises.

    Attributes:
        url: how it was opened, without a password.
        durable: whether it survives the process.
        remote: whether a commit's answer may be lost (:class:`UnknownOutcomeError`):
            events are given an id then.
    """

    url: str
    durable: bool
    remote: bool

    def close(self) -> None:
        """Give up all connections; a second call does nothing."""
        ...

    def append(self, hold: Hold, entry: Entry) -> None:
        """One record, as a commit of its own: the short way of ``commit``.

        Raises:
            FencedError: another owner has the run.
            UnknownOutcomeError: it may have been written or not; make the same call
                again, which writes it if it was not.
            StoreError: it could not be written; nothing was.
        """
        ...

    def commit(self, moves: Sequence[Move]) -> list[Outcome]:
        """Many moves, durable together; an outcome for each, in order.

        Raises:
            UnknownOutcomeError: all of them may have been written, or none; make the
                same call again, on the same store object: a record or a run that
                was written is recognized and gives its outcome, a repeated
                :class:`~flowkit.journal.rows.Accept` with an id is ``duplicate``.
            StoreError: nothing of any of them was written.
        """
        ...

    def beat(self, owner: Owner) -> None:
        """Say that a process is alive until ``owner.until``."""
        ...

    def retire(self, owner: str) -> None:
        """A process ends in good order: its runs may be claimed at once.

        An owner that the store does not know counts as one whose time is over.
        """
        ...

    def owners(self) -> list[Owner]:
        """Every process that said it is alive, also those whose time is over."""
        ...

    def claim(
        self, run: str, owner: str, at: float, dead: Sequence[str] = ()
    ) -> tuple[RunRow, Hold] | None:
        """Take a run over, raising its fence; None if a living owner has it.

        A run that nobody owns, that ``owner`` itself owns, or whose owner's time is
        over at ``at`` or is named in ``dead``, can be claimed. Runs that are over
        can be claimed, too.

        Raises:
            KeyError: no such run.
        """
        ...

    def claimable(
        self,
        at: float,
        flows: Sequence[str],
        *,
        dead: Sequence[str] = (),
        limit: int = 100,
    ) -> list[str]:
        """Ids of runs to go on with, oldest first.

        Of these flows: ``running`` without a living owner; ``waiting`` ones that
        are due or have a letter that fits one of their waits, without a living
        owner. (A letter that the run does not wait for now would make it claimable
        for ever.)
        """
        ...

    def next_due(self, flows: Sequence[str]) -> float | None:
        """The earliest ``due`` of a waiting run of these flows, or None."""
        ...

    def run(self, run: str) -> RunRow | None:
        """One run by its id."""
        ...

    def by_state(self, flow: str | None, state_id: str) -> RunRow | None:
        """The newest run with that state id."""
        ...

    def entries(self, run: str, since: int = 0, limit: int = -1) -> list[Entry]:
        """A run's records after number ``since``, in order."""
        ...

    def letters(self, run: str) -> list[Letter]:
        """What is in a run's inbox and not consumed, oldest first."""
        ...

    def runs(self, query: Query) -> list[RunRow]:
        """Runs, newest first."""
        ...

    def figures(self, query: Query, target: float | None = None) -> list[Figures]:
        """Counts and durations of the runs that fit, by flow and status.

        Reckoned where they are stored; the query's ``limit`` does not count.

        Args:
            query: which runs.
            target: seconds; how many took longer is counted.
        """
        ...

    def failing(self, query: Query) -> list[Failing]:
        """Errors of the runs that fit, the most frequent first, up to the limit."""
        ...

    def ids(self, prefix: str, limit: int = 2) -> list[str]:
        """Ids that begin with a prefix."""
        ...

    def waits(
        self,
        *,
        name: str | None = None,
        key: str | None = None,
        kind: str | None = None,
        token: str | None = None,
        run: str | None = None,
        limit: int = 1000,
    ) -> list[Waiting]:
        """What runs wait for, oldest first; what is not given does not restrict."""
        ...

    def graph(self, digest: str) -> str | None:
        """The definition of that hash, as JSON text."""
        ...

    def subscribers(self, name: str) -> list[str]:
        """Flows with a run that waits for events of this name."""
        ...

    def seen(self, event: str) -> bool:
        """Whether this event id was accepted before."""
        ...

    def kept(self, subscriber: str | None = None) -> list[Letter]:
        """Letters that no run has taken and no handler has done, oldest first."""
        ...

    def done(self, letter: int) -> None:
        """A handler has done its letter."""
        ...

    def dead(self, *, limit: int = 100, name: str | None = None) -> list[Dead]:
        """Dead letters, oldest first."""
        ...

    def undead(self, number: int) -> Dead | None:
        """Take one out of the dead letters; None if it is not there."""
        ...

    def forget(
        self,
        *,
        events_before: float,
        kept_before: float,
        most_kept: int,
        at: float = 0.0,
        reason: str | None = None,
    ) -> list[Letter]:
        """Forget old event ids and old kept letters; gives the dropped letters.

        Those that came before these times, and the oldest beyond ``most_kept``.
        Letters in a run's inbox and those for handlers are not kept ones: they
        stay. With a ``reason`` the dropped ones are dead letters from ``at`` on, of
        the kind ``dropped``, in the same transaction: one table or the other has
        each, whenever the process dies.
        """
        ...

    def purge(self, runs: Sequence[str]) -> int:
        """Delete runs that are over with all that belongs to them; how many.

        A run that is not over is left alone, whoever asks.
        """
        ...

    def save_state(self, id: str, method: str, state: str, at: float) -> None:
        """The latest state a persisted method left under an id."""
        ...

    def load_state(self, id: str) -> str | None:
        """What was saved last under that id."""
        ...

    def save_pending(self, id: str, context: str, state: str, at: float) -> None:
        """A pause for feedback: one an id, the last saved."""
        ...

    def load_pending(self, id: str) -> tuple[str, str] | None:
        """State and context of a pause, or None."""
        ...

    def clear_pending(self, id: str) -> None:
        """The pause is over."""
        ...

    def cell(self, name: str) -> str | None:
        """A named value, such as when a schedule last fired."""
        ...

    def swap(self, name: str, old: str | None, new: str) -> bool:
        """Set a named value if it still is ``old``; whether it was."""
        ...

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None] | None:
        """Call ``heard(run_id)`` when another process hands a run a letter.

        It is called in a thread of the store, and may miss some: who listens looks
        for :meth:`claimable` runs now and then, too.

        Gives a function that ends it; None if this store cannot tell.
        """
        ...

    def info(self) -> Mapping[str, Any]:
        """Kind, version and schema of what is behind it, for people."""
        ...
