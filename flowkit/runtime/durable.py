"""A run's journal: what it writes into a store, and how it is made again from it.

The order of every move is decide, append, act, signal. Between deciding and acting
a move is *held*: it is handed to the store's writer, and carried out once it is
durable. Where a commit costs less than handing it over and nobody else writes, or
a thread may block, the move is written at once.

After a crash the records are folded through the same ``decide``; what was finished
never runs again, what was not starts from its top on the last committed state.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.machine import decide
from flowkit.core.marking import Marking
from flowkit.core.net import net_of
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
from flowkit.journal.delta import apply, change
from flowkit.journal.entries import Note, entry_of, note_entry, read
from flowkit.journal.graphs import definition_from, graph_hash, graph_text
from flowkit.journal.rows import (
    Accept,
    Advance,
    Advanced,
    Begin,
    Begun,
    Delivery,
    Hold,
    RunRow,
)
from flowkit.journal.rows import (
    Wait as Awaited,
)
from flowkit.journal.writer import writer_of
from flowkit.runtime import signals
from flowkit.runtime.clock import now
from flowkit.runtime.presence import presence_in
from flowkit.runtime.state import raw_fields
from flowkit.runtime.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.definition import Definition
    from flowkit.core.marking import Firing
    from flowkit.core.records import Record
    from flowkit.journal.base import Store
    from flowkit.journal.rows import Entry, Letter
    from flowkit.journal.writer import Ticket
    from flowkit.runtime.run import Run

__all__ = ["EXTRA", "Journal", "flow_name", "refold"]

EXTRA = "+extra"
"""Stands in a delta for what a model's ``extra="allow"`` holds."""

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
        blocking: the caller's thread may block, so moves are written at once.
        lenient: what cannot be stored ends the journal, not the run.
        letters: numbers of the inbox letters that pending records consume.
    """

    __slots__ = (
        "_due",
        "_key",
        "_state_id",
        "_status",
        "_waits",
        "blocking",
        "captured",
        "capturing",
        "counted",
        "hold",
        "lenient",
        "letters",
        "presence",
        "released",
        "row",
        "seq",
        "store",
        "writer",
    )

    def __init__(self, store: Store, row: RunRow) -> None:
        self.store = store
        self.writer = writer_of(store)
        self.presence = presence_in(store)
        self.row = row
        self.hold: Hold | None = None
        self.seq = row.seq
        self.blocking = False
        self.counted = False
        self.released = False
        self.lenient = False
        self.capturing = False
        self.captured: Any = None
        self.letters: dict[int, int] = {}
        self._status = row.status
        self._due: float | None = row.due
        self._waits: tuple[Awaited, ...] = ()
        self._key = row.key
        self._state_id = row.state_id

    def attach(self, run: Run) -> None:
        """Make a run write here."""
        run.journal = self
        run._id = self.row.id
        run.key = self.row.key
        run.box.encode = _encoded
        if not self.counted:
            self.counted = True
            self.presence.moving.add(self.row.id)

    def checked(self, value: Any) -> Any:
        """What a step gave as it will be read again.

        Raises:
            UnstorableError: it cannot be.
        """
        return roundtrip(value, "the output")

    def move(self, run: Run, record: Record, firing: Firing | None = None) -> None:
        """Decide on a record, append it, and act once it is durable."""
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
        after = None if firing is None else _telling(run, firing, record)
        try:
            self._write(run, record, entry, commands, after)
        except StoreError as error:
            run.halt(error)

    def _beginning(self, run: Run) -> dict[str, Any]:
        fields = {
            name: to_plain(value, f"state.{name}")
            for name, value in dict.items(raw_fields(run.box.live))
        }
        more = {"s": keyed(fields)}
        extra = run.box.extra
        if extra:
            more["x"] = to_plain(extra, "state")
        if run.inputs:
            more["i"] = to_plain(run.inputs, "the inputs")
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
        at_once = self.blocking or (
            self.writer.quick
            and len(self.presence.moving) == 1
            and not run.held
            and self.writer.idle
        )
        if at_once and not run.held:
            if not changes:
                self.store.append(hold, entry)
            else:
                move = Advance(hold, (entry,), entry.at, **changes)
                self._received(run, self.writer.now(move))
            self._carried(run, commands, after)
            return
        move = Advance(hold, (entry,), entry.at, **changes)
        run.held.append(Held(self.writer.submit(move), commands, after))
        if self.blocking:
            self.wait(run)

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
            due=self._due_of(run),
            owner=self.presence.ensure(),
        )
        self._due = row.due
        begin = Begin(row, (entry,), self._waits, self._graph(definition, row.graph))
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
        if marking.timers or marking.asked or self._due is not None:
            due = self._due_of(run)
            if due != self._due:
                self._due = changes["due"] = due
        if run.net.events or marking.asked or self._waits:
            waits = tuple(self._awaited(run))
            if waits != self._waits:
                self._waits = changes["waits"] = waits
        if self.letters and type(record) in _CONSUMING:
            place = -record.firing if type(record) is StepFinished else id(record)
            number = self.letters.pop(place, None)
            if number is not None:
                changes["consumed"] = (number,)
        state_id = str(dict.get(raw_fields(run.box.live), "id", ""))
        if state_id != self._state_id:
            self._state_id = changes["state_id"] = state_id
        return changes

    def _leaves(self, run: Run) -> bool:
        """Whether nothing of a waiting run stays in memory."""
        if run.scopes or run.asked or run.pending or self.blocking:
            return False
        due = run.due
        return due is None or not run.stays(due)

    def _ending(self, run: Run, record: Record | None) -> dict[str, Any]:
        error = ""
        if run.failures:
            error = f"{type(run.failures[0]).__name__}: {run.failures[0]}"
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

    def _due_of(self, run: Run) -> float | None:
        return run.due

    def _awaited(self, run: Run) -> Iterable[Awaited]:
        """What the run takes from outside: for its listeners and its steps."""
        from flowkit.runtime.answers import shown_of
        from flowkit.runtime.correlation import key_in
        from flowkit.runtime.launch import known

        kind = known[type(run.flow)]
        for node, leaf in run.net.events:
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
                self._status = ""
                ended = self._changes(run, None)
                self.writer.now(Advance(self.hold, (), self.row.created, **ended))
        elif isinstance(outcome, Advanced) and outcome.letters:
            self._post(run, outcome.letters)

    def _post(self, run: Run, letters: Iterable[Letter]) -> None:
        """Events of the inbox become records that wait for their turn."""
        from flowkit.runtime.mail import posted  # only who takes events

        for letter in letters:
            posted(run, letter)
        if run.pending and run.hurry is not None:
            run.hurry()

    def _tell_caller(self, run: Run) -> None:
        """The end of a called run is an event for the step that called it."""
        row = self.row
        if row.parent is None or row.created_by != f"call {row.parent}":
            return
        caller = self.store.run(row.parent)
        if caller is None or self.hold is None:
            return
        answer: dict[str, Any] = {"result": run.last}
        if run.failures:
            answer = {"error": run.failures[0]}
        name = f"run:{row.id}"
        delivery = Delivery(caller.flow, encode(answer, "the result"))
        self.writer.submit(Accept(name, None, name, now(), (delivery,)))

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
        if run.marking.status not in {"running", "waiting"}:
            self._tell_caller(run)
        hold, self.hold = self.hold, None
        if hold is None or run.lost is not None or self.released:
            return
        if run.marking.status in {"running", "waiting"}:
            self.released = True
            try:  # before a kickoff returns: nothing is written behind its back
                self.writer.now(Advance(hold, (), now(), owner=None))
            except StoreError as error:
                signals.log().info("%r was not given up: %s", run, error)

    def collect(self, run: Run) -> None:
        """Take up what lies in the run's inbox, in order."""
        if self.hold is not None:
            self._post(run, self.store.letters(self.row.id))

    def forget(self) -> None:
        """The run was not begun after all."""
        self.captured = None
        self._uncount()

    def _uncount(self) -> None:
        if self.counted:
            self.counted = False
            self.presence.moving.discard(self.row.id)

    def acquire(self, run: Run) -> None:
        """Take the run again before it is moved; catch up if others moved it.

        Raises:
            RunError: somebody else moves it now.
        """
        if self.hold is not None or run.held or not self.released:
            return
        self.released = False
        claimed = claim(self.store, self.row.id)
        self.row, self.hold = claimed
        self.attach(run)
        if self.row.seq != self.seq:
            refold(run, self)
        self._status = self.row.status
        self._post(run, self.store.letters(self.row.id))

    def note(self, kind: str, data: Any = None, **changes: Any) -> None:
        """Write a fact that decides nothing."""
        assert self.hold is not None  # noqa: S101 - only an owner notes
        self.seq += 1
        entry = note_entry(Note(now(), kind, data), self.seq)
        self.writer.now(Advance(self.hold, (entry,), entry.at, **changes))


