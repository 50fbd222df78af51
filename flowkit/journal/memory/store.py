"""``MemoryStore``: the store of one process, gone with it."""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from flowkit.journal.memory.asking import figures_of, fits
from flowkit.journal.memory.moves import MOVES, bury, fenced_from
from flowkit.journal.memory.tables import Tables
from flowkit.journal.queries import Failing, Figures
from flowkit.journal.refusals import gap
from flowkit.journal.rows import Dead, Hold, Letter, Waiting, buried, is_over

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from flowkit.journal.queries import Query
    from flowkit.journal.rows import Entry, Move, Outcome, Owner, RunRow

__all__ = ["MemoryStore"]

LAST: Final = 1 << 62
"""Beyond every number a store gives."""

_living: WeakSet[MemoryStore] = WeakSet()


class MemoryStore:
    """A store of this process, gone with it. A fork works on a copy of its own."""

    def __init__(self, url: str = "memory:") -> None:
        self.url = url
        self.durable = False
        self.remote = False
        self._lock = threading.Lock()
        self._tables = Tables()
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
            run = self._tables.runs.get(hold.n)
            if run is None or run.row.fence != hold.fence:
                raise fenced_from(run, hold)
            latest = len(run.entries)
            if entry.seq != latest + 1:
                raise gap(run.row.id, entry.seq, latest)
            run.entries.append(entry)

    def commit(self, moves: Sequence[Move]) -> list[Outcome]:
        """Many moves; each is checked before it writes anything."""
        with self._lock:
            return [MOVES[type(move)](self._tables, move) for move in moves]

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
            found = self._tables.by_id[run]
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
        tables = self._tables
        with self._lock:
            due = tables.due[: bisect_left(tables.due, (at, LAST))]
            hit = (n for n in tables.lettered if tables.has_mail(tables.runs[n]))
            picked = sorted({*tables.running, *(n for _, n in due), *hit})
            rows = (tables.runs[n].row for n in picked)
            free = (
                row.id
                for row in rows
                if row.flow in flows and not self._alive(row.owner, at, dead)
            )
            return list(islice(free, limit))

    def next_due(self, flows: Sequence[str]) -> float | None:
        """The earliest ``due`` of a waiting run of these flows."""
        with self._lock:
            runs, due = self._tables.runs, self._tables.due
            return next((at for at, n in due if runs[n].row.flow in flows), None)

    def run(self, run: str) -> RunRow | None:
        """One run by its id."""
        with self._lock:
            found = self._tables.by_id.get(run)
            return found.read() if found else None

    def by_state(self, flow: str | None, state_id: str) -> RunRow | None:
        """The newest run with that state id."""
        with self._lock:
            for n in reversed(self._tables.by_state.get(state_id, ())):
                run = self._tables.runs[n]
                if flow in {None, run.row.flow}:
                    return run.read()
        return None

    def entries(self, run: str, since: int = 0, limit: int = -1) -> list[Entry]:
        """A run's records after number ``since``, in order."""
        with self._lock:
            found = self._tables.by_id.get(run)
            if found is None:
                return []
            return found.entries[since : None if limit < 0 else since + limit]

    def letters(self, run: str) -> list[Letter]:
        """What is in a run's inbox and not consumed, oldest first."""
        with self._lock:
            found = self._tables.by_id.get(run)
            return sorted(found.inbox.values()) if found else []

    def runs(self, query: Query) -> list[RunRow]:
        """Runs, newest first."""
        with self._lock:
            most = LAST
            if query.before is not None:
                before = self._tables.by_id.get(query.before)
                most = before.row.n if before else 0
            found = (
                run.read()
                for run in reversed(self._tables.runs.values())
                if run.row.n < most and fits(run.row, query)
            )
            return list(islice(found, query.limit))

    def figures(self, query: Query, target: float | None = None) -> list[Figures]:
        """Counts and durations of the runs that fit, by flow and status."""
        found: dict[tuple[str, str], list[RunRow]] = {}
        with self._lock:
            for run in self._tables.runs.values():
                if fits(run.row, query):
                    place = run.row.flow, run.row.status
                    found.setdefault(place, []).append(run.row)
            return [figures_of(rows, target) for _, rows in sorted(found.items())]

    def failing(self, query: Query) -> list[Failing]:
        """Errors of the runs that fit, the most frequent first."""
        found: dict[tuple[str, str], Failing] = {}
        with self._lock:
            for run in reversed(self._tables.runs.values()):
                row = run.row
                if row.error and fits(row, query):
                    place = row.flow, row.error[:200]
                    first = Failing(*place, 0, row.id)
                    known = found.get(place, first)
                    found[place] = known._replace(runs=known.runs + 1)
        ranked = sorted(found.values(), key=lambda each: -each.runs)
        return ranked if query.limit < 0 else ranked[: query.limit]

    def ids(self, prefix: str, limit: int = 2) -> list[str]:
        """Ids that begin with a prefix."""
        with self._lock:
            known = self._tables.by_id
            return sorted(id for id in known if id.startswith(prefix))[:limit]

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
            one = self._tables.by_id.get(run) if run is not None else None
            runs = self._tables.runs.values() if run is None else [one] if one else ()
            found = [
                waiting
                for each in runs
                for waiting in each.waits.values()
                if all(getattr(waiting.wait, field) == value for field, value in given)
            ]
        return sorted(found, key=lambda waiting: waiting.since)[:limit]

    def graph(self, digest: str) -> str | None:
        """The definition of that hash."""
        return self._tables.graphs.get(digest)

    def subscribers(self, name: str) -> list[str]:
        """Flows with a run that waits for events of this name."""
        with self._lock:
            return sorted(self._tables.names.get(name, ()))

    def seen(self, event: str) -> bool:
        """Whether this event id was accepted before."""
        return event in self._tables.events

    def kept(self, subscriber: str | None = None) -> list[Letter]:
        """Letters that no run has taken and no handler has done, oldest first."""
        with self._lock:
            letters = (*self._tables.kept.values(), *self._tables.handled.values())
            return sorted(
                letter for letter in letters if subscriber in {None, letter.subscriber}
            )

    def done(self, letter: int) -> None:
        """A handler has done its letter."""
        with self._lock:
            self._tables.handled.pop(letter, None)

    def dead(self, *, limit: int = 100, name: str | None = None) -> list[Dead]:
        """Dead letters, oldest first."""
        with self._lock:
            letters = self._tables.dead.values()
            found = (each for each in letters if name in {None, each.letter.name})
            return list(islice(found, limit))

    def undead(self, number: int) -> Dead | None:
        """Take one out of the dead letters."""
        with self._lock:
            return self._tables.dead.pop(number, None)

    def forget(
        self,
        *,
        events_before: float,
        kept_before: float,
        most_kept: int,
        at: float = 0.0,
        reason: str | None = None,
    ) -> list[Letter]:
        """Forget old event ids and old kept letters; gives the dropped letters."""
        tables = self._tables
        with self._lock:
            for id in [id for id, at in tables.events.items() if at < events_before]:
                del tables.events[id]
            letters = sorted(tables.kept.values())
            surplus = len(letters) - most_kept
            dropped = [
                letter
                for index, letter in enumerate(letters)
                if index < surplus or letter.at < kept_before
            ]
            for letter in dropped:
                tables.unkeep(letter)
                if reason is not None:
                    bury(tables, buried(letter, at, reason))
            return dropped

    def purge(self, runs: Sequence[str]) -> int:
        """Delete runs that are over with all that belongs to them; how many."""
        tables = self._tables
        with self._lock:
            known = tables.by_id
            found = [known[id] for id in dict.fromkeys(runs) if id in known]
            over = [run for run in found if is_over(run.row.status)]
            for run in over:
                tables.unindex(run)
                del known[run.row.id], tables.runs[run.row.n]
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
        return {"kind": "memory", "runs": len(self._tables.runs)}

    def _alive(self, owner: str | None, at: float, dead: Container[str]) -> bool:
        known = self._owners.get(owner) if owner is not None else None
        return known is not None and known.until > at and known.id not in dead


def _forked() -> None:
    """In a fork, a lock that another thread held would never be released."""
    for store in _living:
        store._lock = threading.Lock()  # noqa: SLF001 - this module's own


os.register_at_fork(after_in_child=_forked)
