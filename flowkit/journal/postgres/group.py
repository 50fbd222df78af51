"""A group commit: many moves, a few round trips, one transaction.

First the places are locked where moves of this group and events or waits of another
process could miss each other, in one order; then the rows, in one order; then what
the moves need is read. The ledger decides, and what it has changed goes out together
with the commit.

A place is a flow, a name and a key. An event accepted there and a wait set or taken
away there hold its lock until they are committed, so one of them sees the other.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from flowkit.journal.postgres.ledger import Ledger, Pending, Run, tags_text
from flowkit.journal.postgres.places import Spot, arrays, bucket
from flowkit.journal.postgres.steps import Again, Ask, Stage
from flowkit.journal.rows import (
    TRANSIENT,
    Accept,
    Advance,
    Begin,
    Bury,
    Entry,
    Keep,
    Letter,
    RunRow,
    Wait,
    is_over,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from flowkit.journal.postgres.ledger import Doubt
    from flowkit.journal.postgres.steps import Rows, Steps
    from flowkit.journal.rows import Move, Outcome

__all__ = ["group", "letter_of", "run_of"]


def run_of(row: Sequence[Any]) -> RunRow:
    """A run as the head ``run_columns`` reads it."""
    import json

    found = RunRow(*row)
    return found._replace(tags=tuple(json.loads(row[10])))


def letter_of(row: Sequence[Any]) -> Letter:
    """A letter from its columns in order."""
    return Letter(*row)


def _runs_begun(moves: Iterable[Move]) -> list[Begin]:
    found = []
    for move in moves:
        if isinstance(move, Begin):
            found.append(move)
        elif isinstance(move, Accept):
            found += [each.begin for each in move.deliveries if each.begin is not None]
    return found


def _ends(move: Advance) -> bool:
    return not isinstance(move.status, Keep) and is_over(move.status)


class _Needs:
    """What must be read for these moves, by kind."""

    def __init__(self, moves: Sequence[Move], doubt: Doubt) -> None:
        self.advances = [move for move in moves if isinstance(move, Advance)]
        self.accepts = [move for move in moves if isinstance(move, Accept)]
        self.begins = _runs_begun(moves)
        self.burials = sum(isinstance(move, Bury) for move in moves)
        self.runs = sorted({move.hold.n for move in self.advances})
        ending = {move.hold.n for move in self.advances if _ends(move)}
        self.ending = sorted(ending)
        setting = {m.hold.n for m in self.advances if not isinstance(m.waits, Keep)}
        self.changing = sorted(ending | setting)
        changing = set(self.changing)
        self.consumed = sorted(
            {
                number
                for move in self.advances
                if move.hold.n not in changing
                for number in move.consumed
            }
        )
        heedful = {
            move.hold.n
            for move in self.advances
            if not isinstance(move.waits, Keep)
            and any(wait.data == TRANSIENT for wait in move.waits)
        }
        self.inboxes = sorted(ending | heedful)
        self.keeps = any(
            each.keep for accept in self.accepts for each in accept.deliveries
        )
        self.deliveries = sum(len(accept.deliveries) for accept in self.accepts)
        self.alone = {
            (begin.run.flow, begin.run.state_id) for begin in self.begins if begin.alone
        }
        self.doubted = sorted(
            {
                (move.hold.n, entry.seq)
                for move in self.advances
                for entry in move.entries
                if (move.hold.n, entry.seq) in doubt.records
            }
        )
        self.arriving = Counter(
            Spot(each.subscriber, accept.name, each.key_in(accept))
            for accept in self.accepts
            for each in accept.deliveries
            if not each.handler
        )

    def tokens(self) -> list[str]:
        """Tokens of new waits."""
        waits = [wait for begin in self.begins for wait in begin.waits]
        for move in self.advances:
            if not isinstance(move.waits, Keep):
                waits += move.waits
        return [wait.token for wait in waits if wait.token]

    def awaited(self, flows: dict[int, str]) -> set[Spot]:
        """Places of waits that these moves set."""
        found = {
            Spot(begin.run.flow, wait.name, wait.key)
            for begin in self.begins
            for wait in begin.waits
            if wait.kind == "event"
        }
        for move in self.advances:
            if move.hold.n in flows and not isinstance(move.waits, Keep):
                found |= {
                    Spot(flows[move.hold.n], wait.name, wait.key)
                    for wait in move.waits
                    if wait.kind == "event"
                }
        return found


def group(
    moves: Sequence[Move],
    *,
    space: int,
    channel: str,
    doubt: Doubt,
    known: Collection[Spot] = (),
) -> Steps[list[Outcome]]:
    """Write these moves together; an outcome for each, in order.

    Args:
        space: the first number of this schema's advisory locks.
        channel: where to say which runs have got a letter.
        doubt: what an earlier call may have written without being told.
        known: places a former try has found to matter.

    Raises:
        Again: a run's waits changed while nobody held them; the error names the
            places to hold.
    """
    needs = _Needs(moves, doubt)
    flows: dict[int, str] = {}
    left = set(known)
    if needs.changing:
        (rows,) = yield Stage([Ask("peek_runs", {"runs": needs.changing})])
        for n, flow, waits, letters in rows:
            flows[n] = flow
            left |= {Spot(flow, name, key) for name, key in (*waits, *letters)}
    awaited = needs.awaited(flows)
    ledger = Ledger(doubt)
    reads = _reads(needs, awaited, left, space)
    if reads:
        answers = yield Stage(list(reads.values()))
        found = dict(zip(reads, answers, strict=True))
        _fill(ledger, found, needs, awaited, left)
    again = _begun_in_doubt(ledger, needs, doubt)
    if again:
        (rows,) = yield Stage([Ask("letters_of", {"runs": again})])
        _fill_inboxes(ledger, rows)
    outcomes = ledger.enter(moves)
    yield Stage(list(_writes(ledger, channel)), last=True)
    return outcomes


def _begun_in_doubt(ledger: Ledger, needs: _Needs, doubt: Doubt) -> list[int]:
    """Runs whose move was written before, if it was, so that letters are known."""
    begun = [
        ledger.rows[begin.run.id].n
        for begin in needs.begins
        if begin.run.id in doubt.runs and begin.run.id in ledger.rows
    ]
    return [*begun, *(n for n, _ in needs.doubted)]


def _reads(
    needs: _Needs, awaited: set[Spot], left: set[Spot], space: int
) -> dict[str, Ask]:
    """What to lock and read, in this order.

    Locks first: what is read after them stays so until the commit.
    """
    arriving = sorted(needs.arriving.keys() | left, key=_order)
    states = {Spot(flow, "", state_id) for flow, state_id in needs.alone}
    buckets = sorted({bucket(spot) for spot in {*arriving, *awaited, *states}})
    runs = {"runs": needs.runs}
    ids = [begin.run.id for begin in needs.begins]
    events = [accept.id for accept in needs.accepts if accept.id is not None]
    tokens = needs.tokens()
    changing = {"changing": needs.changing}
    most = {"most": [1 + len(needs.changing) + needs.arriving[at] for at in arriving]}
    used = {"consumed": needs.consumed}
    asked: list[tuple[object, str, dict[str, Any]]] = [
        (buckets, "lock_places", {"space": space, "buckets": buckets}),
        (needs.runs, "lock_runs", runs),
        (needs.runs, "latest", runs),
        (needs.changing, "waits_of", {"runs": needs.changing}),
        (needs.inboxes, "letters_of", {"runs": needs.inboxes}),
        (ids, "by_ids", {"ids": ids}),
        (
            needs.alone,
            "live_on",
            {
                "flows": [flow for flow, _ in needs.alone],
                "states": [state_id for _, state_id in needs.alone],
                "runs": needs.runs,
            },
        ),
        (events, "events_seen", {"ids": events}),
        (tokens, "tokens_taken", {"tokens": tokens}),
        (arriving, "waiting_at", arrays(arriving) | changing | most | used),
        (needs.keeps and arriving, "full_at", arrays(arriving) | changing),
        (awaited, "kept_at", arrays(awaited)),
        (
            needs.doubted,
            "written",
            {
                "runs": [n for n, _ in needs.doubted],
                "seqs": [seq for _, seq in needs.doubted],
            },
        ),
        (ids, "run_numbers", {"count": len(ids)}),
        (needs.deliveries, "letter_numbers", {"count": needs.deliveries}),
        (needs.burials, "dead_numbers", {"count": needs.burials}),
    ]
    return {name: Ask(name, params) for wanted, name, params in asked if wanted}


def _order(spot: Spot) -> tuple[str, str, str]:
    return spot.flow, spot.name, spot.slot


def _fill(
    ledger: Ledger,
    found: dict[str, Rows],
    needs: _Needs,
    awaited: set[Spot],
    left: set[Spot],
) -> None:
    latest: dict[int, int | None] = dict(found.get("latest", ()))
    for n, id, flow, fence in found.get("lock_runs", ()):
        ledger.runs[n] = Run(n, id, flow, fence, latest[n] or 0)
    for number, run, *wait, since in found.get("waits_of", ()):
        if run in ledger.runs:
            ledger.runs[run].waits.append(Pending(number, Wait(*wait), since))
    _fill_inboxes(ledger, found.get("letters_of", ()))
    arriving = sorted(needs.arriving.keys() | left, key=_order)
    _check_held(ledger, needs, {*arriving, *awaited}, set(arriving))
    ledger.waiting = {spot: [] for spot in arriving}
    for i, n, id, room in found.get("waiting_at", ()):
        _line_up(ledger, arriving[i - 1], n, id, room)
    ledger.full = {arriving[i - 1] for (i,) in found.get("full_at", ())}
    ledger.kept = {spot: [] for spot in awaited}
    for row in found.get("kept_at", ()):
        letter = letter_of(row)
        spot = Spot(letter.subscriber, letter.name, letter.key)
        ledger.kept[spot].append(letter)
    ledger.rows = {row[0]: run_of(row) for row in found.get("by_ids", ())}
    ledger.live = [run_of(row) for row in found.get("live_on", ())]
    ledger.seen = {id for (id,) in found.get("events_seen", ())}
    ledger.tokens = dict(found.get("tokens_taken", ()))
    for run, *entry in found.get("written", ()):
        ledger.written[run, entry[0]] = Entry(*entry)
    ledger.run_numbers = (n for (n,) in found.get("run_numbers", ()))
    ledger.letter_numbers = (n for (n,) in found.get("letter_numbers", ()))
    ledger.dead_numbers = (n for (n,) in found.get("dead_numbers", ()))


def _line_up(ledger: Ledger, spot: Spot, n: int, id: str, room: int | None) -> None:
    """A wait of a run at a place, as read: those of one run follow each other."""
    line, rooms = ledger.waiting[spot], ledger.rooms.setdefault(spot, {})
    if not line or line[-1][0] != n:
        line.append((n, id))
        rooms[n] = room
    elif (before := rooms[n]) is not None:
        rooms[n] = None if room is None else max(before, room)


def _fill_inboxes(ledger: Ledger, rows: Iterable[Sequence[Any]]) -> None:
    for row in rows:
        n = row[7]
        letter = letter_of(row)._replace(run=_id_of(ledger, n))
        ledger.inboxes.setdefault(n, {})[letter.number] = letter


def _id_of(ledger: Ledger, n: int) -> str | None:
    if n in ledger.runs:
        return ledger.runs[n].id
    return next((row.id for row in ledger.rows.values() if row.n == n), None)


def _check_held(
    ledger: Ledger, needs: _Needs, held: set[Spot], arriving: set[Spot]
) -> None:
    """Whether the places seen before the locks are still all there are."""
    missing: set[Spot] = set()
    for n in needs.changing:
        if n in ledger.runs:
            missing |= ledger.runs[n].spots() - held
    for n in needs.ending:
        if n in ledger.runs:
            flow = ledger.runs[n].flow
            inbox = ledger.inboxes.get(n, {}).values()
            missing |= {Spot(flow, each.name, each.key) for each in inbox} - arriving
    if missing:
        raise Again(missing)


def _columns(names: str, rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows as one list a column."""
    keys = names.split()
    columns: dict[str, list[Any]] = {key: [] for key in keys}
    for row in rows:
        for key, value in zip(keys, row, strict=True):
            columns[key].append(value)
    return columns


