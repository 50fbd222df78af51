"""Health: whether a store can be used, and what in it needs somebody."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from flowkit.errors import FlowkitError
from flowkit.plot.lengths import length
from flowkit.runtime.clock import now
from flowkit.runtime.lookup import query_of, store_of
from flowkit.runtime.presence import has_ended, presence_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.journal.base import Store
    from flowkit.journal.queries import Query
    from flowkit.journal.rows import Entry, RunRow

__all__ = ["Ailment", "AilmentKind", "Health", "OldestWait", "health"]

AilmentKind = Literal["unreachable", "abandoned", "overdue", "unread", "quiet", "dead"]

MOST = 100
"""Runs of a kind that are looked at; more are told as at least so many."""
INNER = ("answer:", "run:", "timer:")
"""How names of events begin that no user gave; some hold a secret."""
PATIENCE = 60.0
"""Seconds that a run may be due before it counts as overdue."""


@dataclass(frozen=True, slots=True)
class Ailment:
    """Something that needs somebody.

    Attributes:
        kind: ``unreachable`` the store; ``abandoned`` runs at work that no living
            process moves; ``overdue`` ones whose time has come, and ``unread`` ones
            with an event in their inbox, that nobody takes up; ``quiet`` ones at
            work without a record for long; ``dead`` letters.
        count: how many; at least so many from 100 on.
        text: what is wrong, and what to do.
        runs: ids of a few, the oldest first.
    """

    kind: AilmentKind
    count: int
    text: str
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OldestWait:
    """What has been waited for the longest.

    Attributes:
        run: that waits.
        flow: its class, ``package.module:Class``.
        name: of the event; of a person's answer, what asked for it.
        kind: ``event`` or ``person``.
        since: seconds since the epoch.
    """

    run: str
    flow: str
    name: str
    kind: str
    since: float


@dataclass(frozen=True, slots=True)
class Health:
    """How a store and its runs are; true if nothing needs anybody.

    Attributes:
        store: its URL, without a password.
        at: when it was asked, seconds since the epoch.
        reachable: whether it could be read.
        about: kind, version and schema of what is behind it.
        runs: how many there are, by status.
        processes: that move runs and are alive.
        waits: the oldest wait of each kind.
        dead: how many dead letters there are; 100 for that many or more.
        ailments: what needs somebody.
    """

    store: str
    at: float
    reachable: bool
    about: dict[str, Any]
    runs: dict[str, int]
    processes: int
    waits: tuple[OldestWait, ...]
    dead: int
    ailments: tuple[Ailment, ...]

    def __bool__(self) -> bool:
        return not self.ailments

    def to_dict(self) -> dict[str, Any]:
        """All of it as dictionaries, lists, numbers and text, as JSON takes it."""
        plain = asdict(self)
        plain["healthy"] = bool(self)
        for name in ("waits", "ailments"):
            plain[name] = [
                {**each, **({"runs": [*each["runs"]]} if "runs" in each else {})}
                for each in plain[name]
            ]
        return plain

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def health(
    flow: type | str | None = None,
    *,
    quiet_after: float = 3600.0,
    store: Any = None,
) -> Health:
    """How a store and the runs in it are; changes nothing, and never raises for it.

    Args:
        flow: only runs of this class, its name, or its stored name.
        quiet_after: seconds without a record after which a run at work is told.
        store: the flow's own or the default one if None.

    Raises:
        InputError: a flow that does not exist.
    """
    at = now()
    try:
        place = store_of(store, flow)
    except FlowkitError as error:
        return _unreachable(str(store or "the default store"), at, error)
    query = query_of(flow=flow)
    try:
        return _looked_at(place, query, at, quiet_after)
    except FlowkitError as error:
        return _unreachable(place.url, at, error)


def _unreachable(url: str, at: float, error: Exception) -> Health:
    ailment = Ailment("unreachable", 1, f"The store cannot be read. {error}")
    return Health(url, at, False, {}, {}, 0, (), 0, (ailment,))  # noqa: FBT003 - a field


def _looked_at(place: Store, query: Query, at: float, quiet_after: float) -> Health:
    counted = place.figures(query)
    runs: dict[str, int] = {}
    for row in counted:
        runs[row.status] = runs.get(row.status, 0) + row.runs
    flows = sorted({row.flow for row in counted})
    own, owners = presence_in(place).id, place.owners()
    gone = [each.id for each in owners if each.id != own and has_ended(each)]
    alive = [each.id for each in owners if each.until > at and each.id not in gone]
    found = [
        *_left(place, flows, gone, at),
        *_quiet(place, query, {*alive}, at - quiet_after),
    ]
    dead = place.dead(limit=MOST)
    if dead:
        first, reason = dead[0].letter, dead[0].letter.reason.rstrip(".")
        text = (
            f"{_many(len(dead))} dead {_s('letter', len(dead))}, the oldest "
            f"{first.name!r}: {reason}. Look at them in bus.dead, and send "
            f"them again with bus.requeue(number)."
        )
        found.append(Ailment("dead", len(dead), text))
    return Health(
        place.url,
        at,
        True,  # noqa: FBT003 - a field
        dict(place.info()),
        runs,
        len(alive),
        tuple(_oldest(place, query.flow)),
        len(dead),
        tuple(found),
    )


def _left(
    place: Store, flows: list[str], gone: list[str], at: float
) -> Iterator[Ailment]:
    """Runs that could go on and that nobody moves."""
    if not flows:
        return
    kinds: dict[str, list[str]] = {"abandoned": [], "overdue": [], "unread": []}
    for id in place.claimable(at, flows, dead=gone, limit=MOST):
        row = place.run(id)
        if row is None:
            continue
        if row.status == "running":
            kinds["abandoned"].append(id)
        elif row.due is not None and row.due <= at:
            if row.due <= at - PATIENCE:
                kinds["overdue"].append(id)
        elif any(each.at <= at - PATIENCE for each in place.letters(id)):
            kinds["unread"].append(id)
    for kind, ids in kinds.items():
        if ids:
            text = _LEFT[kind].format(f"{_many(len(ids))} {_s('run', len(ids))}")
            yield Ailment(kind, len(ids), text, tuple(ids[:5]))  # type: ignore[arg-type]  # a key of the table


_LEFT = {
    "abandoned": "{} stopped at work, and no living process has them. Go on with "
    "flowkit.resume(id), MyFlow.resume_all(), or a bus that serves the store.",
    "overdue": "{} should have gone on by themselves for more than a minute. Have a "
    "process serve the store: EventBus(store=..).serve().",
    "unread": "{} have had an event in their inbox for more than a minute. Have a "
    "process serve the store: EventBus(store=..).serve().",
}


def _quiet(
    place: Store, query: Query, alive: set[str], before: float
) -> Iterator[Ailment]:
    """Runs at work in a living process that have written nothing for long."""
    found: list[RunRow] = []
    asked = query._replace(status=("running",), until=before, limit=MOST)
    for row in place.runs(asked):
        if row.owner not in alive:
            continue
        latest: list[Entry] = place.entries(row.id, row.seq - 1)
        if latest and latest[-1].at < before:
            found.append(row)
    if found:
        count = len(found)
        text = (
            f"{_many(count)} {_s('run', count)} at work have written no record for "
            f"long. Look at what the step does that is open: runs.history(id)."
        )
        ids = tuple(row.id for row in reversed(found))[:5]
        yield Ailment("quiet", count, text, ids)


def _oldest(place: Store, flow: str | None) -> Iterator[OldestWait]:
    for kind in ("event", "person"):
        for each in place.waits(kind=kind, limit=1000):
            name = each.wait.name
            if flow in {None, each.flow} and not name.startswith(INNER):
                yield OldestWait(each.run, each.flow, name, kind, each.since)
                break


def _many(count: int) -> str:
    return str(count) if count < MOST else f"{count} or more"


def _s(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _lines(found: Health) -> Iterator[str]:
    yield f"{found.store}: {'healthy' if found else 'needs somebody'}"
    if found.about:
        about = ", ".join(f"{name} {value}" for name, value in found.about.items())
        yield f"  {about}"
    if found.reachable:
        told = ", ".join(f"{count} {status}" for status, count in found.runs.items())
        yield f"  runs: {told or 'none'}"
        processes = _s("process", 1) if found.processes == 1 else "processes"
        yield f"  moved by {found.processes} {processes}"
    for each in found.waits:
        what = "a person" if each.kind == "person" else f"event {each.name!r}"
        lasted = length(found.at - each.since)
        yield f"  the oldest wait for {what}: {lasted}, run {each.run} of {each.flow}"
    for ailment in found.ailments:
        yield f"  {ailment.kind}: {ailment.text}"
        if ailment.runs:
            yield f"    {' '.join(ailment.runs)}"
