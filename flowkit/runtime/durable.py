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
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.machine import decide
from flowkit.core.records import (
    EventReceived,
    RunAborted,
    RunCancelled,
    RunStarted,
    RunStopped,
    StepAnswered,
    StepAsked,
    StepFailed,
    StepFinished,
)
from flowkit.errors import StoreError
from flowkit.journal.codec import (
    UnstorableError,
    encode,
    keyed,
    roundtrip,
    to_plain,
    write,
)
from flowkit.journal.delta import change
from flowkit.journal.entries import Note, done_text, entry_of, note_entry
from flowkit.journal.graphs import graph_hash, graph_text
from flowkit.journal.rows import (
    Accept,
    Advance,
    Advanced,
    Begin,
    Begun,
    Entry,
    Hold,
    RunRow,
)
from flowkit.journal.rows import (
    Wait as Awaited,
)
from flowkit.journal.writer import Ticket, Writer, writer_of
from flowkit.runtime import signals
from flowkit.runtime.claims import claim
from flowkit.runtime.clock import now
from flowkit.runtime.folding import go_on, refold
from flowkit.runtime.presence import presence_in
from flowkit.runtime.state import raw_fields
from flowkit.runtime.values import MISSING, same, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.definition import Definition
    from flowkit.core.marking import Firing
    from flowkit.core.net import Node
    from flowkit.core.records import Record
    from flowkit.journal.base import Store
    from flowkit.journal.rows import Letter, Move
    from flowkit.runtime.presence import Presence
    from flowkit.runtime.run import Run
    from flowkit.runtime.transaction import Transaction

__all__ = ["Journal", "flow_name"]

_CONSUMING = frozenset({EventReceived, StepAnswered, StepFinished})


