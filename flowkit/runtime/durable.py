"""A run's journal: what it writes into a store, and how it is made again from it.

The order of every move is decide, append, act, signal. Between deciding and acting
a move is *held*: it is handed to the store's writer, and carried out once it is
durable. Where a commit costs less than handing it over and nobody else writes, or
a thread may block, the move is written at once.

After a crash the records are folded through the same ``decide``; what was finished
never runs again, what was not starts from its top on the last committed state.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from flowkit.core.machine import decide
from flowkit.core.records import (
    EventReceived,
    RunStarted,
    StepAnswered,
    StepFailed,
    StepFinished,
)
from flowkit.errors import StoreError
from flowkit.journal.codec import (
    UnstorableError,
    roundtrip,
)
from flowkit.journal.codec.text import LARGE
from flowkit.journal.codec.values import FIXED
from flowkit.journal.delta import change
from flowkit.journal.entries import done_text, entry_of
from flowkit.journal.rows import (
    Advance,
    Advanced,
    Begin,
    Begun,
    Entry,
    Hold,
    RunRow,
    is_over,
)
from flowkit.journal.writer import Writer, writer_of
from flowkit.runtime import signals
from flowkit.runtime.beginning import beginning
from flowkit.runtime.clock import now
from flowkit.runtime.presence import presence_in
from flowkit.runtime.standing import Standing
from flowkit.runtime.values import MISSING, snapshot
from flowkit.runtime.writing import append, is_plain, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.marking import Firing
    from flowkit.core.records import Record
    from flowkit.journal.base import Store
    from flowkit.journal.entries import Note
    from flowkit.journal.rows import Letter
    from flowkit.runtime.carriers import Carriers
    from flowkit.runtime.presence import Presence
    from flowkit.runtime.run import Run

__all__ = ["Journal", "flow_name"]

_CONSUMING = frozenset({EventReceived, StepAnswered, StepFinished})
_new = tuple.__new__  # for an entry of every step: half of what its class costs


def flow_name(cls: type) -> str:
    """How a flow class is named in a store: ``package.module:Class``."""
    return f"{cls.__module__}:{cls.__qualname__}"


class Journal:
    """One run in one store.

    Attributes:
        store: where it is kept.
        row: the run as it was begun or claimed.
        hold: the right to write; None before the run is begun, or given up.
        seq: number of the latest record handed in.
        alone: the run begins only if no other one of its state goes on.
        blocking: the caller's thread may block, so moves are written at once.
        lenient: what cannot be stored ends the journal, not the run.
        standing: what was last written of the run beside its records.
        carriers: transactions of the steps; None until one has opened one.
        letters: the inbox letters that pending records consume, by their record.
        taken: numbers of all letters that were taken up since the run was acquired.
        aside: numbers of those that nothing in the run takes now.
        left: the state as the run was let go, to see what was changed meanwhile.
        notes: what was jotted down and is not written yet.
        noted: what changes in the row with it.
        born: when its lifetime began, if not with its first record.
        version: of the flow, under which the latest record was made.
        rewinds: how often the run was taken back.
    """

    fixed: ClassVar[set[Any]] = FIXED
    """Types of values that are read again as they are: they need no check."""

    __slots__ = (
        "alone",
        "aside",
        "blocking",
        "born",
        "captured",
        "capturing",
        "carriers",
        "counted",
        "hold",
        "left",
        "lenient",
        "letters",
        "noted",
        "notes",
        "presence",
        "released",
        "rewinds",
        "row",
        "seq",
        "standing",
        "store",
        "taken",
        "version",
        "writer",
    )

    def __init__(self, store: Store, row: RunRow) -> None:
        self.store: Store = store
        self.writer: Writer = writer_of(store)
        self.presence: Presence = presence_in(store)
        self.row: RunRow = row
        self.hold: Hold | None = None
        self.seq: int = row.seq
        self.blocking: bool = False
        self.alone: bool = False
        self.counted: bool = False
        self.released: bool = False
        self.lenient: bool = False
        self.capturing: bool = False
        self.captured: Any = None
        self.letters: dict[int, Letter] = {}
        self.carriers: Carriers | None = None
        self.taken: set[int] = set()
        self.aside: set[int] = set()
        self.left: dict[str, Any] | None = None
        self.version: str = row.version
        self.rewinds: int = 0
        self.born: float = 0.0
        self.notes: list[Entry] = []
        self.noted: dict[str, Any] = {}
        self.standing: Standing = Standing(row)

    def attach(self, run: Run) -> None:
        """Make a run write here."""
        run.journal = self
        run.held = deque(run.held)
        run._id = self.row.id
        run.key = self.row.key
        run.box.encode = _encoded
        if not self.counted:
            self.counted = True
            self.presence.moving[self.row.id] = run

    def checked(self, value: Any) -> Any:
        """What a step gave as it will be read again.

        Raises:
            UnstorableError: it cannot be.
        """
        return roundtrip(value, "the output")

    def move(self, run: Run, record: Record) -> None:
        """Decide on a record, append it, and act once it is durable.

        Nothing once the run is over here: after a write that failed its records may
        or may not be stored, so only who reads them again may go on.
        """
        if run.over:
            return
        about = run.marking.live.get(getattr(record, "firing", None) or 0)
        step = None if about is None else about.node.name
        where = run.net.definition.name if step is None else f"{_name(run)}.{step}"
        delta, run.box.delta = run.box.delta, None
        try:
            more = beginning(run) if type(record) is RunStarted else None
            entry = entry_of(record, self.seq + 1, step, where, delta, more)
        except UnstorableError as error:
            if not self.lenient:
                raise
            self.abandon(run, error)
            run.apply(record)
            return
        self.seq += 1
        run.records.append(record)
        commands = decide(run.net, run.marking, record)
        self._note_questions(run, record)
        try:
            write(self, run, record, entry, commands, None)
        except StoreError as error:
            run.halt(error)

    def finished(self, run: Run, record: StepFinished, firing: Firing) -> None:
        """The same for the record of every step, the hot path."""
        if run.over:
            return
        box = run.box
        delta, box.delta = box.delta, None
        seq = self.seq + 1
        try:
            data = done_text(record, delta)
        except UnstorableError as error:
            if not self.lenient:
                raise
            self.abandon(run, error)
            run.apply(record)
            return
        self.seq = seq
        run.records.append(record)
        commands = decide(run.net, run.marking, record)
        if run.asked or run.answers:
            self._note_questions(run, record)
        after = None
        if (
            signals.step_finished.receivers
            or (record.changed and signals.state_changed.receivers)
            or (record.labels and signals.routed.receivers)
        ):
            after = _telling(run, firing, record)
        row = seq, record.at, "done", firing.id, firing.node.name, data
        entry = _new(Entry, row)
        self.standing.renamed = delta is not None and "id" in delta
        try:
            if after is None and is_plain(self, run):
                append(self, self.hold, entry)  # type: ignore[arg-type]  # asked
                run.act(commands)
                return
            write(self, run, record, entry, commands, after)
        except StoreError as error:
            run.halt(error)

    def _note_questions(self, run: Run, record: Record) -> None:
        if type(record) is StepFinished or type(record) is StepFailed:
            if run.answers:
                gone = [place for place in run.answers if place[0] == record.firing]
                for place in gone:
                    del run.answers[place]
            run.asked.pop(record.firing, None)

    def drop(self, firing: int | None = None) -> None:
        """Take back what steps wrote in transactions that no record ends."""
        if self.carriers is not None:
            self.carriers.drop(firing)

    def prepared(self, begin: Callable[[], None]) -> Begin:
        """The first move of a run, to be written together with others."""
        self.capturing = True
        try:
            begin()
        finally:
            self.capturing = False
        move: Begin = self.captured[0]
        return move

    def began(self, run: Run, hold: Hold) -> None:
        """That move is durable: the run's first steps are ready."""
        (_, commands), self.captured = self.captured, None
        self.received(run, Begun(hold))
        self.carried(run, commands, None)

    def changes(
        self, run: Run, record: Record | Note, commands: Sequence[Command]
    ) -> dict[str, Any]:
        """What else is to be said of the run with this record, and what follows."""
        changes = self.standing.changes(run, record, commands)
        status = changes.get("status")
        if status is not None:
            if is_over(status):
                return changes
            if status == "waiting" and self._leaves(run):
                changes["owner"] = None
                self.released = True
        if self.aside and "waits" in changes:  # it may be what the new wait is for
            self.taken -= self.aside
            self.aside.clear()
            run.pending.append(partial(self.collect, run))
        if self.letters and type(record) in _CONSUMING:
            place = -record.firing if type(record) is StepFinished else id(record)
            letter = self.letters.pop(place, None)
            if letter is not None:
                changes["consumed"] = (letter.number,)
        return changes

    def _leaves(self, run: Run) -> bool:
        """Whether nothing of a waiting run stays in memory."""
        if run.scopes or run.asked or run.pending or self.blocking:
            return False
        due = run.due
        return due is None or not run.stays(due)

    def carried(
        self,
        run: Run,
        commands: Sequence[Command],
        after: Callable[[], None] | None,
    ) -> None:
        """A move is durable: act on it."""
        run.act(commands)
        if after is not None:
            after()

    def carry_out(self, run: Run) -> None:
        """Act on every held move that is durable by now, in order."""
        while run.held and run.held[0].ticket.done:
            ticket, commands, after = run.held.popleft()
            outcome = ticket.outcome
            if isinstance(outcome, BaseException):
                run.held.clear()
                run.halt(outcome)
                return
            if self.carriers is not None:
                self.carriers.passed(ticket, self.writer)
            self.received(run, outcome)
            self.carried(run, commands, after)
            if self.released and not run.held:
                self.hold = None

    def wait(self, run: Run) -> None:
        """Block until every held move is durable, and act on them."""
        while run.held:
            ticket = run.held[0].ticket
            if not ticket.done:
                with suppress(StoreError):  # carry_out halts the run with it
                    self.writer.wait(ticket)
            self.carry_out(run)

    def received(self, run: Run, outcome: Any) -> None:
        """Take in what the store says of a move that is durable."""
        if isinstance(outcome, Begun):
            self.hold = outcome.hold
            self.post(run, outcome.letters)
            self.writer.graphs.add(self.row.graph)
            if run.marking.status not in {"running", "waiting"}:  # nothing to do
                self.ended(run)
        elif isinstance(outcome, Advanced) and outcome.letters:
            self.post(run, outcome.letters)

    def post(self, run: Run, letters: Iterable[Letter]) -> None:
        """Events of the inbox become records that wait for their turn."""
        from flowkit.runtime.mail import posted  # only who takes events

        for letter in letters:
            posted(run, letter)
        if run.pending and run.hurry is not None:
            run.hurry()

    def sets_aside(self, run: Run, record: Record) -> bool:
        """Leave a letter in the inbox that nothing in the run takes any more.

        A later wait finds it; when the run ends, it is kept or handed on.
        """
        letter = self.letters.get(id(record))
        if letter is None or type(record) is not EventReceived:
            return False
        from flowkit.runtime.inbox import takes  # only who takes events

        if takes(run, record.name, record.key, letter.at):
            return False
        del self.letters[id(record)]
        self.aside.add(letter.number)
        return True

    def sent(self, event: Record) -> float:
        """When an event was sent; its record may be made later, of its letter."""
        letter = self.letters.get(id(event))
        return event.at if letter is None else letter.at

    def instead(self, event: Record, record: Record) -> None:
        """A letter's event became another record, which consumes it."""
        letter = self.letters.pop(id(event), None)
        if letter is not None:
            self.letters[id(record)] = letter

    def ends(self, event: Record, firing: int) -> None:
        """A letter's event ends a firing: the record of that consumes it."""
        letter = self.letters.pop(id(event), None)
        if letter is not None:
            self.letters[-firing] = letter

    def abandon(self, run: Run, error: UnstorableError) -> None:
        """Go on in memory: what came up cannot be stored, and need not be."""
        from flowkit.runtime.giving_up import abandon  # only who keeps positions

        abandon(self, run, error)

    def suspend(self, run: Run) -> None:
        """This process goes no further; the stored run does, with another one."""
        run.halt(None)

    def leave(self, run: Run) -> None:
        """Nobody moves the run here any more: another process may have it."""
        self.uncount()
        self.drop()
        if run.at_rest is None and run.marking.status == "waiting":
            self.left = snapshot(run.box.committed())
        hold, self.hold = self.hold, None
        if hold is None or run.lost is not None or self.released:
            return
        if run.marking.status in {"running", "waiting"}:
            self.released = True
            try:  # before a kickoff returns: nothing is written behind its back
                self.writer.now(Advance(hold, (), now(), owner=None))
            except StoreError as error:
                signals.log().info("%r was not given up: %s", run, error)

    def collect(self, run: Run, until: float | None = None) -> None:
        """Take up what lies in the run's inbox, in order; what came later stays."""
        if self.hold is not None:
            found = self.store.letters(self.row.id)
            if until is not None:
                found = [each for each in found if each.at <= until]
            self.post(run, found)

    def forget(self) -> None:
        """The run was not begun after all."""
        self.captured = None
        self.uncount()

    def uncount(self) -> None:
        """This process does not move the run any more."""
        if self.counted:
            self.counted = False
            self.presence.moving.pop(self.row.id, None)

    def acquire(self, run: Run, *, force: bool = False) -> None:
        """Take the run again before it is moved; catch up if others moved it.

        Raises:
            RunError: somebody else moves it now, and it is not taken by ``force``.
        """
        if self.released:
            from flowkit.runtime.regain import regain  # only runs that were let go

            regain(self, run, force=force)

    def ended(self, run: Run) -> None:
        """Write that a run is over whose records say so already."""
        self.standing.status = ""
        if self.hold is not None:
            changes = self.standing.changes(run, None)
            self.writer.now(Advance(self.hold, (), self.row.updated, **changes))


def _name(run: Run) -> str:
    return run.net.definition.name


def _telling(run: Run, firing: Firing, record: Any) -> Callable[[], None]:
    def tell() -> None:
        run.tell_finished(
            firing, record.output, record.labels, record.changed, record.metrics
        )

    return tell


def _encoded(field: str, before: Any, after: Any) -> Any:
    """How a state's field changed, as a part of the record."""
    if type(after) is int and -LARGE < after < LARGE:
        return [after]
    return change(before, after, f"state.{field}", missing=MISSING)
