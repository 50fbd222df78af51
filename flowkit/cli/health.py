"""``flowkit health``."""

from __future__ import annotations

from typing import Any

from flowkit import observe
from flowkit.cli import options, output
from flowkit.cli.exits import DONE, FAILED
from flowkit.cli.project import existing
from flowkit.cli.target import load
from flowkit.errors import StoreError

__all__ = ["health"]


def health(
    target: str | None = None,
    /,
    *,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Say what in the store needs somebody.

    Nothing is changed. The exit code is 1 if something needs somebody.

    Args:
        target: Only runs of this flow, looked for in its own store.
    """
    flow = None if target is None else load(target)
    place: Any = store
    if store is not None or flow is None:
        try:
            place = existing(store)
        except StoreError:
            place = store  # that it cannot be opened is told by what follows
    found = observe.health(flow, store=place)
    if json:
        output.print_json(found.to_dict())
    else:
        output.data(str(found))
    return DONE if found else FAILED