_RUN = [name for name in RunRow._fields if name not in {"seq", "tags"}]
_CHANGES = (
    "status",
    "updated",
    "state_id",
    "error",
    "result",
    "state",
    "graph",
    "tags",
)


def _writes(ledger: Ledger, channel: str) -> Iterable[Ask]:
    """All that has changed, a statement for each table."""
    runs = ledger.runs.values()
    if ledger.graphs:
        rows: list[Any] = sorted(ledger.graphs.items())
        yield Ask("add_graphs", _columns("digest data", rows))
    if ledger.new_runs:
        rows = [[getattr(run, name) for name in _RUN] for run in ledger.new_runs]
        tags = [tags_text(run.tags) for run in ledger.new_runs]
        yield Ask("add_runs", _columns(" ".join(_RUN), rows) | {"tags": tags})
    if ledger.records:
        rows = [(n, *entry) for n, entry in ledger.records]
        yield Ask("add_records", _columns("run seq at kind firing step data", rows))
    changed = [run for run in runs if run.changes]
    if changed:
        yield Ask("change_runs", _changes(changed))
    if ledger.dropped_waits:
        yield Ask("drop_waits", {"numbers": ledger.dropped_waits})
    rows = [
        (run.n, run.flow, *pending.wait, pending.since)
        for run in runs
        for pending in run.waits
        if pending.number is None
    ]
    if rows:
        names = "run flow name key place kind token data since"
        yield Ask("add_waits", _columns(names, rows))
    yield from _letters(ledger)
    if ledger.events:
        yield Ask("add_events", _columns("id at", sorted(ledger.events.items())))
    for number, letter in ledger.buried:
        row = letter._asdict()
        yield Ask("bury", {**row, "event": row["id"], "number": number})
    if ledger.woken:
        yield Ask("notify", {"channel": channel, "ids": list(ledger.woken)})


def _letters(ledger: Ledger) -> Iterable[Ask]:
    """What arrives, changes hands and is used up; in this order."""
    if ledger.new_letters:
        rows: list[Any] = [
            (*post.letter[:7], post.run, post.handler, post.letter.traceparent)
            for post in ledger.new_letters.values()
        ]
        names = "number subscriber name key event payload at run handler traceparent"
        yield Ask("add_letters", _columns(names, rows))
    if ledger.moved:
        rows = sorted(ledger.moved.items())
        yield Ask("move_letters", _columns("number run", rows))
    if ledger.consumed:
        yield Ask("consume", _columns("number run", sorted(set(ledger.consumed))))


def _changes(runs: Sequence[Run]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"n": [run.n for run in runs]}
    for name in _CHANGES:
        columns[name] = [run.changes.get(name) for run in runs]
    for name in ("due", "key"):
        columns[name] = [run.changes.get(name) for run in runs]
        columns[f"set_{name}"] = [name in run.changes for run in runs]
    columns["set_owner"] = ["owner" in run.changes for run in runs]
    return columns
