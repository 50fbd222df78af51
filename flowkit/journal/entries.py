"""Records of the core as entries of a store, and back.

What a kind of record holds stands in one table, :data:`_FORMS`; a field that has
its usual value is left out. Beside the core's records a run keeps *notes*: facts
that decide nothing (a restart after a crash, a new graph, a rewind).
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core import records as core
from flowkit.journal.codec import UnreadableError, decode, encode, to_plain, write
from flowkit.journal.rows import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowkit.core.records import Record

__all__ = ["Note", "Read", "done_text", "entry_of", "note_entry", "read", "spelt"]


class Note(NamedTuple):
    """A fact of a run that decides nothing: ``kind`` and what belongs to it."""

    at: float
    kind: str
    data: Any = None


class Read(NamedTuple):
    """An entry with its contents.

    Attributes:
        record: of the core, or a note.
        delta: what the step changed in the state.
        more: what the runtime kept beside it.
    """

    seq: int
    record: Record | Note
    delta: Mapping[str, Any]
    more: Mapping[str, Any]


_FORMS: dict[str, tuple[type, tuple[tuple[str, str], ...]]] = {
    "start": (core.RunStarted, (("event", "e"), ("payloads", "p"), ("step", "b"))),
    "done": (
        core.StepFinished,
        (
            ("output", "o"),
            ("labels", "l"),
            ("changed", "c"),
            ("payload", "p"),
            ("emitted", "e"),
            ("metrics", "k"),
        ),
    ),
    "turn": (
        core.StepTurned,
        (("output", "o"), ("changed", "c"), ("emitted", "e"), ("metrics", "k")),
    ),
    "yield": (core.StepYielded, (("ordinal", "q"), ("item", "p"))),
    "act": (
        core.StepActed,
        (
            ("ordinal", "q"),
            ("verb", "v"),
            ("target", "t"),
            ("payload", "p"),
            ("taken", "y"),
        ),
    ),
    "judge": (
        core.GroupJudged,
        (("group", "g"), ("gather", "h"), ("error", "x")),
    ),
    "fail": (core.StepFailed, (("error", "x"), ("late", "z"), ("metrics", "k"))),
    "defer": (
        core.StepDeferred,
        (
            ("due", "u"),
            ("why", "w"),
            ("error", "x"),
            ("tries", "t"),
            ("since", "s"),
            ("stage", "g"),
            ("metrics", "k"),
        ),
    ),
    "event": (
        core.EventReceived,
        (
            ("name", "n"),
            ("payload", "p"),
            ("key", "k"),
            ("id", "i"),
            ("shares", "s"),
            ("traceparent", "w"),
        ),
    ),
    "stop": (
        core.RunStopped,
        (("result", "o"), ("changed", "c"), ("metrics", "k")),
    ),
    "abort": (core.RunAborted, (("reason", "r"),)),
    "expire": (core.RunExpired, ()),
    "hit": (core.StepHit, ()),
    "hedge": (core.StepHedged, (("call", "q"), ("won", "z"))),
    "isolate": (core.StepIsolated, (("pid", "q"),)),
    "overdue": (core.RunOverdue, (("error", "x"),)),
    "requeue": (core.RunRequeued, ()),
    "undo": (core.RunCompensated, (("reason", "r"),)),
    "cancel": (core.RunCancelled, (("reason", "r"),)),
    "ask": (
        core.StepAsked,
        (("position", "q"), ("verb", "v"), ("detail", "p"), ("changed", "c")),
    ),
    "answer": (core.StepAnswered, (("position", "q"), ("answer", "o"))),
    "timer": (core.TimerFired, (("timer", "t"),)),
    "begin": (core.CallBegun, (("position", "q"), ("step", "n"))),
    "call": (
        core.CallEnded,
        (
            ("position", "q"),
            ("step", "n"),
            ("began", "b"),
            ("output", "o"),
            ("error", "x"),
            ("cancelled", "z"),
            ("metrics", "k"),
            ("stage", "g"),
            ("hit", "h"),
        ),
    ),
}
_KINDS = {kind: name for name, (kind, _) in _FORMS.items()}
_SHORT = frozenset({bool, int, str})
_MORE = {
    "s": "first_state",
    "x": "first_extra",
    "i": "inputs",
    "t": "deadline",
    "w": "traceparent",
}
_DERIVED = frozenset({"changed"})  # the keys of the delta say it


def entry_of(  # noqa: PLR0917 - the hot path calls by position
    record: Record,
    seq: int,
    step: str | None,
    where: str,
    delta: Any = None,
    more: Mapping[str, Any] | None = None,
) -> Entry:
    """A record as it is stored.

    Args:
        record: of the core.
        seq: its number in the run.
        step: name of the step whose firing it is about.
        where: that place for errors, such as ``Orders.charge``.
        delta: trees of the changes, as ``delta_of`` gives them.
        more: trees that the runtime keeps beside it.

    Raises:
        UnstorableError: an output, a payload or a label that cannot be stored.
    """
    name = _KINDS[type(record)]
    if name == "done":  # the record of every step, without a look at the table
        plain = _done_plain(record, where)
    else:
        plain = _plain_of(record, name, where)
    if delta:
        plain["d"] = delta
    if more:
        plain["m"] = dict(more)
    firing = getattr(record, "firing", None)
    return Entry(seq, record.at, name, firing, step, write(plain) if plain else "")


def done_text(record: Any, delta: Any) -> str:
    """The data of a finished step, and of what it changed, in one go.

    Raises:
        UnstorableError: an output or a payload that cannot be stored.
    """
    _, _, output, labels, _, payload, emitted, metrics = record
    if not (labels or emitted or metrics) and payload is None:
        if type(output) in _SHORT:  # one piece of text beside another
            text = f'"o":{encode(output, "the output")}'
            return f'{{{text},"d":{_text_of(delta)}}}' if delta else f"{{{text}}}"
        if output is None:
            return f'{{"d":{_text_of(delta)}}}' if delta else ""
    plain = {} if output is None else {"o": to_plain(output, "the output")}
    if labels:
        plain["l"] = list(labels)
    if payload is not None:
        plain["p"] = to_plain(payload, "the payload")
    if emitted:
        plain["e"] = to_plain(emitted, "what it emitted")
    if metrics:
        plain["k"] = [list(each) for each in metrics]
    if delta:
        plain["d"] = delta
    return write(plain)


def _text_of(delta: dict[str, Any]) -> str:
    if len(delta) == 1:
        ((field, found),) = delta.items()
        if len(found) == 1 and type(found[0]) is int:  # a counter
            return f"{{{encode_basestring_ascii(field)}:[{found[0]}]}}"
    return write(delta)


def _done_plain(record: Any, where: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if record.output is not None:
        plain["o"] = to_plain(record.output, f"the output of {where}")
    if record.labels:
        plain["l"] = list(record.labels)
    if record.payload is not None:
        plain["p"] = to_plain(record.payload, f"the payload of {where}")
    if record.emitted:
        plain["e"] = to_plain(record.emitted, f"what {where} emitted")
    if record.metrics:
        plain["k"] = [list(each) for each in record.metrics]
    return plain


def _plain_of(record: Any, name: str, where: str) -> dict[str, Any]:
    kind, fields = _FORMS[name]
    usual = getattr(kind, "_field_defaults", {})
    plain = {}
    for field, short in fields:
        value = getattr(record, field)
        if field in _DERIVED or (field in usual and value == usual[field]):
            continue
        plain[short] = to_plain(value, f"the {field} of {where}")
    return plain


def note_entry(note: Note, seq: int) -> Entry:
    """A note as it is stored."""
    data = "" if note.data is None else write({"p": to_plain(note.data, note.kind)})
    return Entry(seq, note.at, f"note:{note.kind}", None, None, data)


def spelt(entry: Entry) -> dict[str, Any]:
    """What an entry holds beside its columns, under full names, as plain JSON.

    ``state`` is what changed in it: a list of one holds the new value, an empty one
    says the field is gone, a longer one begins with how it grew.
    """
    found = json.loads(entry.data) if entry.data else {}
    if entry.kind.startswith("note:"):
        return {"note": found["p"]} if "p" in found else {}
    fields = _FORMS[entry.kind][1] if entry.kind in _FORMS else ()
    names = {short: field for field, short in fields}
    more = found.pop("m", {})
    names |= {"d": "state"}
    told = {names.get(short, short): value for short, value in found.items()}
    told |= {_MORE.get(short, short): value for short, value in more.items()}
    return told


def read(entry: Entry, decoder: Callable[[str], Any] = decode) -> Read:
    """An entry's record, and what belongs to it.

    Args:
        entry: as stored.
        decoder: makes values of its text: ``decode`` or ``decode_loosely``.

    Raises:
        UnreadableError: it was written by a newer flowkit, or names a class that
            is gone.
    """
    found = decoder(entry.data) if entry.data else {}
    delta, more = found.get("d", {}), found.get("m", {})
    if entry.kind.startswith("note:"):
        note = Note(entry.at, entry.kind[5:], found.get("p"))
        return Read(entry.seq, note, {}, more)
    form = _FORMS.get(entry.kind)
    if form is None:
        msg = (
            f"Record {entry.seq} is of the kind {entry.kind!r}, which this flowkit "
            f"does not know. Read it with the version that wrote it, or a newer one."
        )
        raise UnreadableError(msg)
    kind, fields = form
    given = {field: found[short] for field, short in fields if short in found}
    if "labels" in given:
        given["labels"] = tuple(given["labels"])
    for pairs in ("emitted", "metrics"):
        if pairs in given:
            given[pairs] = tuple(map(tuple, given[pairs]))
    if "changed" in getattr(kind, "_fields", ()):
        given["changed"] = tuple(delta)
    if "firing" in getattr(kind, "_fields", ()) and entry.firing is not None:
        given["firing"] = entry.firing
    return Read(entry.seq, kind(at=entry.at, **given), delta, more)
