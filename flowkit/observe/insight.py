"""Insights: what the stored runs of flows tell, for people and programs."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from flowkit.define.targets import RUN, targets_of
from flowkit.observe.figures import (
    Breaches,
    FlowInsights,
    Insights,
    Spread,
    StepInsights,
)
from flowkit.observe.findings import findings
from flowkit.observe.gathering import Gathered, failures_of, spread
from flowkit.observe.reads import taken_by
from flowkit.runtime.clock import now
from flowkit.runtime.durable import flow_name
from flowkit.runtime.kinds import known
from flowkit.runtime.lookup import paged, query_of, store_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from flowkit.journal.base import Store
    from flowkit.journal.queries import Figures, Query

__all__ = ["insights"]

SUCCEEDED = frozenset({"completed"})
FAILED = frozenset({"failed", "expired", "compensated"})
OVER = ("completed", "failed", "cancelled", "compensated", "expired")
OPEN = ("running", "waiting")
AT_REST = (*OVER, "waiting")
"""Runs whose steps are looked at: those that wait have taken what they took so far."""
MOST_ERRORS = 10_000


def insights(
    flow: type | str | None = None,
    *,
    since: datetime | float | None = None,
    until: datetime | float | None = None,
    most: int = 500,
    sla: Any = None,
    store: Any = None,
) -> Insights:
    """What stored runs tell: what they took, what failed, what would help.

    Counts, durations and failures of runs are those of all of them, reckoned by the
    store. What is told of steps comes from the newest ``most`` runs of each flow that
    are over or wait (of these, what has ended), read one after another: memory does not
    grow with their number, but for a few figures of each execution. The flow's class
    need not be there; if it is, its service levels are known, and more of what its
    steps take.

    Args:
        flow: a class, its name, or its stored name ``package.module:Class``; all
            flows that have runs if None.
        since: runs created then or later.
        until: runs created before.
        most: runs of each flow whose steps are looked at; -1 for all, 0 for none.
        sla: service levels in place of the class's own, in the form of its keyword.
        store: the flow's own or the default one if None.

    Raises:
        InputError: a flow that does not exist, or a time that is none.
        ValueError: ``sla`` is none.
        StoreError: records that cannot be read.
    """
    place = store_of(store, flow)
    query = query_of(flow=flow, since=since, until=until)._replace(limit=-1)
    given = None if sla is None else targets_of(sla, "insights")
    rows = place.figures(query)
    told = [
        _flow(place, query._replace(flow=name), list(found), most, given)
        for name, found in groupby(rows, key=lambda each: each.flow)
    ]
    return Insights(place.url, now(), tuple(told))


def _flow(
    store: Store,
    query: Query,
    rows: list[Figures],
    most: int,
    given: Mapping[str, float] | None,
) -> FlowInsights:
    name = rows[0].flow
    cls = next((each for each in known if flow_name(each) == name), None)
    targets = given if given is not None else dict(known[cls].sla) if cls else {}
    runs = {row.status: row.runs for row in rows}
    good = sum(runs.get(status, 0) for status in SUCCEEDED)
    bad = sum(runs.get(status, 0) for status in FAILED)
    done = next((row for row in rows if row.status == "completed"), None)
    failing = store.failing(query._replace(limit=MOST_ERRORS))
    taken = taken_by(cls)
    gathered = Gathered(store, taken, targets)
    for row in paged(store, query._replace(status=AT_REST, limit=most)):
        gathered.take(row)
    return FlowInsights(
        name,
        runs,
        good / (good + bad) if good + bad else None,
        None if done is None else _spread(done),
        failures_of((each.error, each.latest, each.runs) for each in failing),
        _kept(store, query, targets.get(RUN)),
        gathered.runs,
        _steps(gathered, targets),
        findings(gathered, taken),
    )


def _spread(row: Figures) -> Spread:
    return Spread(row.runs, row.mean, row.deviation, row.median, row.p95, row.longest)


def _kept(store: Store, query: Query, target: float | None) -> Breaches | None:
    """How the service level of runs was kept, by those that are over and the others."""
    if target is None:
        return None
    ended = store.figures(query._replace(status=OVER), target)
    late = now() - target
    until = late if query.until is None else min(late, query.until)
    still = store.figures(query._replace(status=OPEN, until=until))
    broken = sum(row.over for row in ended)
    runs: list[str] = []
    if broken:
        for row in paged(store, query._replace(status=OVER, limit=1000)):
            if row.updated - row.created > target:
                runs.append(row.id)
            if len(runs) == min(5, broken):
                break
    checked, open_ = sum(row.runs for row in ended), sum(row.runs for row in still)
    return Breaches(target, checked, broken, open_, tuple(runs))


def _steps(
    gathered: Gathered, targets: Mapping[str, float]
) -> tuple[StepInsights, ...]:
    found = []
    for name, each in gathered.steps.items():
        count, failed = each.outcomes.total(), each.outcomes["failed"]
        counted = count - each.outcomes["cancelled"]
        on_path = sum(each.path)
        target = targets.get(name)
        sla = None
        if target is not None:
            broken = tuple(each.breakers)
            sla = Breaches(target, count, each.broken, runs=broken)
        metrics = {key: spread(values) for key, values in each.metrics.items()}
        found.append(
            StepInsights(
                name,
                count,
                failed,
                each.outcomes["cancelled"],
                each.outcomes["done"] / counted if counted else None,
                each.again,
                spread(each.lasted),
                spread(each.worked),
                on_path / gathered.runs,
                on_path / gathered.total if gathered.total else 0.0,
                each.failures.told(),
                {key: value for key, value in metrics.items() if value is not None},
                {key: sum(values) for key, values in each.metrics.items()},
                sla,
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.on_path, each.step)))
