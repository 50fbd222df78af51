"""``flowkit runs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowkit import runs as stored
from flowkit.cli import options, output
from flowkit.cli.exits import DONE, NOT_FOUND, Refused
from flowkit.cli.hints import NAMELESS, run_fields
from flowkit.cli.project import existing
from flowkit.cli.target import load

if TYPE_CHECKING:
    from flowkit.runs import RunInfo

__all__ = ["runs"]


def runs(
    target: str | None = None,
    /,
    *,
    status: list[str] | None = None,
    key: str | None = None,
    tag: str | None = None,
    search: str = "",
    last: str | None = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], show_default=True)] = 20,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """List stored runs, newest first.

    On a terminal a table; elsewhere a line a run with tabs: id, flow, status, begun,
    and what came of it.

    Args:
        target: Only those of this flow, looked for in its own store.
        status: Only those that are so: running waiting completed failed cancelled
            compensated expired; may be repeated.
        key: Only those with this correlation key.
        tag: Only those with this tag.
        search: Only those with this text in id, key, tags or error.
        last: Only those begun in this time: 90m, 24h, 7d.
        limit: Most of them; -1 for all.
    """
    flow = None if target is None else load(target)
    place: Any = None
    if store is not None or flow is None:
        try:
            place = existing(store)
        except Refused as nothing:
            if nothing.code != NOT_FOUND or store is not None:
                raise
            output.say(str(nothing))
            if json:
                output.print_json([])
            return DONE
    found = stored.search(
        search,
        flow=flow,
        status=status or (),
        key=key,
        tag=tag,
        since=_since(last),
        limit=limit,
        store=place,
    )
    if json:
        output.print_json([run_fields(run) for run in found])
        return DONE
    if not found:
        output.say("no runs")
    output.table(("run", "flow", "status", "begun", "came of it"), map(_row, found))
    if len(found) == limit:
        output.say(f"the newest {limit}; --limit -1 lists all")
    return DONE


def _since(last: str | None) -> float | None:
    if last is None:
        return None
    from flowkit.core.durations import seconds
    from flowkit.runtime.clock import now

    return now() - seconds(last, "--last")


def _row(run: RunInfo) -> tuple[str, ...]:
    return (
        run.id,
        output.short_name(run.flow),
        run.status,
        output.when(run.created),
        outcome(run),
    )


def outcome(run: RunInfo) -> str:
    """What came of a run, or what it waits for, in a few words."""
    if run.error:
        return run.error
    if run.waits:
        events = [wait.name for wait in run.waits if wait.kind == "event"]
        named = [name for name in events if not name.startswith(NAMELESS)]
        asked = any(wait.kind == "person" for wait in run.waits)
        told = [*dict.fromkeys(named), *(["a person"] if asked else [])]
        return f"waits for {', '.join(told)}" if told else "waits"
    return "" if run.result is None else output.said(run.result, most=200)