def _name(run: Run) -> str:
    return run.net.definition.name


def _telling(run: Run, firing: Firing, record: Any) -> Callable[[], None]:
    def tell() -> None:
        if (
            signals.step_finished.receivers
            or (record.changed and signals.state_changed.receivers)
            or (record.labels and signals.routed.receivers)
        ):
            run.tell_finished(firing, record.output, record.labels, record.changed)

    return tell


def _encoded(field: str, before: Any, after: Any) -> Any:
    """How a state's field changed, as a part of the record."""
    return change(before, after, f"state.{field}", missing=MISSING)


def claim(store: Store, run_id: str) -> tuple[RunRow, Hold]:
    """Take a run over.

    Raises:
        RunError: no such run, or a living process moves it.
    """
    from flowkit.errors import RunError

    presence = presence_in(store)
    owner = presence.ensure()
    at = now()
    if run_id in presence.moving:
        msg = (
            f"Run {run_id!r} is being moved by this process just now. Wait until it is "
            f"done or waits."
        )
        raise RunError(msg)
    try:
        found = store.claim(run_id, owner, at) or store.claim(
            run_id, owner, at, presence.gone()
        )
    except KeyError:
        msg = (
            f"There is no run {run_id!r} in {store.url}. Look at the ids with "
            f"`runs.list()`, or check which store is meant."
        )
        raise RunError(msg) from None
    if found is None:
        msg = (
            f"Run {run_id!r} is being moved by another process. Wait until it is done or "
            f"waits; if that process is gone, the run is free within 30 seconds."
        )
        raise RunError(msg)
    return found