class Held(NamedTuple):
    """A move on its way, and what is to be done once it is durable."""

    ticket: Ticket
    commands: Sequence[Command]
    after: Callable[[], None] | None


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
        carriers: transactions that steps have open, by firing.
        letters: numbers of the inbox letters that pending records consume.
        taken: numbers of all letters that were taken up since the run was acquired.
        aside: numbers of those that nothing in the run takes now.
        left: the state as the run was let go, to see what was changed meanwhile.
        born: when its lifetime began, if not with its first record.
        version: of the flow, under which the latest record was made.
        rewinds: how often the run was taken back.
    """

    __slots__ = (
        "_behind",
        "_carrying",
        "_changed",
        "_due",
        "_jotted",
        "_key",
        "_renamed",
        "_state_id",
        "_status",
        "_waits",
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
        "presence",
        "released",
        "rewinds",
        "row",
        "seq",
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
        self.letters: dict[int, int] = {}
        self.carriers: dict[int, Transaction] = {}
        self._carrying: Ticket | None = None
        self._behind: dict[Ticket, list[Ticket]] = {}
        self.taken: set[int] = set()
        self.aside: set[int] = set()
        self.left: dict[str, Any] | None = None
        self.version: str = row.version
        self.rewinds: int = 0
        self.born: float = 0.0
        self._jotted: list[Entry] = []
        self._changed: dict[str, Any] = {}
        self._status = row.status
        self._due: float | None = row.due
        self._waits: tuple[Awaited, ...] = ()
        self._key = row.key
        self._renamed = False
        self._state_id = row.state_id

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

    def move(self, run: Run, record: Record, firing: Firing | None = None) -> None:
        """Decide on a record, append it, and act once it is durable.

        Nothing once the run is over here: after a write that failed its records may
        or may not be stored, so only who reads them again may go on.
        """
        if run.over:
            return
        if firing is not None and type(record) is StepFinished:
            self._move_done(run, record, firing)
            return
        about = firing or run.marking.live.get(getattr(record, "firing", None) or 0)
        step = None if about is None else about.node.name
        where = run.net.definition.name if step is None else f"{_name(run)}.{step}"
        delta, run.box.delta = run.box.delta, None
        try:
            more = self._beginning(run) if type(record) is RunStarted else None
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
            self._write(run, record, entry, commands, None)
        except StoreError as error:
            run.halt(error)

    def _move_done(self, run: Run, record: StepFinished, firing: Firing) -> None:
        """The same for the record of every step, the hot path."""
        box, name = run.box, firing.node.name
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
        entry = Entry(seq, record.at, "done", firing.id, name, data)
        self._renamed = delta is not None and "id" in delta
        try:
            if after is None and self._plain(run):
                self._append(self.hold, entry)  # type: ignore[arg-type]  # asked
                run.act(commands)
                return
            self._write(run, record, entry, commands, after)
        except StoreError as error:
            run.halt(error)

    def _plain(self, run: Run) -> bool:
        """Whether a record is all there is to be written, and at once."""
        marking = run.marking
        return (
            marking.status == "running" == self._status
            and self.hold is not None
            and not (run.held or self._renamed or self.letters or self.carriers)
            and not (marking.asked or marking.timers or self._waits or run.lifetime)
            and self._due is None
            and not run.net.events
            and (
                self.blocking
                or (
                    self.writer.quick
                    and len(self.presence.moving) == 1
                    and self.writer.idle
                )
            )
        )

    def _beginning(self, run: Run) -> dict[str, Any]:
        fields = {
            name: to_plain(value, f"state.{name}")
            for name, value in dict.items(raw_fields(run.box.live))
        }
        more = {"s": keyed(fields)}
        extra = run.box.extra
        if extra:
            more["x"] = to_plain(extra, "state")
        if run.until is not None:
            more["t"] = run.until
        if run.inputs:
            more["i"] = to_plain(run.inputs, "the inputs")
        if run.traceparent:
            more["w"] = run.traceparent
        return more

    def _note_questions(self, run: Run, record: Record) -> None:
        if type(record) is StepFinished or type(record) is StepFailed:
            if run.answers:
                gone = [place for place in run.answers if place[0] == record.firing]
                for place in gone:
                    del run.answers[place]
            run.asked.pop(record.firing, None)

    def _write(
        self,
        run: Run,
        record: Record,
        entry: Entry,
        commands: Sequence[Command],
        after: Callable[[], None] | None,
    ) -> None:
        if self.hold is None and run.held:  # it begins just now
            self.wait(run)
        if self.hold is None and entry.seq == 1:
            self._begin(run, entry, commands, after)
            return
        if self.hold is None:
            self.acquire(run)
        hold = self.hold
        assert hold is not None  # noqa: S101 - else acquire has raised
        changes = self._changes(run, record)
        carrier = self._carrier(record) if self.carriers else None
        if carrier is not None or self._carrying is not None:
            move = Advance(hold, (entry,), entry.at, **changes)
            ticket = self._in_turn(run, (move, *self._beside(run)), carrier)
            run.held.append(Held(ticket, commands, after))
            if self.blocking:
                self.wait(run)
            return
        at_once = self.blocking or (
            self.writer.quick
            and len(self.presence.moving) == 1
            and not run.held
            and self.writer.idle
        )
        if at_once and not run.held:
            if not changes:
                self._append(hold, entry)
            else:
                move = Advance(hold, (entry,), entry.at, **changes)
                self._received(run, self.writer.now(move, *self._beside(run)))
            self._carried(run, commands, after)
            return
        move = Advance(hold, (entry,), entry.at, **changes)
        ticket = self.writer.submit(move, *self._beside(run))
        run.held.append(Held(ticket, commands, after))
        if self.blocking:
            self.wait(run)

    def _append(self, hold: Hold, entry: Entry) -> None:
        if self.writer.cheap:
            self.writer.append(hold, entry)
            return
        begun = perf_counter()
        self.writer.append(hold, entry)
        self.writer.measured(perf_counter() - begun)

    def _carrier(self, record: Record) -> Transaction | None:
        """The transaction that a step has open, if its record is to be part of it."""
        carrier = self.carriers.get(getattr(record, "firing", None) or 0)
        if carrier is None or type(record) in {StepAsked, StepAnswered}:
            return None
        if type(record) is StepFinished:
            del self.carriers[record.firing]
            return carrier
        carrier.roll_back()  # it failed, or ended the run out of its middle
        return None

    def _in_turn(
        self, run: Run, moves: tuple[Move, ...], carrier: Transaction | None
    ) -> Ticket:
        """Hand moves in so that a run's order stays, on whatever connection."""
        ahead = self._carrying
        if carrier is not None:
            before = run.held[-1].ticket if run.held else None
            ahead = self._carrying = carrier.carry(moves, before)
            self._behind[ahead] = []
            return ahead
        ticket = Ticket(moves)
        assert ahead is not None  # noqa: S101 - else it has no turn to wait for
        self._behind[ahead].append(ticket)
        return ticket

    def drop(self, firing: int | None = None) -> None:
        """Take back what steps wrote in transactions that no record ends."""
        numbers = [*self.carriers] if firing is None else [firing]
        for number in numbers:
            carrier = self.carriers.get(number)
            if carrier is not None:
                carrier.roll_back()

    def _begin(
        self,
        run: Run,
        entry: Entry,
        commands: Sequence[Command],
        after: Callable[[], None] | None,
    ) -> None:
        definition = run.net.definition
        self._state_id = str(dict.get(raw_fields(run.box.live), "id", ""))
        self._status = run.marking.status
        self._waits = tuple(self._awaited(run))
        self._key = run.key
        self.row = row = self.row._replace(
            state_id=self._state_id,
            status="waiting" if self._status == "waiting" else "running",
            key=run.key,
            graph=graph_hash(definition),
            created=entry.at,
            updated=entry.at,
            due=run.due,
            owner=self.presence.ensure(),
        )
        self._due = row.due
        text = self._graph(definition, row.graph)
        begin = Begin(row, (entry,), self._waits, text, self.alone)
        if self.capturing:
            self.captured = begin, commands
            return
        if not (self.blocking or self.writer.quick):
            run.held.append(Held(self.writer.submit(begin), commands, after))
            return
        self._received(run, self.writer.now(begin))
        self._carried(run, commands, after)

    def _graph(self, definition: Definition, digest: str) -> str:
        """The definition for the store, "" if it has it from this process."""
        if digest in self.writer.graphs:
            return ""
        return graph_text(definition)

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
        self._received(run, Begun(hold))
        self._carried(run, commands, None)

    def _changes(  # noqa: C901 - one question after another
        self, run: Run, record: Record | None
    ) -> dict[str, Any]:
        """What else is to be said of the run with this record."""
        changes: dict[str, Any] = {}
        marking = run.marking
        if marking.status != self._status:
            self._status = changes["status"] = marking.status
            if marking.status not in {"running", "waiting"}:
                changes.update(self._ending(run, record))
                return changes
            if marking.status == "waiting" and self._leaves(run):
                changes["owner"] = None
                self.released = True
        timed = run.lifetime or run.until is not None
        if marking.timers or marking.asked or self._due is not None or timed:
            due = run.due
            if due != self._due:
                self._due = changes["due"] = due
        if run.net.events or marking.asked or self._waits:
            waits = tuple(self._awaited(run))
            if waits != self._waits:
                self._waits = changes["waits"] = waits
                if self.aside:  # it may be what the new wait is for
                    self.taken -= self.aside
                    self.aside.clear()
                    run.pending.append(partial(self.collect, run))
        if self.letters and type(record) in _CONSUMING:
            place = -record.firing if type(record) is StepFinished else id(record)
            number = self.letters.pop(place, None)
            if number is not None:
                changes["consumed"] = (number,)
        if self._renamed:
            state_id = str(dict.get(raw_fields(run.box.live), "id", ""))
            self._state_id = changes["state_id"] = state_id
            self._renamed = False
        return changes

    def _leaves(self, run: Run) -> bool:
        """Whether nothing of a waiting run stays in memory."""
        if run.scopes or run.asked or run.pending or self.blocking:
            return False
        due = run.due
        return due is None or not run.stays(due)

    def _ending(self, run: Run, record: Record | None) -> dict[str, Any]:
        error = ""
        if (failure := run.failure) is not None:
            error = f"{type(failure).__name__}: {failure}"
        elif isinstance(record, RunAborted | RunCancelled):
            error = record.reason
        state: dict[str, Any] = {"s": keyed(self._fields(run))}
        if run.box.extra:
            state["x"] = to_plain(run.box.extra, "state")
        result = record.result if type(record) is RunStopped else run.last
        return {
            "error": error[:2000],
            "result": encode(result, "the result"),
            "state": write(state),
        }

    def _fields(self, run: Run) -> dict[str, Any]:
        return {
            name: to_plain(value, f"state.{name}")
            for name, value in run.box.committed().items()
        }

    def _awaited(self, run: Run) -> Iterable[Awaited]:
        """What the run takes from outside: for its listeners and its steps."""
        from flowkit.runtime.answers import shown_of
        from flowkit.runtime.correlation import key_in
        from flowkit.runtime.launch import known

        kind = known[type(run.flow)]
        for node, leaf in run.net.events:
            if leaf.transient and node.serial and _busy(run, node):
                continue
            key = run.key or key_in(kind, leaf, run.box.live)
            yield Awaited(leaf.name, key, node.name)
        for questions in run.marking.asked.values():
            for asked in questions.values():
                detail = asked.detail or {}
                place = f"{asked.firing}:{asked.position}"
                for name in detail.get("names", ()):
                    yield Awaited(name, detail.get("key"), place)
                if "token" in detail:
                    data = encode(shown_of(asked), "the question")
                    yield Awaited(
                        asked.verb, None, place, "person", detail["token"], data
                    )

    def _carried(
        self,
        run: Run,
        commands: Sequence[Command],
        after: Callable[[], None] | None,
    ) -> None:
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
            for each in self._behind.pop(ticket, ()):
                self.writer.enqueue(each)
            if ticket is self._carrying:
                self._carrying = None
            self._received(run, outcome)
            self._carried(run, commands, after)
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

    def _received(self, run: Run, outcome: Any) -> None:
        if isinstance(outcome, Begun):
            self.hold = outcome.hold
            self._post(run, outcome.letters)
            self.writer.graphs.add(self.row.graph)
            if run.marking.status not in {"running", "waiting"}:  # nothing to do
                self.ended(run)
        elif isinstance(outcome, Advanced) and outcome.letters:
            self._post(run, outcome.letters)

    def _post(self, run: Run, letters: Iterable[Letter]) -> None:
        """Events of the inbox become records that wait for their turn."""
        from flowkit.runtime.mail import posted  # only who takes events

        for letter in letters:
            posted(run, letter)
        if run.pending and run.hurry is not None:
            run.hurry()

    def _beside(self, run: Run) -> tuple[Accept, ...]:
        """The end of a called run is an event for its caller, in the same commit."""
        if run.caller is None or run.marking.status in {"running", "waiting"}:
            return ()
        news: tuple[Accept, ...] = run.caller.news(run, self.store)
        return news

    def sets_aside(self, run: Run, record: Record) -> bool:
        """Leave a letter in the inbox that nothing in the run takes any more.

        A later wait finds it; when the run ends, it is kept or handed on.
        """
        number = self.letters.get(id(record))
        if number is None or type(record) is not EventReceived:
            return False
        from flowkit.runtime.inbox import takes  # only who takes events

        if takes(run, record.name, record.key):
            return False
        del self.letters[id(record)]
        self.aside.add(number)
        return True

    def instead(self, event: Record, record: Record) -> None:
        """A letter's event became another record, which consumes it."""
        number = self.letters.pop(id(event), None)
        if number is not None:
            self.letters[id(record)] = number

    def ends(self, event: Record, firing: int) -> None:
        """A letter's event ends a firing: the record of that consumes it."""
        number = self.letters.pop(id(event), None)
        if number is not None:
            self.letters[-firing] = number

    def abandon(self, run: Run, error: UnstorableError) -> None:
        """Go on in memory: what came up cannot be stored, and need not be."""
        signals.log().info("%r goes on without a stored position: %s", run, error)
        self.wait(run)
        run.journal = None
        run.box.encode = run.box.delta = None
        hold, self.hold = self.hold, None
        if hold is not None:
            gone = f"its position was given up: {error}"
            with suppress(StoreError):
                self.writer.now(Advance(hold, (), now(), "cancelled", error=gone))
        self._uncount()

    def suspend(self, run: Run) -> None:
        """This process goes no further; the stored run does, with another one."""
        run.halt(None)

    def leave(self, run: Run) -> None:
        """Nobody moves the run here any more: another process may have it."""
        self._uncount()
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
            self._post(run, found)

    def forget(self) -> None:
        """The run was not begun after all."""
        self.captured = None
        self._uncount()

    def _uncount(self) -> None:
        if self.counted:
            self.counted = False
            self.presence.moving.pop(self.row.id, None)

    def acquire(self, run: Run) -> None:
        """Take the run again before it is moved; catch up if others moved it.

        Raises:
            RunError: somebody else moves it now.
        """
        if not self.released:
            return
        if run.held:  # it is being let go just now
            self.wait(run)
        self.released = False
        self.taken = set(self.letters.values())
        claimed = claim(self.store, self.row.id, again=self.counted)
        self.row, self.hold = claimed
        self.attach(run)
        self._status = self.row.status
        left, self.left = self.left, None
        if self.row.seq == self.seq:
            self._changed_outside(run, left)
        else:
            try:
                refold(run, self)
            except BaseException:
                self.give_up()
                raise
            go_on(run, self)
        self._post(run, self.store.letters(self.row.id))

    def _changed_outside(self, run: Run, left: dict[str, Any] | None) -> None:
        """Note what the flow's owner did to the state while the run waited."""
        fields = run.box.committed()
        if left is None or same(left, fields):
            return
        self.note("state", dict(fields))

    def note(self, kind: str, data: Any = None, **changes: Any) -> None:
        """Write a fact that decides nothing."""
        self.jot(kind, data, **changes)
        entries, also = self.jotted()
        assert self.hold is not None  # noqa: S101 - only an owner notes
        self.writer.now(Advance(self.hold, entries, entries[-1].at, **also))

    def jot(self, kind: str, data: Any = None, **changes: Any) -> Entry:
        """A fact that decides nothing, to be written by the next :meth:`flush`."""
        self.seq += 1
        entry = note_entry(Note(now(), kind, data), self.seq)
        self._jotted.append(entry)
        self._changed.update(changes)
        return entry

    def jotted(self) -> tuple[tuple[Entry, ...], dict[str, Any]]:
        """What was jotted down and what changes with it; it is written elsewhere."""
        found = tuple(self._jotted), self._changed
        self._jotted, self._changed = [], {}
        return found

    def flush(self, run: Run) -> None:
        """Write what was jotted down and where the run stands, in one commit."""
        entries, changes = self.jotted()
        if entries and self.hold is not None:
            changes = {**self.standing(run), **changes}
            self.writer.now(Advance(self.hold, entries, entries[-1].at, **changes))

    def standing(self, run: Run) -> dict[str, Any]:
        """What the run's row says of where it stands, all of it anew."""
        self._status = run.marking.status
        self._due = run.due
        self._waits = tuple(self._awaited(run))
        self._state_id = str(dict.get(raw_fields(run.box.live), "id", ""))
        return {
            "status": self._status,
            "due": self._due,
            "waits": self._waits,
            "state_id": self._state_id,
            "error": "",
            "result": "",
            "state": "",
        }

    def ended(self, run: Run) -> None:
        """Write that a run is over whose records say so already."""
        self._status = ""
        if self.hold is not None:
            changes = self._changes(run, None)
            self.writer.now(Advance(self.hold, (), self.row.updated, **changes))

    def give_up(self) -> None:
        """Let go of a run that was claimed and cannot be moved."""
        self.jotted()
        self._uncount()
        hold, self.hold = self.hold, None
        self.released = True
        if hold is not None:
            try:
                self.writer.now(Advance(hold, (), now(), owner=None))
            except StoreError as error:
                signals.log().info("%r was not given up: %s", self.row.id, error)


def _busy(run: Run, node: Node) -> bool:
    """Whether a listener that handles one event at a time has one."""
    return any(each.node is node for each in run.marking.live.values())


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
    return change(before, after, f"state.{field}", missing=MISSING)
