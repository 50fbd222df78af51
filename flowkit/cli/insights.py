"""``flowkit insights``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from flowkit import observe
from flowkit.cli import options, output
from flowkit.cli.exits import DONE
from flowkit.cli.project import existing
from flowkit.cli.target import load
from flowkit.core.durations import seconds
from flowkit.runtime.clock import now

__all__ = ["insights"]


def insights(
    target: str | None = None,
    /,
    *,
    last: str | None = None,
    most: Annotated[int, Parameter(name="--most", show_default=True)] = 500,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Tell what runs took, what failed, and what would help.

    Args:
        target: Only runs of this flow, looked for in its own store.
        last: Only those begun in this time: 90m, 24h, 7d.
        most: Runs of each flow whose steps are looked at, the newest; -1 for all.
    """
    flow = None if target is None else load(target)
    place: Any = existing(store) if store is not None or flow is None else None
    since = None if last is None else now() - seconds(last, "--last")
    found = observe.insights(flow, since=since, most=most, store=place)
    if json:
        output.print_json(found.to_dict())
    else:
        output.data(str(found))
    return DONE
