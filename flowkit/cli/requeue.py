"""``flowkit requeue``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from flowkit import runs as stored
from flowkit.cli import options, output
from flowkit.cli.exits import DONE, USAGE, Refused, code_of
from flowkit.cli.progress import progress
from flowkit.cli.project import existing, on_path
from flowkit.cli.target import load
from flowkit.runtime.lookup import store_of

__all__ = ["requeue"]


def requeue(
    run: options.RunId | None = None,
    /,
    *,
    all: Annotated[str | None, Parameter(name="--all")] = None,
    store: options.Store = None,
    json: options.Json = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Begin what failed in a run again.

    Or in all failed runs of a flow. Finished steps do not run again. `flowkit dead`
    lists what failed, newest first.

    Args:
        all: Instead of one run, all failed runs of this flow.
        quiet: Show no progress.
    """
    if (run is None) == (all is None):
        raise Refused(
            USAGE, "Say which run is requeued, or --all and a flow, not both."
        )
    place: Any = None
    if run is not None:
        on_path()
        place = existing(store)
        ids = [run]
    else:
        flow = load(all or "")
        place = store_of(store and existing(store), flow)
        found = stored.list(flow=flow, status="failed", limit=-1, store=place)
        ids = [each.id for each in found]
    with progress(quiet=quiet):
        done = [stored.requeue(each, store=place) for each in ids]
    if json:
        output.print_json([{"id": each.id, "status": each.status} for each in done])
    else:
        output.table((), [(each.id, each.status, each.error) for each in done])
    if not done:
        output.say("no run of it has failed")
    return max((code_of(each.status) for each in done), default=DONE)
