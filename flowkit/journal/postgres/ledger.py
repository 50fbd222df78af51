"""What a group of moves changes, worked out in memory before it is written.

The rows that the moves touch are read and locked first; then each move, in order,
is checked and changes the ledger or is refused; then all that has changed is
written, a statement for each table.
"""

from __future__ import annotations

import json
from bisect import insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.journal.postgres.places import Spot
from flowkit.journal.refusals import fenced, gap, occupied, taken, token_taken
from flowkit.journal.room import room
from flowkit.journal.rows import (
    KEEP,
    TRANSIENT,
    Accept,
    Accepted,
    Advance,
    Advanced,
    Begin,
    Begun,
    Bury,
    Entry,
    Fate,
    Hold,
    Keep,
    Letter,
    RunRow,
    Wait,
    is_over,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from flowkit.errors import StoreError
    from flowkit.journal.rows import Delivery, Move, Outcome

__all__ = ["Doubt", "Ledger", "Pending", "Post", "Run", "tags_text"]


class Doubt(NamedTuple):
    """What may have been written although the answer was lost.

    Only for these is a repeat told from a mistake: a record of that run and number
    with the same content was written, and so was its whole move.
    """

    records: set[tuple[int, int]]
    runs: set[str]


class Pending(NamedTuple):
    """A wait; ``number`` is None for one that is not written yet."""

    number: int | None
    wait: Wait
    since: float


class Post(NamedTuple):
    """A letter and the number of the run that has it, or None."""

    letter: Letter
    run: int | None
    handler: bool = False


@dataclass
class Run:
    """A run that moves change, as it is after those before."""

    n: int
    id: str
    flow: str
    fence: int
    seq: int
    waits: list[Pending] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)

    def spots(self, *, lasting: bool = False) -> set[Spot]:
        """The places where events reach it, or those that came before reach it, too."""
        return {
            Spot(self.flow, wait.name, wait.key)
            for _, wait, _ in self.waits
            if wait.kind == "event" and not (lasting and wait.data == TRANSIENT)
        }


def tags_text(tags: Sequence[str]) -> str:
    """Tags as one text, in which ``json.dumps(tag)`` finds a tag and nothing else.

    No JSON string holds a bare line feed, so none looks like two quotes and what
    is between them.
    """
    return json.dumps(list(tags), ensure_ascii=False, separators=(",\n", ":"))


