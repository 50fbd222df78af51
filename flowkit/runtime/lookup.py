"""Stored runs by id and by what is known of them."""

from __future__ import annotations

from datetime import datetime
from os import environ
from typing import TYPE_CHECKING, Any

from flowkit.errors import InputError, NotFoundError
from flowkit.journal.queries import Query
from flowkit.runtime.durable import flow_name
from flowkit.runtime.kinds import known
from flowkit.runtime.opening import store_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Entry, RunRow

__all__ = ["check_seq", "paged", "query_of", "row_of", "store_of"]

PAGE = 200
STATUSES = (
    "running",
    "waiting",
    "completed",
    "failed",
    "cancelled",
    "compensated",
    "expired",
)


def store_of(store: Any, flow: Any = None) -> Store:
    """A store as given, else the flow's own, ``FLOWKIT_STORE``, or the default one."""
    flow = getattr(flow, "__flowkit_class__", flow)  # of a function flow
    if store is None and isinstance(flow, type) and flow in known:
        store = known[flow].store or environ.get("FLOWKIT_STORE")
    return store_for(store)


def row_of(store: Store, id: str) -> RunRow:
    """The run of an id, or of the only id that begins so.

    Raises:
        NotFoundError: no run.
        InputError: several.
    """
    row = store.run(id)
    if row is not None:
        return row
    found = store.ids(id, limit=4) if id else []
    if len(found) == 1:
        row = store.run(found[0])
        if row is not None:
            return row
    if found:
        listed = ", ".join(found[:3]) + (", .." if len(found) > 3 else "")  # noqa: PLR2004 - three are enough to see it
        msg = f"{id!r} begins several run ids: {listed}. Give more of it."
        raise InputError(msg)
    msg = (
        f"There is no run {id!r} in {store.url}. Look at the ids with `runs.list()` "
        f"or `flowkit runs`, or check which store is meant."
    )
    raise NotFoundError(msg)


def check_seq(row: RunRow, entries: Sequence[Entry], seq: int) -> None:
    """See that a run has a record of that number.

    Raises:
        InputError: it has none.
    """
    if not 1 <= seq <= len(entries):
        msg = (
            f"Run {row.id!r} has records 1 to {len(entries)}, and no {seq}. "
            f"runs.replay({row.id!r}) tells what each of them is."
        )
        raise InputError(msg)


def query_of(
    *,
    flow: Any = None,
    status: Any = (),
    since: Any = None,
    until: Any = None,
    **given: Any,
) -> Query:
    """What users ask for as a store takes it.

    Raises:
        InputError: a status that runs do not have, or a time that is none.
    """
    statuses = (status,) if isinstance(status, str) else tuple(status or ())
    for each in statuses:
        if each not in STATUSES:
            msg = f"Runs have no status {each!r}. It is one of {', '.join(STATUSES)}."
            raise InputError(msg)
    flow = getattr(flow, "__flowkit_class__", flow)  # of a function flow
    name = flow_name(flow) if isinstance(flow, type) else flow
    if name is not None and ":" not in name:
        name = _full_name(name)
    return Query(
        flow=name,
        status=statuses,
        since=_instant(since, "since"),
        until=_instant(until, "until"),
        **given,
    )


def _full_name(name: str) -> str:
    """The stored name of a class that is known here by its own name."""
    found = [flow_name(cls) for cls in known if cls.__qualname__ == name]
    if len(found) == 1:
        return found[0]
    why = "several flow classes" if found else "no flow class"
    msg = (
        f"There is {why} {name!r} in this program. Give the class, or its stored "
        f"name, package.module:Class."
    )
    raise InputError(msg)


def _instant(value: Any, name: str) -> float | None:
    if isinstance(value, datetime):
        return value.timestamp()
    if value is None or (isinstance(value, int | float) and type(value) is not bool):
        return None if value is None else float(value)
    msg = f"{name}= takes a datetime or seconds since the epoch, not {value!r:.40}."
    raise InputError(msg)


def paged(store: Store, query: Query) -> Iterator[RunRow]:
    """All runs a query finds, newest first, a page at a time; ``limit`` is obeyed."""
    left, before = query.limit, query.before
    while left != 0:
        most = PAGE if left < 0 else min(PAGE, left)
        rows = store.runs(query._replace(limit=most, before=before))
        yield from rows
        if len(rows) < most:
            return
        left -= len(rows) if left > 0 else 0
        before = rows[-1].id
