"""The moves of a store in memory; each is checked before it writes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowkit.journal.memory.tables import Run, Tables
from flowkit.journal.refusals import fenced, gap, occupied, taken, token_taken
from flowkit.journal.rows import (
    KEEP,
    Accept,
    Accepted,
    Advance,
    Advanced,
    Begin,
    Begun,
    Bury,
    Dead,
    Fate,
    Hold,
    Letter,
    is_over,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flowkit.errors import StoreError
    from flowkit.journal.rows import Delivery, Entry, Move, Outcome, Wait

__all__ = ["MOVES", "bury", "fenced_from"]

_COLUMNS: Final = ("status", "due", "key", "state_id", "error", "result", "state")
"""What an Advance changes by its own name."""


def _begin(tables: Tables, move: Begin) -> Begun | StoreError:
    fault = _unbeginnable(tables, move)
    if fault:
        return fault
    n = next(tables.numbers)
    over = is_over(move.run.status)
    row = move.run._replace(n=n, seq=0)
    if over:
        row = row._replace(owner=None, due=None)
    run = Run(row)
    run.entries.extend(move.entries)
    tables.runs[n] = tables.by_id[row.id] = run
    tables.index(run)
    if move.graph:
        tables.graphs.setdefault(row.graph, move.graph)
    letters = tables.wait(run, () if over else move.waits, row.created)
    return Begun(Hold(n, row.fence), letters)


def _unbeginnable(
    tables: Tables, move: Begin, others: Sequence[Begin] = ()
) -> StoreError | None:
    """Why a run cannot begin, also beside others that are about to."""
    run = move.run
    known = tables.by_id.get(run.id)
    if known is not None:
        return taken(known.read())
    if any(other.run.id == run.id for other in others):
        return taken(run)
    if move.alone:
        line = tables.by_state.get(run.state_id, ())
        rows = [tables.runs[n].read() for n in reversed(line)]
        rows += [other.run for other in others]
        for row in rows:
            same = (row.flow, row.state_id) == (run.flow, run.state_id)
            if same and not is_over(row.status):
                return occupied(row)
    used = {wait.token for other in others for wait in other.waits if wait.token}
    return _gap(run.id, 0, move.entries) or _token(tables, move.waits, None, used)


def _token(
    tables: Tables, waits: Iterable[Wait], run: Run | None, used: Iterable[str] = ()
) -> StoreError | None:
    """Why one of these waits of a run cannot have its token."""
    used = set(used)
    for wait in dict.fromkeys(waits):
        if wait.token:
            if wait.token in used or tables.tokens.get(wait.token, run) is not run:
                return token_taken(wait.name)
            used.add(wait.token)
    return None


def _advance(tables: Tables, move: Advance) -> Advanced | StoreError:
    run = tables.runs.get(move.hold.n)
    if run is None or run.row.fence != move.hold.fence:
        return fenced_from(run, move.hold)
    fault = _gap(run.row.id, len(run.entries), move.entries)
    if not fault and move.waits is not KEEP:
        fault = _token(tables, move.waits, run)
    if fault:
        return fault
    run.entries.extend(move.entries)
    for number in move.consumed:
        run.inbox.pop(number, None)
    changes = _changes(move)
    if changes:
        tables.unindex(run)
        run.row = run.row._replace(**changes)
        tables.index(run)
    if move.graph is not KEEP:
        tables.graphs.setdefault(*move.graph)
    letters: tuple[Letter, ...] = ()
    passed: tuple[Letter, ...] = ()
    if move.status is not KEEP and is_over(move.status):
        tables.wait(run, (), move.at)
        passed = tables.pass_on(run)
    elif move.waits is not KEEP:
        letters = tables.wait(run, move.waits, move.at)
    if not run.inbox:
        tables.lettered.discard(run.row.n)
    return Advanced(letters, passed)


def _accept(tables: Tables, move: Accept) -> Accepted | StoreError:
    if move.id is not None and move.id in tables.events:
        return Accepted(duplicate=True)
    begins: list[Begin] = []
    for delivery in move.deliveries:
        if delivery.begin is not None and _begins(tables, move, delivery):
            fault = _unbeginnable(tables, delivery.begin, begins)
            if fault:
                return fault
            begins.append(delivery.begin)
    if move.id is not None:
        tables.events[move.id] = move.at
    return Accepted(fates=tuple(_deliver(tables, move, one) for one in move.deliveries))


def _begins(tables: Tables, move: Accept, delivery: Delivery) -> bool:
    """Whether it comes to that: no run that waits for it has room."""
    place = (delivery.subscriber, move.name, delivery.key_in(move))
    return not delivery.handler and tables.taker(place) is None


def _deliver(tables: Tables, move: Accept, delivery: Delivery) -> Fate:
    place = (delivery.subscriber, move.name, delivery.key_in(move))
    run = None if delivery.handler else tables.taker(place)
    if run is not None:
        letter = tables.hand(run, _letter(tables, move, delivery))
        return Fate("run", run.row.id, letter)
    if delivery.handler:
        letter = _letter(tables, move, delivery)
        tables.handled[letter.number] = letter
        return Fate("handler", letter=letter)
    if delivery.begin is not None:
        begun = _begin(tables, delivery.begin)
        if isinstance(begun, Begun):
            return Fate("begun", delivery.begin.run.id, hold=begun.hold)
    if not delivery.keep or tables.waiting.get(place):
        return Fate("dropped")  # kept for a later wait, not for one that has no room
    letter = _letter(tables, move, delivery)
    tables.keep(letter)
    return Fate("kept", letter=letter)


def _letter(tables: Tables, move: Accept, delivery: Delivery) -> Letter:
    return Letter(
        next(tables.numbers),
        delivery.subscriber,
        move.name,
        delivery.key_in(move),
        move.id,
        delivery.payload,
        move.at,
        None,
        move.traceparent,
    )


def bury(tables: Tables, move: Bury) -> int:
    """A dead letter; gives its number."""
    number = next(tables.numbers)
    tables.dead[number] = Dead(number, move)
    return number


def fenced_from(run: Run | None, hold: Hold) -> StoreError:
    """The refusal of a hold that is not the run's any more."""
    if run is None:
        return fenced(None, hold, None)
    return fenced(run.row.id, hold, run.row.fence)


def _gap(run: str, latest: int, entries: Sequence[Entry]) -> StoreError | None:
    for seq, entry in enumerate(entries, latest + 1):
        if entry.seq != seq:
            return gap(run, entry.seq, seq - 1)
    return None


def _changes(move: Advance) -> dict[str, Any]:
    """The columns a move changes, with what follows from its status."""
    changes: dict[str, Any] = {
        column: value
        for column in _COLUMNS
        if (value := getattr(move, column)) is not KEEP
    }
    if move.tags is not KEEP:
        changes["tags"] = tuple(move.tags)
    if move.owner is not KEEP:
        changes["owner"] = None
    if move.graph is not KEEP:
        changes["graph"] = move.graph[0]
    if move.status is not KEEP:
        changes["updated"] = move.at
        if is_over(move.status):
            changes.update(owner=None, due=None)
    return changes


MOVES: dict[type[Move], Callable[[Tables, Any], Outcome]] = {
    Begin: _begin,
    Advance: _advance,
    Accept: _accept,
    Bury: bury,
}
