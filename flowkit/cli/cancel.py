"""``flowkit cancel``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE
from flowkit.cli.hints import run_fields
from flowkit.cli.project import existing, on_path

__all__ = ["cancel"]


def cancel(
    run: options.RunId,
    /,
    *,
    reason: str = "cancelled from outside",
    force: Annotated[bool, Parameter(name=["--force", "-f"])] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """End a run as cancelled.

    Args:
        reason: Why, for those who read its story.
        force: Take it from a living process, too. That one's next write is refused;
            what it does until then does not count.
    """
    on_path()
    found = runs.cancel(run, reason, force=force, store=existing(store))
    if json:
        output.print_json(run_fields(found))
    else:
        output.table((), [(found.id, found.status)])
    return DONE