def refold(  # noqa: C901, PLR0912 - one kind of record after another
    run: Run, journal: Journal
) -> None:
    """Make a run anew from its records: marking, state, answers, outcome.

    Raises:
        StoreError: records that cannot be read, or a graph that is not there.
        RunError: the class lacks something the run stands at.
    """
    entries = journal.store.entries(journal.row.id)
    if not entries:
        msg = f"Run {journal.row.id!r} has no records in {journal.store.url}."
        raise StoreError(msg)
    fields: dict[str, Any] = {}
    reads = [read(entry) for entry in effective(entries)]
    graph = _first_graph(journal, reads)
    run.net = net = net_of(graph)
    run.marking = marking = Marking(len(net.nodes))
    run.records, run.answers, run.asked = [], {}, {}
    run.failures, run.stuck, run.last, run.over = [], [], None, False
    run.told = False
    attempts: dict[int, int] = {}
    for seq, record, delta, more in reads:
        if isinstance(record, Note):
            if record.kind == "again":
                for number in record.data or ():
                    attempts[number] = attempts.get(number, 1) + 1
            elif record.kind == "graph":
                net, marking = _onto(run, journal, marking, record.data)
            elif record.kind == "state":
                fields = dict(record.data)
            continue
        if type(record) is RunStarted:
            fields.update(more.get("s", {}))
            run.inputs = more.get("i")
            if "x" in more:
                fields[EXTRA] = more["x"]
        if delta:
            apply(fields, delta)
        _remember(run, record)
        run.records.append(record)
        run.act_folded(decide(net, marking, record))
        journal.seq = seq
    journal.seq = entries[-1].seq
    for number, count in attempts.items():
        if number in marking.live:
            marking.live[number].attempt = count
    run.marking = marking
    from flowkit.runtime.restore import restored

    restored(run.box, fields)
    run.root.state = run.box.live
    current = run.compiled.net.definition
    if not run.over and graph_hash(net.definition) != graph_hash(current):
        journal.row = journal.row._replace(graph=graph_hash(net.definition))
        _adapt(run, journal, current)
    journal._status = run.marking.status
    journal._due = journal.row.due
    journal._waits = tuple(
        each.wait for each in journal.store.waits(run=journal.row.id)
    )
    journal._state_id = journal.row.state_id


def effective(entries: Sequence[Entry]) -> list[Entry]:
    """The records that count: without those that a rewind took back."""
    kept: list[Entry] = []
    for entry in entries:
        if entry.kind == "note:rewind":
            note: Any = read(entry).record
            to = note.data
            while kept and kept[-1].seq > to:
                kept.pop()
            continue
        kept.append(entry)
    return kept


def _first_graph(journal: Journal, reads: Sequence[Any]) -> Any:
    first = next((r.more.get("g") for r in reads if type(r.record) is RunStarted), None)
    digest = first or journal.row.graph
    for each in reads:  # the first note names the graph before it
        if type(each.record) is Note and each.record.kind == "graph":
            digest = each.record.data["from"]
            break
    text = journal.store.graph(digest)
    if text is None:
        msg = (
            f"The definition {digest} of run {journal.row.id!r} is not in "
            f"{journal.store.url}. Restore it from a backup of the store."
        )
        raise StoreError(msg)
    return definition_from(text)


def _onto(
    run: Run, journal: Journal, marking: Marking, data: Any
) -> tuple[Any, Marking]:
    from flowkit.core.transfer import transferred

    text = journal.store.graph(data["to"])
    if text is None:
        msg = f"The definition {data['to']} of run {journal.row.id!r} is gone."
        raise StoreError(msg)
    old, net = run.net, net_of(definition_from(text))
    run.net = net
    return net, transferred(marking, old, net)


def _adapt(run: Run, journal: Journal, current: Any) -> None:
    """Go on under a changed class, if every live position still exists.

    Raises:
        RunError: what is missing, all of it.
    """
    from flowkit.runtime.versions import adapt

    adapt(run, journal, current)


def _remember(run: Run, record: Any) -> None:
    if type(record) is StepFinished:
        run.last = record.output
        for place in [place for place in run.answers if place[0] == record.firing]:
            del run.answers[place]
    elif type(record) is StepAsked:
        run.questions[record.firing, record.position] = record
    elif type(record) is StepAnswered:
        run.answers[record.firing, record.position] = record.answer
    elif type(record) is RunStopped:
        run.last = record.result
    elif type(record) is StepFailed:
        firing = run.marking.live.get(record.firing)
        if firing is not None and not firing.node.failed:
            run.failures.append(record.error)
    elif isinstance(record, RunAborted | RunCancelled):
        run.reason = record.reason
