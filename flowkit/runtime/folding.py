"""A run made again from its records: marking, state, answers, outcome.

The same ``decide`` as in the live run. A rewind takes records back without deleting
any; a note of the graph says from where on another definition holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.marking import Marking
from flowkit.core.net import net_of
from flowkit.core.records import (
    CallEnded,
    RunAborted,
    RunCancelled,
    RunCompensated,
    RunOverdue,
    RunRequeued,
    RunStarted,
    RunStopped,
    StepActed,
    StepAnswered,
    StepAsked,
    StepDeferred,
    StepFailed,
    StepFinished,
    StepTurned,
    StepYielded,
)
from flowkit.errors import StoreError
from flowkit.journal.delta import apply
from flowkit.journal.entries import Note, read
from flowkit.journal.graphs import definition_from, graph_hash
from flowkit.runtime import commits, trail
from flowkit.runtime.clock import now
from flowkit.runtime.failing import is_unheard
from flowkit.runtime.notes import flush, jot
from flowkit.runtime.orders import carry_folded, judge_open
from flowkit.runtime.restarts import restart
from flowkit.runtime.restore import EXTRA, restored
from flowkit.runtime.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowkit.core.definition import Definition
    from flowkit.core.net import Net
    from flowkit.journal.base import Store
    from flowkit.journal.rows import Entry, RunRow
    from flowkit.runtime.durable import Journal
    from flowkit.runtime.run import Run

__all__ = [
    "asks",
    "effective",
    "first_graph",
    "go_on",
    "graph_of",
    "refold",
    "regraphed",
    "requeue",
    "retries",
    "rewound",
]


def refold(run: Run, journal: Journal, entries: Sequence[Entry] | None = None) -> None:
    """Make a run anew from its records: marking, state, answers, outcome.

    What the class needs noted, if it has changed, is jotted down in the journal.

    Args:
        entries: the records; those in the store if None.

    Raises:
        StoreError: records that cannot be read, or a graph that is not there.
        RunError: the class lacks something the run stands at.
    """
    if entries is None:
        entries = journal.store.entries(journal.row.id)
    if not entries:
        msg = (
            f"Run {journal.row.id!r} has no records in {journal.store.url}. Restore "
            f"the store from a backup, or remove the run."
        )
        raise StoreError(msg)
    _clear(run, net_of(graph_of(journal.store, first_graph(journal.row, entries))))
    journal.version, journal.born = journal.row.version, journal.row.created
    fields, attempts = _folded(run, journal, effective(entries))
    journal.seq = entries[-1].seq
    journal.rewinds = sum(
        entry.kind == "note:rewind" and not retries(entry) for entry in entries
    )
    for entry in entries:
        if entry.kind == "note:rewind":
            journal.born = max(journal.born, entry.at)
            if run.until is not None:  # it has its whole time again
                run.until = None if run.limit is None else entry.at + run.limit
    for number, count in attempts.items():
        if number in run.marking.live:
            run.marking.live[number].attempt += count - 1
    if not run.over:
        fields = _adapted(run, journal, fields)

    restored(run.box, fields)
    run.root.state = run.box.live
    waits = journal.store.waits(run=journal.row.id)
    journal.standing = Standing(journal.row, tuple(each.wait for each in waits))


def _clear(run: Run, net: Net) -> None:
    """Forget all that records say: the run stands before its first one."""
    run.net, run.marking = net, Marking(len(net.nodes))
    run.records, run.answers, run.asked, run.questions = [], {}, {}, {}
    run.acting, run.acted, run.yielded, run.emitted = {}, {}, {}, None
    run.failures, run.stuck, run.last, run.over = [], [], None, False
    run.told, run.reason, run.not_undone, run.starts = False, "", [], {}
    run.ready.clear()


def _folded(
    run: Run, journal: Journal, entries: Iterable[Entry]
) -> tuple[dict[str, Any], dict[int, int]]:
    """Fold the records that count; the state's fields, and attempts by firing."""
    fields: dict[str, Any] = {}
    attempts: dict[int, int] = {}
    for _, record, delta, more in map(read, entries):
        if isinstance(record, Note):
            if record.kind == "state":
                fields = dict(record.data)
            else:
                _heed(run, journal, record, attempts)
            continue
        if type(record) is RunStarted:
            fields.update(more.get("s", {}))
            run.inputs = more.get("i")
            run.until = more.get("t")
            run.traceparent = more.get("w", "")
            if "x" in more:
                fields[EXTRA] = more["x"]
        if delta:
            apply(fields, delta)
        _remember(run, record)
        run.records.append(record)
        carry_folded(run, trail.recall(run, run.net, run.marking, record))
    return fields, attempts


