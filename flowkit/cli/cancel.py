"""``flowkit cancel``."""

from __future__ import annotations

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE, FAILED, Refused
from flowkit.cli.hints import run_fields
from flowkit.cli.project import existing, on_path

__all__ = ["cancel"]


def cancel(
    run: options.RunId,
    /,
    *,
    reason: str = "cancelled from outside",
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """End a run as cancelled.

    With every run that it has called, and whichever process moves it: that one's next
    write is refused, and what it does until then does not count.

    Args:
        reason: Why, for those who read its story.
    """
    on_path()
    place = existing(store)
    id = runs.get(run, place).id
    cancelled = runs.cancel(id, reason, store=place)
    found = runs.get(id, place)
    if not cancelled:
        text = f"Run {id!r} is over already ({found.status}); there is nothing to end."
        raise Refused(FAILED, text)
    if json:
        output.print_json(run_fields(found))
    else:
        output.table((), [(found.id, found.status)])
    return DONE
