"""``flowkit dead``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowkit import runs as stored
from flowkit.cli import options, output
from flowkit.cli.exits import DONE
from flowkit.cli.hints import again
from flowkit.cli.project import existing
from flowkit.cli.target import load
from flowkit.runtime.lookup import store_of

if TYPE_CHECKING:
    from flowkit.runs import DeadStep

__all__ = ["dead"]


def dead(
    target: str | None = None,
    /,
    *,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], show_default=True)] = 100,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """List steps that failed for good, and what to do.

    On a terminal a table; elsewhere a line a step with tabs: run, flow and step, what
    became of it, attempts, when, the error, and the cure.

    Args:
        target: Only those of this flow, looked for in its own store.
        limit: Most failed runs to look at, the newest; -1 for all.
    """
    flow = None if target is None else load(target)
    place: Any = existing(store) if store is not None or flow is None else None
    place = store_of(place, flow)
    found = stored.dead(flow, limit=limit, store=place)
    if json:
        output.print_json([asdict(each) for each in found])
        return DONE
    heads = ("run", "step", "became", "attempts", "when", "error", "cure")
    output.table(heads, map(_row, found))
    if found:
        command = again(f"requeue {found[0].run}", place)
        output.say(f"begin one again with: {command}")
    else:
        output.say("no step has failed for good")
    return DONE


def _row(each: DeadStep) -> tuple[str, ...]:
    name = output.short_name(each.flow)
    return (
        each.run,
        f"{name}.{each.step}" if each.step else name,
        each.kind,
        str(each.attempts),
        output.when(each.at),
        each.error,
        each.cure,
    )
