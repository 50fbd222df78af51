"""``flowkit resume``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE, USAGE, Refused, code_of
from flowkit.cli.moving import Ended, moved
from flowkit.cli.progress import progress
from flowkit.cli.project import existing, on_path
from flowkit.cli.target import load
from flowkit.runtime import resumption

__all__ = ["resume", "resumed"]


def resume(
    run: options.RunId | None = None,
    /,
    *,
    all: Annotated[str | None, Parameter(name="--all")] = None,
    store: options.Store = None,
    json: options.Json = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Go on with a run, or with all that can.

    Finished steps do not run again. A run that failed starts the failed step once
    more; one that waits goes on if what it waits for is there.

    Args:
        all: Instead of one run, all of this flow that can go on.
        quiet: Show no progress.
    """
    if (run is None) == (all is None):
        raise Refused(USAGE, "Say which run goes on, or --all and a flow, not both.")
    if run is not None:
        return resumed(run, existing(store), as_json=json, quiet=quiet)
    cls: Any = load(all or "")
    with progress(quiet=quiet):
        found = cls.resume_all(store and existing(store))
    for each in found:
        output.table((), [(each.id, each.status)])
    if not found:
        output.say(f"no run of {cls.__name__} can go on")
    return max((code_of(each.status) for each in found), default=DONE)


def resumed(run: str, store: Any, *, as_json: bool = False, quiet: bool = False) -> int:
    """Go on with one run and print what came of it; gives the exit code."""
    on_path()
    row = runs.get(run, store)

    def ended() -> Ended:
        found = runs.get(row.id, store)
        result = found.result if found.status == "completed" else None
        return Ended(found.id, found.flow, found.status, result, found.error)

    return moved(
        lambda: resumption.resume(row.id, store),
        ended,
        store=store,
        as_json=as_json,
        quiet=quiet,
    )
