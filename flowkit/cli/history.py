"""``flowkit history``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE
from flowkit.cli.project import existing, on_path
from flowkit.cli.show import came_of, step_of

if TYPE_CHECKING:
    from flowkit.runs import Execution

__all__ = ["history"]


def history(
    run: options.RunId,
    /,
    *,
    records: Annotated[bool, Parameter(name="--records")] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """List every execution of a step in a run.

    With number of the record, step, attempt, outcome, when it began, how long it
    took, the state's fields it changed, and what came of it.

    Args:
        records: Print the run's records instead, as JSON Lines.
    """
    on_path()
    place = existing(store)
    if records:
        runs.export(run, sys.stdout, store=place)
        return DONE
    told = runs.history(run, place)
    if json:
        output.print_json([step_of(each) for each in told])
        return DONE
    columns = ("seq", "step", "try", "", "began", "took", "changed", "what came of it")
    rows = [
        (
            each.seq or "-",
            each.step,
            each.attempt,
            "undone" if each.undone else each.outcome,
            output.when(each.started),
            output.lasted(each.duration),
            " ".join(each.changed),
            "; ".join(filter(None, [came_of(each), _processes(each)])),
        )
        for each in told
    ]
    output.table(columns, rows)
    return DONE


def _processes(each: Execution) -> str:
    """Those of an isolated step, one for each attempt."""
    many = "processes" if len(each.pids) > 1 else "process"
    return f"{many} {', '.join(map(str, each.pids))}" if each.pids else ""
