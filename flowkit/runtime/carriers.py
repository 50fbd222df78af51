"""The moves of a run in their order while steps have transactions open.

A step's own writes and its record are one commit on a connection of their own. What
the run hands in meanwhile waits behind that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.records import StepAnswered, StepAsked, StepFinished
from flowkit.journal.writer import Ticket

if TYPE_CHECKING:
    from flowkit.core.records import Record
    from flowkit.journal.entries import Note
    from flowkit.journal.rows import Move
    from flowkit.journal.writer import Writer
    from flowkit.runtime.transaction import Transaction

__all__ = ["Carriers"]


class Carriers:
    """Transactions that the steps of one run have open.

    Attributes:
        open: by firing.
        ahead: the carried moves that are on their way, and that others wait for.
    """

    __slots__ = ("_behind", "ahead", "open")

    def __init__(self) -> None:
        self.open: dict[int, Transaction] = {}
        self.ahead: Ticket | None = None
        self._behind: dict[Ticket, list[Ticket]] = {}

    def of(self, record: Record | Note) -> Transaction | None:
        """The transaction that a step has open, if its record is to be part of it."""
        carrier = self.open.get(getattr(record, "firing", None) or 0)
        if carrier is None or type(record) in {StepAsked, StepAnswered}:
            return None
        if type(record) is StepFinished:
            del self.open[record.firing]
            return carrier
        carrier.roll_back()  # it failed, or ended the run out of its middle
        return None

    def in_turn(
        self,
        moves: tuple[Move, ...],
        carrier: Transaction | None,
        before: Ticket | None,
    ) -> Ticket:
        """Hand moves in so that a run's order stays, on whatever connection.

        Args:
            moves: those of one record.
            carrier: what they are part of; None behind the one that is :attr:`ahead`.
            before: the run's latest move that is not durable yet.
        """
        if carrier is not None:
            ahead = self.ahead = carrier.carry(moves, before)
            self._behind[ahead] = []
            return ahead
        ticket = Ticket(moves)
        assert self.ahead is not None  # noqa: S101 - else it has no turn to wait for
        self._behind[self.ahead].append(ticket)
        return ticket

    def passed(self, ticket: Ticket, writer: Writer) -> None:
        """A move is durable: those that waited behind it go to the writer."""
        for each in self._behind.pop(ticket, ()):
            writer.enqueue(each)
        if ticket is self.ahead:
            self.ahead = None

    def drop(self, firing: int | None = None) -> None:
        """Take back what steps wrote in transactions that no record ends."""
        for number in [*self.open] if firing is None else [firing]:
            carrier = self.open.get(number)
            if carrier is not None:
                carrier.roll_back()