class Ledger:
    """The rows a group of moves is about, and what becomes of them.

    Attributes, filled by whoever reads the database: ``runs`` by number; ``rows`` of
    ids that exist; ``live`` runs of states that a begin is to have alone, newest
    first; ``waiting`` runs at each place, oldest first, and what ``rooms`` they have
    there; ``full`` places, where others wait without room; ``kept`` letters at each
    place; ``inboxes`` by number of run; ``seen`` events; ``tokens`` and the run
    of each; ``written`` records that a repeated move may name; numbers for what is
    new.
    """

    def __init__(self, doubt: Doubt) -> None:
        self.doubt = doubt
        self.runs: dict[int, Run] = {}
        self.rows: dict[str, RunRow] = {}
        self.live: list[RunRow] = []
        self.waiting: dict[Spot, list[tuple[int, str]]] = {}
        self.rooms: dict[Spot, dict[int, int | None]] = {}
        self.full: set[Spot] = set()
        self.kept: dict[Spot, list[Letter]] = {}
        self.inboxes: dict[int, dict[int, Letter]] = {}
        self.seen: set[str] = set()
        self.tokens: dict[str, int] = {}
        self.written: dict[tuple[int, int], Entry] = {}
        self.run_numbers: Iterator[int] = iter(())
        self.letter_numbers: Iterator[int] = iter(())
        self.dead_numbers: Iterator[int] = iter(())

        self.new_runs: list[RunRow] = []
        self.records: list[tuple[int, Entry]] = []
        self.new_letters: dict[int, Post] = {}
        self.moved: dict[int, int | None] = {}
        self.consumed: list[tuple[int, int]] = []
        self.dropped_waits: list[int] = []
        self.events: dict[str, float] = {}
        self.graphs: dict[str, str] = {}
        self.buried: list[tuple[int, Bury]] = []
        self.woken: dict[str, None] = {}

    def enter(self, moves: Iterable[Move]) -> list[Outcome]:
        """Each move in order; a refused one changes nothing."""
        return [_ENTRIES[type(move)](self, move) for move in moves]

    def begin(self, move: Begin) -> Begun | StoreError:
        """A new run, unless there is one of that id."""
        id = move.run.id
        if id in self.rows:
            return self._begun_before(move) or taken(self.rows[id])
        fault = self._unbeginnable(move)
        if fault:
            return fault
        n, letters = self._create(move)
        return Begun(Hold(n, move.run.fence), letters)

    def _unbeginnable(
        self, move: Begin, others: Sequence[RunRow] = ()
    ) -> StoreError | None:
        """Why a run of a new id cannot begin, also beside others about to begin."""
        if move.alone:
            place = move.run.flow, move.run.state_id
            for row in (*map(self._now, self.live), *self.new_runs, *others):
                if (row.flow, row.state_id) == place and not is_over(row.status):
                    return occupied(row)
        return self._misnumbered(move.run.id, move.entries, 0) or self._taken_token(
            move.waits, None
        )

    def _now(self, row: RunRow) -> RunRow:
        """A run as the moves before this one leave it."""
        run = self.runs.get(row.n)
        if run is None:
            return row
        changes = {
            name: run.changes[name]
            for name in ("status", "state_id")
            if name in run.changes
        }
        return row._replace(seq=run.seq, **changes)

    def _begun_before(self, move: Begin) -> Begun | None:
        row = self.rows[move.run.id]
        same = row.created == move.run.created and row.flow == move.run.flow
        if row.id not in self.doubt.runs or not same:
            return None
        letters = tuple(self.inboxes.get(row.n, {}).values())
        return Begun(Hold(row.n, move.run.fence), letters)

    def _create(self, move: Begin) -> tuple[int, tuple[Letter, ...]]:
        n = next(self.run_numbers)
        row = move.run._replace(n=n, seq=len(move.entries))
        waits = move.waits
        if is_over(row.status):
            row = row._replace(owner=None, due=None)
            waits = ()
        self.rows[row.id] = row
        self.new_runs.append(row)
        self.records += [(n, entry) for entry in move.entries]
        if move.graph:
            self.graphs.setdefault(row.graph, move.graph)
        run = self.runs[n] = Run(n, row.id, row.flow, row.fence, row.seq)
        return n, self._wait_for(run, waits, row.created)

    def advance(self, move: Advance) -> Advanced | StoreError:
        """A run moves on, unless somebody else has it or a record does not follow."""
        run = self.runs.get(move.hold.n)
        if run is None:
            return fenced(None, move.hold, None)
        if run.fence != move.hold.fence:
            return fenced(run.id, move.hold, run.fence)
        if self._is_written(run, move.entries):
            return Advanced(self._letters_for(run, move.waits))
        waits = () if move.waits is KEEP else move.waits
        fault = self._misnumbered(run.id, move.entries, run.seq) or self._taken_token(
            waits, run.n
        )
        if fault:
            return fault
        return self._move_on(run, move)

    def _is_written(self, run: Run, entries: Sequence[Entry]) -> bool:
        """Whether a repeated move was written at the first try."""
        return bool(entries) and all(
            self.written.get((run.n, entry.seq)) == entry for entry in entries
        )

    def _letters_for(
        self, run: Run, waits: Sequence[Wait] | Keep
    ) -> tuple[Letter, ...]:
        if isinstance(waits, Keep):
            return ()
        spots = {(wait.name, wait.key) for wait in waits if wait.kind == "event"}
        inbox = self.inboxes.get(run.n, {}).values()
        return tuple(each for each in inbox if (each.name, each.key) in spots)

    def _move_on(self, run: Run, move: Advance) -> Advanced:
        self.records += [(run.n, entry) for entry in move.entries]
        run.seq += len(move.entries)
        inbox = self.inboxes.setdefault(run.n, {})
        for number in move.consumed:
            inbox.pop(number, None)
            self.consumed.append((number, run.n))
        over = not isinstance(move.status, Keep) and is_over(move.status)
        run.changes |= _changed(move)
        if not isinstance(move.graph, Keep):
            digest, text = move.graph
            run.changes["graph"] = digest
            if text:
                self.graphs.setdefault(digest, text)
        if over:
            run.changes |= {"due": None, "owner": None}
            self._wait_for(run, (), move.at)
            return Advanced(passed=self._pass_on(run))
        if isinstance(move.waits, Keep):
            return Advanced()
        return Advanced(self._wait_for(run, move.waits, move.at))

    def _wait_for(
        self, run: Run, waits: Sequence[Wait], at: float
    ) -> tuple[Letter, ...]:
        """Set what a run waits for; gives the kept letters that new waits take."""
        before, lasting = run.spots(), run.spots(lasting=True)
        old = {pending.wait: pending for pending in run.waits}
        once = dict.fromkeys(waits)
        run.waits = [old.pop(wait, Pending(None, wait, at)) for wait in once]
        gone = [pending.number for pending in old.values()]
        self.dropped_waits += [number for number in gone if number is not None]
        after = run.spots()
        for spot in before - after:
            if spot in self.waiting:
                # Not among the oldest that were read? Then it was not needed.
                line = self.waiting[spot]
                self.waiting[spot] = [each for each in line if each[0] != run.n]
        for spot in after - before:
            if spot in self.waiting:
                insort(self.waiting[spot], (run.n, run.id))
        news = run.spots(lasting=True) - lasting
        found = [each for spot in news for each in self.kept.pop(spot, ())]
        given = tuple(self._give(letter, run.n, run.id) for letter in sorted(found))
        for spot in after & self.waiting.keys():
            self._measure(run, spot)
        return given

    def _measure(self, run: Run, spot: Spot) -> None:
        """How many letters more a run takes at a place, after a change of its waits."""
        waits = [
            (wait, since)
            for _, wait, since in run.waits
            if wait.kind == "event" and (wait.name, wait.key) == (spot.name, spot.key)
        ]
        inbox = self.inboxes.get(run.n, {}).values()
        place = (spot.name, spot.key)
        arrived = [each.at for each in inbox if (each.name, each.key) == place]
        self.rooms.setdefault(spot, {})[run.n] = room(waits, arrived)

    def _taker(self, spot: Spot) -> tuple[int, str] | None:
        """The oldest run that waits at a place and has room for a letter."""
        rooms = self.rooms.get(spot, {})
        for n, id in self.waiting[spot]:
            left = rooms.get(n)
            if left is None or left > 0:
                return n, id
        return None

    def _give(self, letter: Letter, n: int, id: str) -> Letter:
        """Put a letter into a run's inbox."""
        letter = letter._replace(run=id)
        rooms = self.rooms.get(Spot(letter.subscriber, letter.name, letter.key), {})
        if (left := rooms.get(n)) is not None:
            rooms[n] = left - 1
        self._place(letter, n)
        self.inboxes.setdefault(n, {})[letter.number] = letter
        return letter

    def _place(self, letter: Letter, n: int | None) -> None:
        if letter.number in self.new_letters:
            self.new_letters[letter.number] = Post(letter, n)
        else:
            self.moved[letter.number] = n

    def _pass_on(self, run: Run) -> tuple[Letter, ...]:
        """Letters of a run that is over go to the next one, or are kept again."""
        passed = []
        for _, letter in sorted(self.inboxes.pop(run.n, {}).items()):
            spot = Spot(run.flow, letter.name, letter.key)
            taker = self._taker(spot)
            if taker is not None:
                passed.append(self._give(letter, *taker))
                self.woken[taker[1]] = None
            else:
                kept = letter._replace(run=None)
                self._place(kept, None)
                insort(self.kept.setdefault(spot, []), kept)
        return tuple(passed)

    def accept(self, move: Accept) -> Accepted | StoreError:
        """An event comes in, unless it did before or a run it begins exists."""
        if move.id is not None and move.id in self.seen:
            return Accepted(duplicate=True)
        begun: list[RunRow] = []
        for delivery in move.deliveries:
            begin = self._begins(move, delivery)
            if begin is not None:
                fault = self._refused(begin, begun)
                if fault:
                    return fault
                begun.append(begin.run)
        if move.id is not None:
            self.seen.add(move.id)
            self.events[move.id] = move.at
        return Accepted(
            fates=tuple(self._deliver(move, each) for each in move.deliveries)
        )

    def _begins(self, move: Accept, delivery: Delivery) -> Begin | None:
        """What a delivery begins, if it comes to that: no run has room for it."""
        spot = Spot(delivery.subscriber, move.name, delivery.key_in(move))
        if delivery.handler or self._taker(spot) is not None:
            return None
        return delivery.begin

    def _refused(self, begin: Begin, others: Sequence[RunRow]) -> StoreError | None:
        """Why a run cannot begin beside others that the same event begins."""
        if begin.run.id in self.rows:
            return taken(self.rows[begin.run.id])
        if any(begin.run.id == other.id for other in others):
            return taken(begin.run)
        return self._unbeginnable(begin, others)

    def _deliver(self, move: Accept, delivery: Delivery) -> Fate:
        spot = Spot(delivery.subscriber, move.name, delivery.key_in(move))
        if delivery.handler:
            return Fate("handler", letter=self._letter(move, delivery))
        taker = self._taker(spot)
        if taker is not None:
            letter = self._give(self._letter(move, delivery), *taker)
            self.woken[taker[1]] = None
            return Fate("run", taker[1], letter)
        if delivery.begin is not None:
            n, _ = self._create(delivery.begin)
            row = self.new_runs[-1]
            if row.owner is None and not is_over(row.status):
                self.woken[row.id] = None
            return Fate("begun", row.id, hold=Hold(n, row.fence))
        if not delivery.keep or self.waiting[spot] or spot in self.full:
            return Fate("dropped")  # kept for a later wait, not for one without room
        letter = self._letter(move, delivery)
        self.kept.setdefault(spot, []).append(letter)
        return Fate("kept", letter=letter)

    def _letter(self, move: Accept, delivery: Delivery) -> Letter:
        number = next(self.letter_numbers)
        letter = Letter(
            number,
            delivery.subscriber,
            move.name,
            delivery.key_in(move),
            move.id,
            delivery.payload,
            move.at,
            None,
            move.traceparent,
        )
        self.new_letters[number] = Post(letter, None, delivery.handler)
        return letter

    def bury(self, move: Bury) -> int:
        """A dead letter; gives its number."""
        number = next(self.dead_numbers)
        self.buried.append((number, move))
        return number

    def _misnumbered(
        self, id: str, entries: Sequence[Entry], latest: int
    ) -> StoreError | None:
        for seq, entry in enumerate(entries, latest + 1):
            if entry.seq != seq:
                return gap(id, entry.seq, seq - 1)
        return None

    def _taken_token(self, waits: Sequence[Wait], n: int | None) -> StoreError | None:
        """A token names one wait. ``n`` may use its own again."""
        own: set[str] = set()
        for wait in dict.fromkeys(waits):
            if not wait.token:
                continue
            if wait.token in own or self.tokens.get(wait.token, n) != n:
                return token_taken(wait.name)
            own.add(wait.token)
        for token in own:
            self.tokens[token] = -1 if n is None else n
        return None


def _changed(move: Advance) -> dict[str, Any]:
    """The columns a move names."""
    names = ("status", "due", "owner", "key", "state_id", "error", "result", "state")
    named = {name: getattr(move, name) for name in names}
    changes = {name: value for name, value in named.items() if value is not KEEP}
    if "status" in changes:
        changes["updated"] = move.at
    if not isinstance(move.tags, Keep):
        changes["tags"] = tags_text(move.tags)
    return changes


_ENTRIES: dict[type, Callable[[Ledger, Any], Outcome]] = {
    Begin: Ledger.begin,
    Advance: Ledger.advance,
    Accept: Ledger.accept,
    Bury: Ledger.bury,
}
