"""The store in memory: every promise of the port but durability."""

from __future__ import annotations

import os
import threading
from bisect import bisect_left, insort
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

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
    Failing,
    Fate,
    Figures,
    Hold,
    Letter,
    Wait,
    Waiting,
    fenced,
    figured,
    gap,
    is_over,
    occupied,
    taken,
    token_taken,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from flowkit.errors import StoreError
    from flowkit.journal.rows import (
        Delivery,
        Entry,
        Move,
        Outcome,
        Owner,
        Query,
        RunRow,
    )

__all__ = ["MemoryStore"]

Place = tuple[str, str, str | None]

COLUMNS: Final = ("status", "due", "key", "state_id", "error", "result", "state")
"""What an Advance changes by its own name."""

_living: WeakSet[MemoryStore] = WeakSet()


class _Run:
    """One run with what belongs to it; ``row`` lacks the latest record's number."""

    __slots__ = ("entries", "inbox", "row", "waits")

    def __init__(self, row: RunRow) -> None:
        self.row = row
        self.entries: list[Entry] = []
        self.waits: dict[Wait, Waiting] = {}
        self.inbox: dict[int, Letter] = {}

    def read(self) -> RunRow:
        return self.row._replace(seq=len(self.entries))


class MemoryStore:
    """A store of this process, gone with it. A fork works on a copy of its own."""

    def __init__(self, url: str = "memory:") -> None:
        self.url = url
        self.durable = False
        self.remote = False
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._runs: dict[int, _Run] = {}
        self._by_id: dict[str, _Run] = {}
        # Indexes: who waits where (run numbers in order), who is due, who runs.
        self._waiting: dict[Place, list[int]] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._tokens: dict[str, _Run] = {}
        self._by_state: dict[str, list[int]] = {}
        self._due: list[tuple[float, int]] = []
        self._running: set[int] = set()
        self._lettered: set[int] = set()
        self._kept: dict[int, Letter] = {}
        self._places: dict[Place, list[int]] = {}
        self._handled: dict[int, Letter] = {}
        self._events: dict[str, float] = {}
        self._dead: dict[int, Dead] = {}
        self._graphs: dict[str, str] = {}
        self._owners: dict[str, Owner] = {}
        self._cells: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._pending: dict[str, tuple[str, str]] = {}
        _living.add(self)

    def close(self) -> None:
        """There is nothing to give up: what was written stays until it is collected."""

    def append(self, hold: Hold, entry: Entry) -> None:
        """One record, as a commit of its own."""
        with self._lock:
            run = self._runs.get(hold.n)
            if run is None or run.row.fence != hold.fence:
                raise _fenced(run, hold)
            latest = len(run.entries)
            if entry.seq != latest + 1:
                raise gap(run.row.id, entry.seq, latest)
            run.entries.append(entry)

    def commit(self, moves: Sequence[Move]) -> list[Outcome]:
        """Many moves; each is checked before it writes anything."""
        with self._lock:
            return [_MOVES[type(move)](self, move) for move in moves]

    def beat(self, owner: Owner) -> None:
        """Say that a process is alive until ``owner.until``."""
        with self._lock:
            self._owners[owner.id] = owner

    def retire(self, owner: str) -> None:
        """A process ends in good order."""
        with self._lock:
            self._owners.pop(owner, None)

    def owners(self) -> list[Owner]:
        """Every process that said it is alive."""
        with self._lock:
            return list(self._owners.values())

    def claim(
        self, run: str, owner: str, at: float, dead: Sequence[str] = ()
    ) -> tuple[RunRow, Hold] | None:
        """Take a run over, raising its fence; None if a living owner has it."""
        with self._lock:
            found = self._by_id[run]
            row = found.row
            if row.owner != owner and self._alive(row.owner, at, dead):
                return None
            found.row = row._replace(owner=owner, fence=row.fence + 1)
            return found.read(), Hold(row.n, row.fence + 1)

    def claimable(
        self,
        at: float,
        flows: Sequence[str],
        *,
        dead: Sequence[str] = (),
        limit: int = 100,
    ) -> list[str]:
        """Ids of runs to go on with, oldest first."""
        with self._lock:
            due = self._due[: bisect_left(self._due, (at, _LAST))]
            hit = (n for n in self._lettered if self._fits(self._runs[n]))
            picked = sorted({*self._running, *(n for _, n in due), *hit})
            rows = (self._runs[n].row for n in picked)
            free = (
                row.id
                for row in rows
                if row.flow in flows and not self._alive(row.owner, at, dead)
            )
            return list(islice(free, limit))

    def next_due(self, flows: Sequence[str]) -> float | None:
        """The earliest ``due`` of a waiting run of these flows."""
        with self._lock:
            runs = self._runs
            return next((at for at, n in self._due if runs[n].row.flow in flows), None)

    def run(self, run: str) -> RunRow | None:
        """One run by its id."""
        with self._lock:
            found = self._by_id.get(run)
            return found.read() if found else None

    def by_state(self, flow: str | None, state_id: str) -> RunRow | None:
        """The newest run with that state id."""
        with self._lock:
            for n in reversed(self._by_state.get(state_id, ())):
                run = self._runs[n]
                if flow in {None, run.row.flow}:
                    return run.read()
        return None

    def entries(self, run: str, since: int = 0, limit: int = -1) -> list[Entry]:
        """A run's records after number ``since``, in order."""
        with self._lock:
            found = self._by_id.get(run)
            if found is None:
                return []
            return found.entries[since : None if limit < 0 else since + limit]

    def letters(self, run: str) -> list[Letter]:
        """What is in a run's inbox and not consumed, oldest first."""
        with self._lock:
            found = self._by_id.get(run)
            return sorted(found.inbox.values()) if found else []

    def runs(self, query: Query) -> list[RunRow]:
        """Runs, newest first."""
        with self._lock:
            most = _LAST
            if query.before is not None:
                before = self._by_id.get(query.before)
                most = before.row.n if before else 0
            found = (
                run.read()
                for run in reversed(self._runs.values())
                if run.row.n < most and _asked(run.row, query)
            )
            return list(islice(found, query.limit))

    def figures(self, query: Query, target: float | None = None) -> list[Figures]:
        """Counts and durations of the runs that fit, by flow and status."""
        found: dict[tuple[str, str], list[RunRow]] = {}
        with self._lock:
            for run in self._runs.values():
                if _asked(run.row, query):
                    place = run.row.flow, run.row.status
                    found.setdefault(place, []).append(run.row)
            return [_figures(rows, target) for _, rows in sorted(found.items())]

    def failing(self, query: Query) -> list[Failing]:
        """Errors of the runs that fit, the most frequent first."""
        found: dict[tuple[str, str], Failing] = {}
        with self._lock:
            for run in reversed(self._runs.values()):
                row = run.row
                if row.error and _asked(row, query):
                    place = row.flow, row.error[:200]
                    first = Failing(*place, 0, row.id)
                    known = found.get(place, first)
                    found[place] = known._replace(runs=known.runs + 1)
        ranked = sorted(found.values(), key=lambda each: -each.runs)
        return ranked if query.limit < 0 else ranked[: query.limit]

    def ids(self, prefix: str, limit: int = 2) -> list[str]:
        """Ids that begin with a prefix."""
        with self._lock:
            return sorted(id for id in self._by_id if id.startswith(prefix))[:limit]

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
        """What runs wait for, oldest first."""
        asked = {"name": name, "key": key, "kind": kind, "token": token}
        given = [(field, value) for field, value in asked.items() if value is not None]
        with self._lock:
            one = self._by_id.get(run) if run is not None else None
            runs = self._runs.values() if run is None else [one] if one else ()
            found = [
                waiting
                for each in runs
                for waiting in each.waits.values()
                if all(getattr(waiting.wait, field) == value for field, value in given)
            ]
        return sorted(found, key=lambda waiting: waiting.since)[:limit]

    def graph(self, digest: str) -> str | None:
        """The definition of that hash."""
        return self._graphs.get(digest)

    def subscribers(self, name: str) -> list[str]:
        """Flows with a run that waits for events of this name."""
        with self._lock:
            return sorted(self._names.get(name, ()))

    def seen(self, event: str) -> bool:
        """Whether this event id was accepted before."""
        return event in self._events

    def kept(self, subscriber: str | None = None) -> list[Letter]:
        """Letters that no run has taken and no handler has done, oldest first."""
        with self._lock:
            letters = (*self._kept.values(), *self._handled.values())
            return sorted(
                letter for letter in letters if subscriber in {None, letter.subscriber}
            )

    def done(self, letter: int) -> None:
        """A handler has done its letter."""
        with self._lock:
            self._handled.pop(letter, None)

    def dead(self, *, limit: int = 100, name: str | None = None) -> list[Dead]:
        """Dead letters, oldest first."""
        with self._lock:
            letters = self._dead.values()
            found = (each for each in letters if name in {None, each.letter.name})
            return list(islice(found, limit))

    def undead(self, number: int) -> Dead | None:
        """Take one out of the dead letters."""
        with self._lock:
            return self._dead.pop(number, None)

    def forget(
        self, *, events_before: float, kept_before: float, most_kept: int
    ) -> list[Letter]:
        """Forget old event ids and old kept letters; gives the dropped letters."""
        with self._lock:
            for id in [id for id, at in self._events.items() if at < events_before]:
                del self._events[id]
            letters = sorted(self._kept.values())
            surplus = len(letters) - most_kept
            dropped = [
                letter
                for index, letter in enumerate(letters)
                if index < surplus or letter.at < kept_before
            ]
            for letter in dropped:
                self._unkeep(letter)
            return dropped

    def purge(self, runs: Sequence[str]) -> int:
        """Delete runs that are over with all that belongs to them; how many."""
        with self._lock:
            found = [self._by_id[id] for id in dict.fromkeys(runs) if id in self._by_id]
            over = [run for run in found if is_over(run.row.status)]
            for run in over:
                self._unindex(run)
                del self._by_id[run.row.id], self._runs[run.row.n]
            return len(over)

    def save_state(self, id: str, method: str, state: str, at: float) -> None:  # noqa: ARG002 - nobody reads who left it when
        """The latest state a persisted method left under an id."""
        self._states[id] = state

    def load_state(self, id: str) -> str | None:
        """What was saved last under that id."""
        return self._states.get(id)

    def save_pending(self, id: str, context: str, state: str, at: float) -> None:  # noqa: ARG002 - nobody reads when
        """A pause for feedback: one an id, the last saved."""
        self._pending[id] = state, context

    def load_pending(self, id: str) -> tuple[str, str] | None:
        """State and context of a pause, or None."""
        return self._pending.get(id)

    def clear_pending(self, id: str) -> None:
        """The pause is over."""
        self._pending.pop(id, None)

    def cell(self, name: str) -> str | None:
        """A named value."""
        return self._cells.get(name)

    def swap(self, name: str, old: str | None, new: str) -> bool:
        """Set a named value if it still is ``old``; whether it was."""
        with self._lock:
            if self._cells.get(name) != old:
                return False
            self._cells[name] = new
            return True

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None] | None:  # noqa: ARG002 - never called
        """None: no other process sees this store."""
        return None

    def info(self) -> Mapping[str, Any]:
        """Kind and size, for people."""
        return {"kind": "memory", "runs": len(self._runs)}

    def _alive(self, owner: str | None, at: float, dead: Container[str]) -> bool:
        known = self._owners.get(owner) if owner is not None else None
        return known is not None and known.until > at and known.id not in dead

    def _begin(self, move: Begin) -> Begun | StoreError:
        fault = self._unbeginnable(move)
        if fault:
            return fault
        n = next(self._numbers)
        over = is_over(move.run.status)
        row = move.run._replace(n=n, seq=0)
        if over:
            row = row._replace(owner=None, due=None)
        run = _Run(row)
        run.entries.extend(move.entries)
        self._runs[n] = self._by_id[row.id] = run
        self._index(run)
        if move.graph:
            self._graphs.setdefault(row.graph, move.graph)
        letters = self._wait(run, () if over else move.waits, row.created)
        return Begun(Hold(n, row.fence), letters)

    def _unbeginnable(
        self, move: Begin, others: Sequence[Begin] = ()
    ) -> StoreError | None:
        """Why a run cannot begin, also beside others that are about to."""
        run = move.run
        known = self._by_id.get(run.id)
        if known is not None:
            return taken(known.read())
        if any(other.run.id == run.id for other in others):
            return taken(run)
        if move.alone:
            line = self._by_state.get(run.state_id, ())
            rows = [self._runs[n].read() for n in reversed(line)]
            rows += [other.run for other in others]
            for row in rows:
                same = (row.flow, row.state_id) == (run.flow, run.state_id)
                if same and not is_over(row.status):
                    return occupied(row)
        used = {wait.token for other in others for wait in other.waits if wait.token}
        return _gap(run.id, 0, move.entries) or self._token(move.waits, None, used)

    def _token(
        self, waits: Iterable[Wait], run: _Run | None, used: Iterable[str] = ()
    ) -> StoreError | None:
        """Why one of these waits of a run cannot have its token."""
        used = set(used)
        for wait in dict.fromkeys(waits):
            if wait.token:
                if wait.token in used or self._tokens.get(wait.token, run) is not run:
                    return token_taken(wait.name)
                used.add(wait.token)
        return None

    def _advance(self, move: Advance) -> Advanced | StoreError:
        run = self._runs.get(move.hold.n)
        if run is None or run.row.fence != move.hold.fence:
            return _fenced(run, move.hold)
        fault = _gap(run.row.id, len(run.entries), move.entries)
        if not fault and move.waits is not KEEP:
            fault = self._token(move.waits, run)
        if fault:
            return fault
        run.entries.extend(move.entries)
        for number in move.consumed:
            run.inbox.pop(number, None)
        changes = _changes(move)
        if changes:
            self._unindex(run)
            run.row = run.row._replace(**changes)
            self._index(run)
        if move.graph is not KEEP:
            self._graphs.setdefault(*move.graph)
        letters: tuple[Letter, ...] = ()
        passed: tuple[Letter, ...] = ()
        if move.status is not KEEP and is_over(move.status):
            self._wait(run, (), move.at)
            passed = self._pass_on(run)
        elif move.waits is not KEEP:
            letters = self._wait(run, move.waits, move.at)
        if not run.inbox:
            self._lettered.discard(run.row.n)
        return Advanced(letters, passed)

    def _index(self, run: _Run) -> None:
        row = run.row
        insort(self._by_state.setdefault(row.state_id, []), row.n)
        if row.status == "running":
            self._running.add(row.n)
        elif row.status == "waiting" and row.due is not None:
            insort(self._due, (row.due, row.n))

    def _unindex(self, run: _Run) -> None:
        row = run.row
        line = self._by_state[row.state_id]
        del line[bisect_left(line, row.n)]
        if not line:
            del self._by_state[row.state_id]
        self._running.discard(row.n)
        if row.status == "waiting" and row.due is not None:
            del self._due[bisect_left(self._due, (row.due, row.n))]

    def _wait(
        self, run: _Run, waits: Sequence[Wait], since: float
    ) -> tuple[Letter, ...]:
        """Set all that a run waits for; gives the kept letters it takes."""
        row, old = run.row, run.waits
        run.waits = {
            wait: old.get(wait) or Waiting(row.id, row.flow, wait, since)
            for wait in waits
        }
        for wait in old:
            self._tokens.pop(wait.token, None)
        self._tokens.update((wait.token, run) for wait in run.waits if wait.token)
        before, after = _places(row.flow, old), _places(row.flow, run.waits)
        for place in before - after:
            line = self._waiting[place]
            del line[bisect_left(line, row.n)]
            if not line:
                del self._waiting[place]
                self._name(place, -1)
        letters: list[Letter] = []
        for place in after - before:
            if place not in self._waiting:
                self._waiting[place] = []
                self._name(place, 1)
            insort(self._waiting[place], row.n)
            letters += [self._kept[number] for number in self._places.get(place, ())]
        for letter in letters:
            self._unkeep(letter)
        return tuple(self._hand(run, letter) for letter in sorted(letters))

    def _name(self, place: Place, change: int) -> None:
        """Count the places of a name and a flow, for ``subscribers``."""
        flow, name, _ = place
        flows = self._names.setdefault(name, {})
        flows[flow] = flows.get(flow, 0) + change
        if not flows[flow]:
            del flows[flow]

    def _fits(self, run: _Run) -> bool:
        """Whether a letter of its inbox is what a waiting run waits for."""
        if run.row.status != "waiting":
            return False
        places = _places(run.row.flow, run.waits)
        return any(_place(letter) in places for letter in run.inbox.values())

    def _hand(self, run: _Run, letter: Letter) -> Letter:
        letter = letter._replace(run=run.row.id)
        run.inbox[letter.number] = letter
        self._lettered.add(run.row.n)
        return letter

    def _keep(self, letter: Letter) -> None:
        self._kept[letter.number] = letter
        insort(self._places.setdefault(_place(letter), []), letter.number)

    def _unkeep(self, letter: Letter) -> None:
        del self._kept[letter.number]
        place = _place(letter)
        line = self._places[place]
        del line[bisect_left(line, letter.number)]
        if not line:
            del self._places[place]

    def _pass_on(self, run: _Run) -> tuple[Letter, ...]:
        """Letters an ended run left: to the next one that waits, else kept."""
        passed: list[Letter] = []
        for letter in sorted(run.inbox.values()):
            line = self._waiting.get(_place(letter))
            if line:
                passed.append(self._hand(self._runs[line[0]], letter))
            else:
                self._keep(letter._replace(run=None))
        run.inbox.clear()
        return tuple(passed)

    def _accept(self, move: Accept) -> Accepted | StoreError:
        if move.id is not None and move.id in self._events:
            return Accepted(duplicate=True)
        begins: list[Begin] = []
        for delivery in move.deliveries:
            if delivery.begin is not None and self._begins(move, delivery):
                fault = self._unbeginnable(delivery.begin, begins)
                if fault:
                    return fault
                begins.append(delivery.begin)
        if move.id is not None:
            self._events[move.id] = move.at
        return Accepted(
            fates=tuple(self._deliver(move, one) for one in move.deliveries)
        )

    def _begins(self, move: Accept, delivery: Delivery) -> bool:
        """Whether it comes to that: no run waits for it."""
        place = (delivery.subscriber, move.name, delivery.key_in(move))
        return not (delivery.handler or self._waiting.get(place))

    def _deliver(self, move: Accept, delivery: Delivery) -> Fate:
        place = (delivery.subscriber, move.name, delivery.key_in(move))
        line = None if delivery.handler else self._waiting.get(place)
        if line:
            run = self._runs[line[0]]
            letter = self._hand(run, self._letter(move, delivery))
            return Fate("run", run.row.id, letter)
        if delivery.handler:
            letter = self._letter(move, delivery)
            self._handled[letter.number] = letter
            return Fate("handler", letter=letter)
        if delivery.begin is not None:
            begun = self._begin(delivery.begin)
            if isinstance(begun, Begun):
                return Fate("begun", delivery.begin.run.id, hold=begun.hold)
        if not delivery.keep:
            return Fate("dropped")
        letter = self._letter(move, delivery)
        self._keep(letter)
        return Fate("kept", letter=letter)

    def _letter(self, move: Accept, delivery: Delivery) -> Letter:
        return Letter(
            next(self._numbers),
            delivery.subscriber,
            move.name,
            delivery.key_in(move),
            move.id,
            delivery.payload,
            move.at,
            None,
            move.traceparent,
        )

    def _bury(self, move: Bury) -> int:
        number = next(self._numbers)
        self._dead[number] = Dead(number, move)
        return number