def _heed(run: Run, journal: Journal, note: Note, attempts: dict[int, int]) -> None:
    """What a note between the records says of those that follow."""
    if note.kind == "again":
        for number in note.data or ():
            attempts[number] = attempts.get(number, 1) + 1
            run.starts[number] = run.starts.get(number, 1) + 1
    elif note.kind == "graph":
        run.net, run.marking = regraphed(journal.store, run.marking, run.net, note.data)
        journal.version = note.data.get("version", journal.version)
    elif note.kind == "fresh":
        run.marking.deferred.pop(note.data, None)
        run.starts[note.data] = 0
        from flowkit.runtime.recovery import forget_tries  # only who tries again

        forget_tries(run, note.data)


_ASKING = frozenset({"ask", "answer", "begin", "call"})


def effective(entries: Sequence[Entry]) -> list[Entry]:
    """The records that count: without those that a rewind took back.

    A rewind says after which record the run goes on, and which firings forget what
    they had asked.
    """
    kept: list[Entry] = []
    for entry in entries:
        if entry.kind == "note:rewind":
            to, anew = rewound(entry)
            redo = retries(entry)
            kept = [
                each
                for each in kept
                if each.seq <= to and not asks(each, anew) and each.seq not in redo
            ]
            continue
        kept.append(entry)
    return kept


def rewound(entry: Entry) -> tuple[int, list[int]]:
    """After which record a rewind goes on, and which firings ask anew."""
    note: Any = read(entry).record
    if isinstance(note.data, int):
        return note.data, []
    return note.data["to"], note.data.get("anew", [])


def retries(entry: Entry) -> Sequence[int]:
    """Numbers of the failed calls that a retried step makes once more.

    Empty for a rewind that somebody asked for.
    """
    note: Any = read(entry).record
    if isinstance(note.data, int):
        return (0,)
    redo: Sequence[int] = note.data.get("redo", ())
    return redo


def asks(entry: Entry, firings: Sequence[int]) -> bool:
    """Whether an entry is a question or a call of these firings, or its answer."""
    return entry.kind in _ASKING and entry.firing in firings


def first_graph(row: RunRow, entries: Iterable[Entry]) -> str:
    """Hash of the definition that the first record was made under.

    Args:
        row: of the run.
        entries: all of them: a note that was taken back tells it, too.
    """
    for entry in entries:
        if entry.kind == "note:graph":
            note: Any = read(entry).record
            digest: str = note.data["from"]
            return digest
    return row.graph


def graph_of(store: Store, digest: str) -> Definition:
    """A stored definition.

    Raises:
        StoreError: it is not there, or cannot be read.
    """
    text = store.graph(digest)
    if text is None:
        msg = (
            f"The definition {digest!r} of a run is not in {store.url}. Restore the "
            f"store from a backup that has it."
        )
        raise StoreError(msg)
    return definition_from(text)


