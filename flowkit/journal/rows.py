"""What goes into a store and what comes out, as plain data.

A *move* is what is written as one unit: all of it or nothing. What each outcome
means is said at its move; what a store promises, in :mod:`flowkit.journal.base`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from flowkit.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "KEEP",
    "TRANSIENT",
    "Accept",
    "Accepted",
    "Advance",
    "Advanced",
    "Begin",
    "Begun",
    "Bury",
    "Dead",
    "Delivery",
    "Entry",
    "Fate",
    "Hold",
    "Keep",
    "Letter",
    "Move",
    "Outcome",
    "Owner",
    "RunRow",
    "Wait",
    "Waiting",
    "buried",
    "is_over",
]


def is_over(status: str) -> bool:
    """Whether a run of this status has ended: it waits for nothing, nobody owns it."""
    return status not in {"running", "waiting"}


class Keep(Enum):
    """Stands for: leave this column as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


class Entry(NamedTuple):
    """One record as stored.

    Attributes:
        seq: its number within the run, from 1.
        at: when, by the run's clock.
        kind: of record, a short word such as ``done``.
        firing: the firing it is about, or None.
        step: the name of that firing's step, or None.
        data: everything else, as JSON text; may be empty.
    """

    seq: int
    at: float
    kind: str
    firing: int | None
    step: str | None
    data: str


class RunRow(NamedTuple):
    """One run as stored, without its records.

    Attributes:
        id: unique; a UUIDv7, or the caller's idempotency key.
        flow: name of the class, ``package.module:Class``.
        state_id: the state's own id; several runs may share it, one after another.
        status: ``running waiting completed failed cancelled compensated expired``.
        key: correlation key, or None.
        inputs: hash of the inputs, to tell a repeated kickoff from another one.
        graph: hash of the definition the latest record was made under.
        version: of the flow, as its author names it.
        parent: id of the run that called or forked this one, or None.
        created_by: whoever began it, as the caller says, or "".
        tags: short words to find it by.
        created: when it began.
        updated: when its status was last written.
        due: when it must be looked at next, or None.
        fence: raised at each claim.
        owner: who moves it now; None for nobody.
        error: one line, if it failed.
        result: its outcome as JSON text, once it is over; else "".
        state: its final state as JSON text, once it is over; else "".
        seq: number of its latest record; filled by reads, ignored by writes.
        n: the store's own number of the run; filled by reads, ignored by writes.
    """

    id: str
    flow: str
    state_id: str
    status: str = "running"
    key: str | None = None
    inputs: str = ""
    graph: str = ""
    version: str = ""
    parent: str | None = None
    created_by: str = ""
    tags: tuple[str, ...] = ()
    created: float = 0.0
    updated: float = 0.0
    due: float | None = None
    fence: int = 1
    owner: str | None = None
    error: str = ""
    result: str = ""
    state: str = ""
    seq: int = 0
    n: int = 0


class Hold(NamedTuple):
    """The right to write a run: its number in the store and the fence."""

    n: int
    fence: int


class Owner(NamedTuple):
    """A process that moves runs; alive until ``until``.

    ``host`` and ``pid`` let a process on the same host see at once that another
    one is gone, instead of waiting for ``until``.
    """

    id: str
    until: float
    host: str = ""
    pid: int = 0


class Wait(NamedTuple):
    """What a run waits for: an event of this name and key, or an answer.

    Equal waits in one move count once. A token names one wait: a move that gives it
    to another one is refused, though a run may change the wait that has it.

    Attributes:
        name: of the event.
        key: correlation key; None takes events without a key only.
        place: where in the run: a listener's name or ``firing:position``.
        kind: ``event``, or ``person`` for a question to somebody.
        token: unguessable, for a person's answer; "" for events. Unique.
        data: what the asking step wants kept beside it, as JSON text; of an event,
            :data:`TRANSIENT` or nothing.
    """

    name: str
    key: str | None = None
    place: str = ""
    kind: str = "event"
    token: str = ""
    data: str = ""


TRANSIENT: Final = '"transient"'
"""The data of a wait that takes one event at a time, and only what comes from now on.

A run whose waits at a flow, name and key are all of this kind has room for as many
events as they are. What finds no room goes to the next run or begins one; else it is
dropped, also where it could be kept.
"""


class Waiting(NamedTuple):
    """A wait together with its run, as read."""

    run: str
    flow: str
    wait: Wait
    since: float


class Letter(NamedTuple):
    """A delivery in an inbox: an event for one subscriber.

    ``number`` rises with arrival and names it; ``event`` is the event's id,
    ``traceparent`` where its sender's trace goes on, None if nothing is traced.
    """

    number: int
    subscriber: str
    name: str
    key: str | None
    event: str | None
    payload: str
    at: float
    run: str | None = None
    traceparent: str | None = None


