"""``flowkit replay``."""

from __future__ import annotations

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE
from flowkit.cli.project import existing, on_path

__all__ = ["replay"]


def replay(
    run: options.RunId,
    /,
    *,
    seq: int | None = None,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Replay a run's records: the state after each.

    Nothing is run: the records are read again in order. With --json the whole state
    after each record, else what changed in it.

    Args:
        seq: Number of the last record to replay.
    """
    on_path()
    told = runs.replay(run, seq, store=existing(store))
    if json:
        output.print_json(told)
        return DONE
    columns = ("seq", "at", "record", "step", "status", "changed in the state")
    rows = []
    for each in told:
        changed = {name: each.state.get(name) for name in each.changed if name != "id"}
        text = ", ".join(f"{k}={output.said(v, most=60)}" for k, v in changed.items())
        at = output.when(each.at)
        rows.append((each.seq, at, each.kind, each.step or "", each.status, text))
    output.table(columns, rows)
    return DONE