def regraphed(
    store: Store, marking: Marking, net: Net, data: Mapping[str, Any]
) -> tuple[Net, Marking]:
    """A marking carried over to the graph that a note tells of."""
    from flowkit.core.transfer import relabelled, transferred

    new = net_of(graph_of(store, data["to"]))
    names = data.get("names")
    if names:
        net = relabelled(marking, net, names)
    return new, transferred(marking, net, new)


def _adapted(run: Run, journal: Journal, fields: dict[str, Any]) -> dict[str, Any]:
    """The state's fields, ready to go on under the class as it is now.

    Raises:
        RunError: what is missing, all of it.
    """
    from flowkit.runtime.kinds import known

    kind = known[type(run.flow)]
    definition = run.net.definition
    current = run.compiled.net.definition
    if journal.version == kind.version and graph_hash(definition) == graph_hash(
        current
    ):
        return fields
    from flowkit.runtime.versions import adapted

    return adapted(run, journal, current, fields)


def requeue(run: Run, journal: Journal) -> None:
    """Begin again what failed while the run went on, or could not be undone."""
    record = RunRequeued(now())
    _remember(run, record)
    run.apply(record)
    journal.wait(run)


def go_on(run: Run, journal: Journal) -> None:
    """After a refold: what was neither done nor waiting starts once more.

    Notes which firings that are, so that they know their attempt.
    """
    marking = run.marking
    behind = marking.held_back
    again = [
        number
        for number in marking.live
        if (number not in marking.asked or number in marking.busy)
        and number not in behind
    ]
    poisoned = []
    if run.compiled.policies:
        from flowkit.runtime.recovery import is_poisoned  # only who has policies

        poisoned = [marking.live[each] for each in again if is_poisoned(run, each)]
        gone = {each.id for each in poisoned}
        again = [each for each in again if each not in gone]
    if again:
        jot(journal, "again", again)
        for number in again:
            marking.live[number].attempt += 1
    flush(journal, run)
    if poisoned:
        from flowkit.runtime.recovery import fail_poisoned  # the same

        fail_poisoned(run, journal, poisoned)
        if run.over:
            return
    restart(run, again)
    judge_open(run)
    if marking.asked and run.children is not None:
        run.children.stir()


def _remember(run: Run, record: Any) -> None:
    """What a record leaves beside the marking and the state."""
    kind = type(record)
    if kind is StepFinished:
        run.last = record.output
        for place in [place for place in run.answers if place[0] == record.firing]:
            del run.answers[place]
    elif kind is StepAsked:
        run.questions[record.firing, record.position] = record
    elif kind is StepAnswered:
        run.answers[record.firing, record.position] = record.answer
    elif kind is CallEnded:
        run.called(record)
    elif kind is StepFailed:
        firing = run.marking.live.get(record.firing)
        if firing is not None and is_unheard(run, firing, record.late):
            run.failures.append(record.error)
    elif not _remember_end(run, record):
        _remember_acts(run, record)


def _remember_end(run: Run, record: Any) -> bool:
    """How a run ended, or that it goes on after all; whether the record says so."""
    kind = type(record)
    if kind is RunStopped:
        run.last = record.result
    elif kind is RunOverdue:
        run.failures.append(record.error)
        run.until = None
    elif kind is RunRequeued:
        run.over = run.told = False
        if not run.marking.not_undone:
            run.failures.clear()
        run.not_undone.clear()
    elif isinstance(record, RunAborted | RunCancelled | RunCompensated):
        run.reason = record.reason
    else:
        return False
    return True


def _remember_acts(run: Run, record: Any) -> None:
    """What a step had done when it was interrupted, or failed: not again."""
    kind = type(record)
    if kind is StepTurned:
        commits.forget(run, run.marking.live[record.firing])
    elif kind is StepYielded:
        run.yielded[record.firing] = record.ordinal + 1
    elif kind is StepActed:
        run.acted.setdefault(record.firing, []).append(record.taken)
    elif kind is StepDeferred:
        from flowkit.runtime.recovery import forget  # only runs that had one

        forget(run, record)
