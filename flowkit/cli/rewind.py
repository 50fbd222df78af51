"""``flowkit rewind``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE
from flowkit.cli.hints import again, run_fields
from flowkit.cli.json_input import state_of
from flowkit.cli.project import existing, on_path
from flowkit.cli.resume import resumed

__all__ = ["rewind"]


def rewind(
    run: options.RunId,
    /,
    *,
    to_step: Annotated[str | None, Parameter(name="--to")] = None,
    seq: int | None = None,
    state: options.State = None,
    resume: Annotated[bool, Parameter(name="--resume")] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Take a run back to where it stood.

    Nothing is deleted: what came since stays in its records, marked as undone.

    Args:
        to_step: The step that starts anew.
        seq: Instead, number of the last record that counts.
        resume: Go on with it at once.
    """
    on_path()
    place = existing(store)
    found = runs.get(run, place)
    fields = state_of(found.flow, state)
    runs.rewind(found.id, to_step, seq=seq, state=fields, store=place)
    if resume:
        return resumed(found.id, place, as_json=json)
    if json:
        output.print_json(run_fields(runs.get(found.id, place)))
    else:
        output.data(found.id)
        output.say(f"go on with it: {again(f'resume {found.id}', place)}")
    return DONE
