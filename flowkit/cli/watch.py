"""``flowkit watch``."""

from __future__ import annotations

import sys

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import code_of
from flowkit.cli.project import existing, on_path

__all__ = ["watch"]


def watch(
    run: options.RunId,
    /,
    *,
    every: float = 0.5,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Follow a run until it is over.

    A line for each record, those that are there and those to come, whichever process
    moves the run. The exit code says how it ended. With --json a JSON object a line.

    Args:
        every: Seconds between two looks into the store.
    """
    on_path()
    place = existing(store)
    found = runs.get(run, place)
    for each in runs.follow(found.id, every=every, store=place):
        if json:
            output.print_json(each, lines=True)
            continue
        kind = output.paint(each.kind, output.STYLES.get(each.kind), sys.stdout)
        changed = " ".join(name for name in each.changed if name != "id")
        more = f"  changed {changed}" if changed and each.seq > 1 else ""
        at = output.when(each.at)
        output.data(f"{each.seq:>4}  {at}  {kind:<6} {each.step or ''}{more}")
    found = runs.get(found.id, place)
    word = output.paint(found.status, output.STYLES.get(found.status), sys.stderr)
    output.say(f"run {found.id} {word}")
    return code_of(found.status)
