"""What a store in memory holds, with the indexes it is found by."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import count
from typing import TYPE_CHECKING

from flowkit.journal.room import room
from flowkit.journal.rows import TRANSIENT, Wait, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowkit.journal.rows import Dead, Entry, Letter, RunRow

__all__ = ["Place", "Run", "Tables"]

Place = tuple[str, str, str | None]
"""Where events are taken: flow, name, key."""


class Run:
    """One run with what belongs to it; ``row`` lacks the latest record's number."""

    __slots__ = ("entries", "inbox", "row", "waits")

    def __init__(self, row: RunRow) -> None:
        self.row: RunRow = row
        self.entries: list[Entry] = []
        self.waits: dict[Wait, Waiting] = {}
        self.inbox: dict[int, Letter] = {}

    def read(self) -> RunRow:
        """The row with the latest record's number."""
        return self.row._replace(seq=len(self.entries))


class Tables:
    """Runs, events and letters of one store; who uses them holds its lock."""

    def __init__(self) -> None:
        self.numbers: count[int] = count(1)
        self.runs: dict[int, Run] = {}
        self.by_id: dict[str, Run] = {}
        # Indexes: who waits where (run numbers in order), who is due, who runs.
        self.waiting: dict[Place, list[int]] = {}
        self.names: dict[str, dict[str, int]] = {}
        self.tokens: dict[str, Run] = {}
        self.by_state: dict[str, list[int]] = {}
        self.due: list[tuple[float, int]] = []
        self.running: set[int] = set()
        self.lettered: set[int] = set()
        self.kept: dict[int, Letter] = {}
        self.places: dict[Place, list[int]] = {}
        self.handled: dict[int, Letter] = {}
        self.events: dict[str, float] = {}
        self.dead: dict[int, Dead] = {}
        self.graphs: dict[str, str] = {}

    def index(self, run: Run) -> None:
        """Note a run where it is looked for, by what its row says."""
        row = run.row
        insort(self.by_state.setdefault(row.state_id, []), row.n)
        if row.status == "running":
            self.running.add(row.n)
        elif row.status == "waiting" and row.due is not None:
            insort(self.due, (row.due, row.n))

    def unindex(self, run: Run) -> None:
        """Take it out there, before its row changes."""
        row = run.row
        line = self.by_state[row.state_id]
        del line[bisect_left(line, row.n)]
        if not line:
            del self.by_state[row.state_id]
        self.running.discard(row.n)
        if row.status == "waiting" and row.due is not None:
            del self.due[bisect_left(self.due, (row.due, row.n))]

    def wait(self, run: Run, waits: Sequence[Wait], since: float) -> tuple[Letter, ...]:
        """Set all that a run waits for; gives the kept letters it takes."""
        row, old = run.row, run.waits
        run.waits = {
            wait: old.get(wait) or Waiting(row.id, row.flow, wait, since)
            for wait in waits
        }
        for wait in old:
            self.tokens.pop(wait.token, None)
        self.tokens.update((wait.token, run) for wait in run.waits if wait.token)
        before, after = places_of(row.flow, old), places_of(row.flow, run.waits)
        for place in before - after:
            line = self.waiting[place]
            del line[bisect_left(line, row.n)]
            if not line:
                del self.waiting[place]
                self._name(place, -1)
        letters: list[Letter] = []
        for place in after - before:
            if place not in self.waiting:
                self.waiting[place] = []
                self._name(place, 1)
            insort(self.waiting[place], row.n)
        for place in lasting_of(row.flow, run.waits) - lasting_of(row.flow, old):
            letters += [self.kept[number] for number in self.places.get(place, ())]
        for letter in letters:
            self.unkeep(letter)
        return tuple(self.hand(run, letter) for letter in sorted(letters))

    def _name(self, place: Place, change: int) -> None:
        """Count the places of a name and a flow, for ``subscribers``."""
        flow, name, _ = place
        flows = self.names.setdefault(name, {})
        flows[flow] = flows.get(flow, 0) + change
        if not flows[flow]:
            del flows[flow]

    def has_mail(self, run: Run) -> bool:
        """Whether a letter of its inbox is what a waiting run waits for."""
        if run.row.status != "waiting":
            return False
        places = places_of(run.row.flow, run.waits)
        return any(place_of(letter) in places for letter in run.inbox.values())

    def taker(self, place: Place) -> Run | None:
        """The oldest run that waits for events there and has room for one."""
        for n in self.waiting.get(place, ()):
            run = self.runs[n]
            waits = [
                (wait, each.since)
                for wait, each in run.waits.items()
                if wait.kind == "event" and (run.row.flow, wait.name, wait.key) == place
            ]
            inbox = run.inbox.values()
            if room(waits, (each.at for each in inbox if place_of(each) == place)) != 0:
                return run
        return None

    def hand(self, run: Run, letter: Letter) -> Letter:
        """Put a letter into the inbox of a run."""
        letter = letter._replace(run=run.row.id)
        run.inbox[letter.number] = letter
        self.lettered.add(run.row.n)
        return letter

    def keep(self, letter: Letter) -> None:
        """Keep a letter for a run that waits for it later."""
        self.kept[letter.number] = letter
        insort(self.places.setdefault(place_of(letter), []), letter.number)

    def unkeep(self, letter: Letter) -> None:
        """Keep it no longer."""
        del self.kept[letter.number]
        place = place_of(letter)
        line = self.places[place]
        del line[bisect_left(line, letter.number)]
        if not line:
            del self.places[place]

    def pass_on(self, run: Run) -> tuple[Letter, ...]:
        """Letters an ended run left: to the next one that waits, else kept."""
        passed: list[Letter] = []
        for letter in sorted(run.inbox.values()):
            taker = self.taker(place_of(letter))
            if taker is not None:
                passed.append(self.hand(taker, letter))
            else:
                self.keep(letter._replace(run=None))
        run.inbox.clear()
        return tuple(passed)


def place_of(letter: Letter) -> Place:
    """Where a letter is taken."""
    return letter.subscriber, letter.name, letter.key


def places_of(flow: str, waits: Iterable[Wait]) -> set[Place]:
    """Where events are taken; a question to a person takes none."""
    return {(flow, wait.name, wait.key) for wait in waits if wait.kind == "event"}


def lasting_of(flow: str, waits: Iterable[Wait]) -> set[Place]:
    """Those of them where what came before is taken, too."""
    return places_of(flow, (wait for wait in waits if wait.data != TRANSIENT))
