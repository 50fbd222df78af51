"""How a move of a run reaches its store: at once, in its turn, or handed over."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from flowkit.errors import UnknownOutcomeError
from flowkit.journal.rows import Advance
from flowkit.runtime.beginning import begin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.records import Record
    from flowkit.journal.entries import Note
    from flowkit.journal.rows import Accept, Entry, Hold, Move
    from flowkit.journal.writer import Ticket
    from flowkit.runtime.durable import Journal
    from flowkit.runtime.run import Run

__all__ = ["Held", "append", "is_plain", "write"]


class Held(NamedTuple):
    """A move on its way, and what is to be done once it is durable."""

    ticket: Ticket
    commands: Sequence[Command]
    after: Callable[[], None] | None


def is_plain(journal: Journal, run: Run) -> bool:
    """Whether a record is all there is to be written, and at once."""
    marking, standing, writer = run.marking, journal.standing, journal.writer
    return (
        marking.status == "running" == standing.status
        and journal.hold is not None
        and (journal.carriers is None or not journal.carriers.open)
        and not (run.held or standing.renamed or journal.letters)
        and not (marking.asked or marking.timers or standing.waits or run.lifetime)
        and standing.due is None
        and not run.net.events
        and (
            journal.blocking
            or (writer.quick and writer.idle and len(journal.presence.moving) == 1)
        )
    )


def write(  # noqa: PLR0917 - what one move is
    journal: Journal,
    run: Run,
    record: Record | Note,
    entry: Entry,
    commands: Sequence[Command],
    after: Callable[[], None] | None,
) -> None:
    """Write a record that was decided on, and act on it once it is durable.

    Args:
        entry: the record as it is stored.
        commands: what was decided.
        after: what else is to be done then.

    Raises:
        StoreError: it was not written.
    """
    if journal.hold is None and run.held:  # it begins just now
        journal.wait(run)
    if journal.hold is None and entry.seq == 1:
        _begin(journal, run, entry, commands, after)
        return
    if journal.hold is None:
        journal.acquire(run)
    hold = journal.hold
    assert hold is not None  # noqa: S101 - else acquire has raised
    changes = journal.changes(run, record, commands)
    carriers = journal.carriers
    if carriers is not None:
        carrier = carriers.of(record)
        if carrier is not None or carriers.ahead is not None:
            move = Advance(hold, (entry,), entry.at, **changes)
            moves: tuple[Move, ...] = (move, *_beside(journal, run))
            before = run.held[-1].ticket if run.held else None
            ticket = carriers.in_turn(moves, carrier, before)
            _hold_back(journal, run, Held(ticket, commands, after))
            return
    at_once = journal.blocking or (
        journal.writer.quick
        and len(journal.presence.moving) == 1
        and journal.writer.idle
    )
    if at_once and not run.held:
        if not changes:
            append(journal, hold, entry)
        else:
            move = Advance(hold, (entry,), entry.at, **changes)
            journal.received(run, journal.writer.now(move, *_beside(journal, run)))
        journal.carried(run, commands, after)
        return
    move = Advance(hold, (entry,), entry.at, **changes)
    ticket = journal.writer.submit(move, *_beside(journal, run))
    _hold_back(journal, run, Held(ticket, commands, after))


def _hold_back(journal: Journal, run: Run, held: Held) -> None:
    run.held.append(held)
    if journal.blocking:
        journal.wait(run)


def append(journal: Journal, hold: Hold, entry: Entry) -> None:
    """Write one record at once; the writer learns what that costs.

    Raises:
        StoreError: it was refused, or could not be written.
    """
    writer = journal.writer
    begun = 0.0 if writer.cheap else perf_counter()
    try:
        journal.store.append(hold, entry)
    except UnknownOutcomeError:
        journal.store.append(hold, entry)
    if not writer.cheap:
        writer.measured(perf_counter() - begun)


def _begin(
    journal: Journal,
    run: Run,
    entry: Entry,
    commands: Sequence[Command],
    after: Callable[[], None] | None,
) -> None:
    begin = begin_of(journal, run, entry)
    if journal.capturing:
        journal.captured = begin, commands
        return
    if not (journal.blocking or journal.writer.quick):
        run.held.append(Held(journal.writer.submit(begin), commands, after))
        return
    journal.received(run, journal.writer.now(begin))
    journal.carried(run, commands, after)


def _beside(journal: Journal, run: Run) -> tuple[Accept, ...]:
    """The end of a called run is an event for its caller, in the same commit."""
    if run.caller is None or run.marking.status in {"running", "waiting"}:
        return ()
    news: tuple[Accept, ...] = run.caller.news(run, journal.store)
    return news