class Begin(NamedTuple):
    """Create a run with its first records and waits; the writer owns it.

    Outcome: :class:`Begun`, or :class:`RunExistsError` with the row of the run that
    is in the way. The owner must have said that it is alive (``Store.beat``); else
    anybody may claim the run.

    Attributes:
        graph: the definition as JSON text, stored once for its hash.
        alone: refuse it if a run of the same flow and state id is ``running`` or
            ``waiting``, also if another process begins that one at this moment.
    """

    run: RunRow
    entries: Sequence[Entry] = ()
    waits: Sequence[Wait] = ()
    graph: str = ""
    alone: bool = False


class Begun(NamedTuple):
    """A run was created; kept events that its waits took are in ``letters``."""

    hold: Hold
    letters: tuple[Letter, ...] = ()


class Advance(NamedTuple):
    """Move a run on: append records, consume letters, change what is said of it.

    Outcome: :class:`Advanced`, or :class:`FencedError`.

    A status that is over takes the run's waits, its owner and its due time away;
    letters left in its inbox go to the next run that waits for them, else are kept.

    Attributes:
        waits: all that the run waits for from now on; KEEP leaves them. New ones
            take kept events at once: all of that name and key, in order. A wait
            that was there before stays as old as it is.
        consumed: numbers of letters of this run's inbox that are used up.
        owner: KEEP, or None to give the run up: anybody may claim it then.
    """

    hold: Hold
    entries: Sequence[Entry] = ()
    at: float = 0.0
    status: str | Keep = KEEP
    due: float | Keep | None = KEEP
    waits: Sequence[Wait] | Keep = KEEP
    consumed: Sequence[int] = ()
    owner: Keep | None = KEEP
    key: str | Keep | None = KEEP
    state_id: str | Keep = KEEP
    error: str | Keep = KEEP
    result: str | Keep = KEEP
    state: str | Keep = KEEP
    graph: tuple[str, str] | Keep = KEEP
    tags: tuple[str, ...] | Keep = KEEP


class Advanced(NamedTuple):
    """The move was written; kept events that new waits took are in ``letters``.

    ``passed``: letters an ended run left, as another waiting run got them.
    """

    letters: tuple[Letter, ...] = ()
    passed: tuple[Letter, ...] = ()


class Delivery(NamedTuple):
    """One subscriber's share of an event.

    Attributes:
        subscriber: a flow's name (``RunRow.flow``), or ``handler:<name>``.
        payload: as this subscriber takes it, JSON text.
        begin: the run to begin if none waits; its ``owner`` is set if the accepting
            process will drive it.
        keep: whether to keep it if none waits and nothing begins.
        key: this subscriber's correlation key, if the event itself has none.
        handler: a plain handler: kept until :meth:`Store.done`, never matched.
    """

    subscriber: str
    payload: str
    begin: Begin | None = None
    keep: bool = False
    handler: bool = False
    key: str | None = None

    def key_in(self, event: Accept) -> str | None:
        """The correlation key of this share: the event's, else the subscriber's."""
        return self.key if event.key is None else event.key


class Accept(NamedTuple):
    """Take an event in: all its deliveries, or none, and its id with them.

    A subscriber of :attr:`deliveries` that has a waiting run of this name and key
    gets it there, oldest run first; a wait takes every event until it is taken away,
    one that is :data:`TRANSIENT` none before the last one is consumed.
    Its id is remembered even if no delivery found a taker. Its letters keep the
    ``traceparent``. Outcome: :class:`Accepted`, or :class:`RunExistsError` if a run
    to begin exists.
    """

    name: str
    key: str | None
    id: str | None
    at: float
    deliveries: Sequence[Delivery]
    traceparent: str | None = None


class Fate(NamedTuple):
    """What became of one delivery.

    ``how`` is ``run`` (handed to a waiting run), ``begun``, ``kept``, ``handler``
    or ``dropped``; ``run`` is the id; ``letter`` the letter, if there is one;
    ``hold`` that of a run that was begun (kept events that its waits took are in
    its inbox).
    """

    how: str
    run: str | None = None
    letter: Letter | None = None
    hold: Hold | None = None


class Accepted(NamedTuple):
    """An event is in; ``fates`` in the order of the deliveries.

    ``duplicate``: its id was accepted before, nothing was written. ``repeated``: that
    may have been this very move, whose first commit was not answered; set by the
    writer that repeated it, never by a store.
    """

    duplicate: bool = False
    fates: tuple[Fate, ...] = ()
    repeated: bool = False


class Bury(NamedTuple):
    """Put an event into the dead letters, with the reason. Outcome: its number."""

    name: str
    key: str | None
    id: str | None
    at: float
    payload: str
    reason: str
    kind: str = "invalid"
    subscriber: str = ""


def buried(letter: Letter, at: float, reason: str) -> Bury:
    """The burial of a kept letter that no run has taken."""
    _, subscriber, name, key, event, payload, *_ = letter
    return Bury(name, key, event, at, payload, reason, "dropped", subscriber)


class Dead(NamedTuple):
    """A dead letter as read."""

    number: int
    letter: Bury


Move = Begin | Advance | Accept | Bury
Outcome = Begun | Advanced | Accepted | int | StoreError
