"""A step's own writes, committed together with its record.

``self.transaction()`` opens a connection of its own to the store's database. What
the step writes there is committed when the step has ended, in the one transaction
that holds its record: after a crash both are there, or neither is, and the step
starts again. A step that raises takes its writes back.

The moves of a run keep their order: the carried one waits for those before it, and
those behind it wait for it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flowkit.errors import RunError, StoreError
from flowkit.runtime.carriers import Carriers
from flowkit.runtime.positions import step_of

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.journal.rows import Move
    from flowkit.journal.writer import Ticket, Writer
    from flowkit.runtime.run import Run

__all__ = ["Transaction", "transaction"]


def transaction(flow: Any) -> Transaction:
    """The transaction of the step that runs on this object.

    Raises:
        RunError: no step runs, its store has no transactions, it has one already.
    """
    run, firing = step_of(flow, "transaction")
    name = f"{run.net.definition.name}.{firing.node.name}"
    store = None if run.journal is None else run.journal.store
    if store is None or not hasattr(store, "carrier"):
        where = "in memory" if store is None else f"in {store.url}"
        msg = (
            f"{name} asks for a transaction, but its run is kept {where}. Only a "
            f"PostgreSQL store has tables to write to beside it: "
            f"store='postgresql://..'. ({firing.node.step.place})"
        )
        raise RunError(msg)
    carriers = run.journal.carriers
    if carriers is not None and firing.id in carriers.open:
        msg = (
            f"{name} asks for a second transaction. A step has one, which ends with "
            f"it: use its connection, and `with conn.transaction():` for a savepoint. "
            f"({firing.node.step.place})"
        )
        raise RunError(msg)
    return Transaction(run, firing, store, name)


class Transaction:
    """``with self.transaction() as conn:``, or ``async with`` in an async step."""

    __slots__ = ("_carrier", "_firing", "_is_async", "_name", "_run", "_store")

    def __init__(self, run: Run, firing: Firing, store: Any, name: str) -> None:
        self._run = run
        self._firing = firing
        self._store = store
        self._name = name
        self._is_async = run.calls[firing.node.index].is_async
        self._carrier: Any = None

    def __enter__(self) -> Any:
        if self._is_async:
            msg = f"{self._name} is async: write `async with self.transaction()`."
            raise RunError(msg)
        carrier = self._store.carrier()
        connection = carrier.open()
        self._opened(carrier)
        return connection

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._left(kind)

    async def __aenter__(self) -> Any:
        from flowkit.runtime.loops import on_trio

        if on_trio():
            msg = (
                f"{self._name} runs on trio, which psycopg does not know. Run the "
                f"flow on asyncio, or use the transaction in a synchronous step."
            )
            raise RunError(msg)
        carrier = self._store.carrier_async()
        connection = await carrier.open()
        self._opened(carrier)
        return connection

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        self._left(kind)

    def _opened(self, carrier: Any) -> None:
        self._carrier = carrier
        journal = self._run.journal
        if journal.carriers is None:
            journal.carriers = Carriers()
        journal.carriers.open[self._firing.id] = self

    def _left(self, kind: object) -> None:
        if kind is not None:
            self.roll_back()
        elif self._carrier.broken:
            self.roll_back()
            msg = (
                f"A statement in the transaction of {self._name} failed, and the step "
                f"went on; PostgreSQL commits nothing then. Let the error out, or put "
                f"what may fail into `with conn.transaction():`."
            )
            raise StoreError(msg)

    def roll_back(self) -> None:
        """Take back what the step wrote."""
        self._run.journal.carriers.open.pop(self._firing.id, None)
        self._carrier.roll_back()

    def carry(self, moves: tuple[Move, ...], before: Ticket | None) -> Ticket:
        """Write the step's moves here and commit, once the one before is durable."""
        from flowkit.journal.writer import Ticket

        writer: Writer = self._run.journal.writer
        ticket = Ticket(moves)
        if self._is_async:
            import asyncio  # psycopg knows no other

            work = self._carried_async(writer, ticket, before)
            self._carrier.task = asyncio.get_running_loop().create_task(work)
        else:
            threading.Thread(
                target=self._carried,
                args=(writer, ticket, before),
                name="flowkit-transaction",
                daemon=True,
            ).start()
        return ticket

    def _carried(self, writer: Writer, ticket: Ticket, before: Ticket | None) -> None:
        outcome: Any
        try:
            if before is not None:
                writer.wait(before)
            outcome = self._carrier.write(*ticket.moves)
        except BaseException as error:  # noqa: BLE001 - the run is told
            self._carrier.roll_back()
            outcome = error
        writer.settle([(ticket, outcome)])

    async def _carried_async(
        self, writer: Writer, ticket: Ticket, before: Ticket | None
    ) -> None:
        import anyio

        from flowkit.runtime.loops import loop_caller

        outcome: Any
        try:
            if before is not None:
                durable = anyio.Event()
                writer.call(before, loop_caller(), durable.set)
                await durable.wait()
                before.result()
            outcome = await self._carrier.write(*ticket.moves)
        except BaseException as error:  # noqa: BLE001 - the run is told
            self._carrier.roll_back()
            outcome = error
        writer.settle([(ticket, outcome)])
