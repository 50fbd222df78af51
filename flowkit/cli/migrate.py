"""``flowkit migrate``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from flowkit.cli import options, output
from flowkit.cli.exits import DONE
from flowkit.cli.project import store_url
from flowkit.journal.examine import examine
from flowkit.journal.urls import open_store

__all__ = ["migrate"]


def migrate(
    *,
    dry: Annotated[bool, Parameter(name="--dry")] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Bring the store's schema up to date.

    A store is brought up to date by its first use, too; this does it at a time of
    your choice. A store that is not there yet is made.

    Args:
        dry: Only say what would be done.
    """
    url = store_url(store)
    before = examine(url)
    pending = before.pending
    if pending and not dry:
        open_store(url).close()
    if json:
        output.print_json({"before": before, "after": examine(url), "dry": dry})
        return DONE
    if not pending:
        output.say(f"{before.url} is up to date: schema {before.schema}")
        return DONE
    word = "would be applied" if dry else "applied"
    output.say(
        f"{before.url}: schema {before.schema}, {pending} "
        f"migration{'s' if pending > 1 else ''} {word}, now "
        f"{before.schema if dry else before.newest} of {before.newest}"
    )
    return DONE
