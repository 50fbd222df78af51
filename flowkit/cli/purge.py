"""``flowkit purge``."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from flowkit import runs as stored
from flowkit.cli import options, output
from flowkit.cli.exits import CANCELLED, DONE, USAGE, Refused
from flowkit.cli.project import existing
from flowkit.cli.target import load, load_project
from flowkit.runtime.retention import Retention

__all__ = ["purge"]


def purge(
    target: str | None = None,
    /,
    *,
    keep: int | None = None,
    age: str | None = None,
    failures: Annotated[bool, Parameter(name="--failures")] = False,
    dry: Annotated[bool, Parameter(name="--dry")] = False,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"])] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Delete ended runs that are not to be kept.

    Runs that are not over are never touched. Without --keep and --age each flow's
    own retention holds.

    Args:
        target: Only runs of this flow.
        keep: Most ended runs of a flow to keep, the newest.
        age: Delete those that ended longer ago than this: 12h, 90d.
        failures: Delete failed runs as well.
        dry: Only list what would go.
        yes: Do not ask.
    """
    flow = None if target is None else load(target)
    if flow is None:
        load_project()
    rule = None
    if keep is not None or age is not None:
        try:
            rule = Retention(keep=keep, age=age, failures=not failures)
        except ValueError as error:
            raise Refused(USAGE, str(error)) from error
    place = existing(store) if store is not None or flow is None else None
    found = stored.purge(flow, rule, store=place, dry=True)
    if not dry and found.runs:
        if not yes and not _agreed(found.flows):
            output.say("nothing was deleted")
            return CANCELLED
        found = stored.purge(flow, rule, store=place)
    if json:
        output.print_json(found)
        return DONE
    output.table(("flow", "runs"), found.flows.items())
    word = "would be deleted" if dry else "deleted"
    count = len(found.runs)
    output.say(f"{count} run{'' if count == 1 else 's'} {word}")
    return DONE


def _agreed(flows: dict[str, int]) -> bool:
    if not sys.stdin.isatty():
        text = "This deletes runs for good. Say --yes, or look with --dry first."
        raise Refused(USAGE, text)
    told = ", ".join(f"{count} of {output.short_name(f)}" for f, count in flows.items())
    sys.stderr.write(f"Delete {told} for good? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
