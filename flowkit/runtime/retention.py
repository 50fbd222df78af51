"""How long ended runs are kept, and deleting those that are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowkit.core.durations import seconds
from flowkit.journal.rows import is_over
from flowkit.runtime.children import called_rows, is_called
from flowkit.runtime.clock import now
from flowkit.runtime.durable import flow_name
from flowkit.runtime.kinds import known
from flowkit.runtime.lookup import paged, query_of, store_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.journal.base import Store

__all__ = ["Purged", "Retention", "purge"]

TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a flow's ended runs are kept. Runs that are not over always are.

    A run goes when it is beyond ``keep`` or older than ``age``; with neither, none.

    Attributes:
        keep: most ended runs of a flow; the newest stay.
        age: time since a run ended, in seconds or as text such as ``"90d"``.
        failures: whether failed runs are kept whatever their number and age.

    Raises:
        ValueError: a number below zero, or an age that is no length of time.
    """

    keep: int | None = None
    age: float | str | None = None
    failures: bool = True

    def __post_init__(self) -> None:
        if self.keep is not None and (type(self.keep) is not int or self.keep < 0):
            msg = f"Retention(keep={self.keep!r}): a number of runs, 0 or more."
            raise ValueError(msg)
        if self.age is not None:
            seconds(self.age, "Retention(age=..)")


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge has deleted, or would delete.

    Attributes:
        runs: ids, newest first within each flow.
        flows: how many of each flow.
        dry: nothing was deleted.
    """

    runs: tuple[str, ...]
    flows: dict[str, int]
    dry: bool


def purge(
    flow: Any = None,
    retention: Retention | None = None,
    *,
    store: Any = None,
    dry: bool = False,
) -> Purged:
    """Delete ended runs that are not to be kept, with their records.

    A run that is not over is never touched, whoever asks. A run that another one has
    called is kept as long as that one, and goes with it.

    Args:
        flow: a class or its stored name; every flow if None.
        retention: what to keep; each class's own (``retention=``) if None, and a
            flow without one keeps all.
        store: the default one if None.
        dry: only tell what would go.
    """
    place = store_of(store, flow)
    found: dict[str, list[str]] = {}
    for name, rule in _rules(place, flow, retention):
        gone = [*_outlived(place, name, rule)]
        if gone:
            found[name] = gone
    for name, called in _called(place, found):
        found.setdefault(name, []).append(called)
    runs = [run for gone in found.values() for run in gone]
    if not dry:
        for first in range(0, len(runs), TOGETHER):
            place.purge(runs[first : first + TOGETHER])
    counts = {name: len(gone) for name, gone in found.items()}
    return Purged(tuple(runs), counts, dry)


def _called(store: Store, found: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """The runs that these have called, on all levels, and their flows."""
    above = [run for gone in found.values() for run in gone]
    while above:
        rows = called_rows(store, above.pop())
        rows = [row for row in rows if is_over(row.status)]
        above += [row.id for row in rows]
        yield from [(row.flow, row.id) for row in rows]


def _rules(
    store: Store, flow: Any, retention: Retention | None
) -> Iterator[tuple[str, Retention]]:
    own = {flow_name(cls): kind.retention for cls, kind in known.items()}
    if flow is not None:
        names = [query_of(flow=flow).flow or ""]
    elif retention is not None:
        rows = paged(store, query_of()._replace(limit=-1))
        names = list(dict.fromkeys(row.flow for row in rows))
    else:
        names = list(own)
    for name in names:
        rule = retention or own.get(name)
        if rule is not None:
            yield name, rule


def _outlived(store: Store, name: str, rule: Retention) -> Iterator[str]:
    oldest = None if rule.age is None else now() - seconds(rule.age, "Retention")
    kept = 0
    for row in paged(store, query_of(flow=name)._replace(limit=-1)):
        if not is_over(row.status) or (rule.failures and row.status == "failed"):
            continue
        if is_called(row) and store.run(row.parent or "") is not None:
            continue  # it goes with its caller
        beyond = rule.keep is not None and kept >= rule.keep
        if beyond or (oldest is not None and row.updated < oldest):
            yield row.id
        else:
            kept += 1