_LAST: Final = 1 << 62
"""Beyond every number a store gives."""

_MOVES: dict[type[Move], Callable[[MemoryStore, Any], Outcome]] = {
    Begin: MemoryStore._begin,  # noqa: SLF001 - a table of this class's own moves
    Advance: MemoryStore._advance,  # noqa: SLF001 - the same
    Accept: MemoryStore._accept,  # noqa: SLF001 - the same
    Bury: MemoryStore._bury,  # noqa: SLF001 - the same
}


def _fenced(run: _Run | None, hold: Hold) -> StoreError:
    if run is None:
        return fenced(None, hold, None)
    return fenced(run.row.id, hold, run.row.fence)


def _gap(run: str, latest: int, entries: Sequence[Entry]) -> StoreError | None:
    for seq, entry in enumerate(entries, latest + 1):
        if entry.seq != seq:
            return gap(run, entry.seq, seq - 1)
    return None


def _place(letter: Letter) -> Place:
    return letter.subscriber, letter.name, letter.key


def _places(flow: str, waits: Iterable[Wait]) -> set[Place]:
    """Where events are taken; a question to a person takes none."""
    return {(flow, wait.name, wait.key) for wait in waits if wait.kind == "event"}


def _changes(move: Advance) -> dict[str, Any]:
    """The columns a move changes, with what follows from its status."""
    changes: dict[str, Any] = {
        column: value
        for column in COLUMNS
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


def _figures(rows: list[RunRow], target: float | None) -> Figures:
    lasted = sorted(row.updated - row.created for row in rows)
    count = len(lasted)
    return figured(
        rows[0].flow,
        rows[0].status,
        count,
        min(row.created for row in rows),
        sum(lasted) / count,
        sum(each * each for each in lasted) / count,
        lasted[(count + 1) // 2 - 1],
        lasted[(count * 95 + 99) // 100 - 1],
        lasted[-1],
        0 if target is None else sum(each > target for each in lasted),
    )


def _asked(row: RunRow, query: Query) -> bool:
    if query.text:
        text = query.text.casefold()
        places = (row.id, row.key or "", row.state_id, row.error, *row.tags)
        if not any(text in place.casefold() for place in places):
            return False
    return (
        query.flow in {None, row.flow}
        and query.key in {None, row.key}
        and query.state_id in {None, row.state_id}
        and query.parent in {None, row.parent}
        and (not query.status or row.status in query.status)
        and (query.tag is None or query.tag in row.tags)
        and (query.since is None or row.created >= query.since)
        and (query.until is None or row.created < query.until)
    )


def _forked() -> None:
    """In a fork, a lock that another thread held would never be released."""
    for store in _living:
        store._lock = threading.Lock()  # noqa: SLF001 - this module's own


os.register_at_fork(after_in_child=_forked)
