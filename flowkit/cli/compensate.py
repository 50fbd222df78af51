"""``flowkit compensate``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE, code_of
from flowkit.cli.hints import run_fields
from flowkit.cli.progress import progress
from flowkit.cli.project import existing, on_path

__all__ = ["compensate"]


def compensate(
    run: options.RunId,
    /,
    *,
    reason: str = "compensated from outside",
    store: options.Store = None,
    json: options.Json = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Undo what a run has done, and end it.

    Of a run that waits, that its process left behind, or that failed. The undo steps
    run here, newest first; what could not be undone leaves the run failed, and
    `flowkit dead` lists it.

    Args:
        reason: Why, for those who read its story.
        quiet: Show no progress.
    """
    on_path()
    place = existing(store)
    with progress(quiet=quiet):
        found = runs.compensate(run, reason, store=place)
    if json:
        output.print_json(run_fields(found))
    else:
        output.table((), [(found.id, found.status, found.error)])
    return DONE if found.status == "compensated" else code_of(found.status)
