"""``flowkit fork``."""

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

__all__ = ["fork"]


def fork(
    run: options.RunId,
    /,
    *,
    from_step: Annotated[str | None, Parameter(name="--from")] = None,
    seq: int | None = None,
    state: options.State = None,
    id: str | None = None,
    tag: options.Tags = None,
    resume: Annotated[bool, Parameter(name="--resume")] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Make a new run that stands where another one stood.

    Prints the id of the new run; the other one is left as it is.

    Args:
        from_step: The step that starts anew.
        seq: Instead, number of the last record to copy.
        id: Id of the new run.
        resume: Go on with it at once; prints its result instead of its id.
    """
    on_path()
    place = existing(store)
    made = runs.fork(
        run,
        from_step,
        seq=seq,
        state=state_of(runs.get(run, place).flow, state),
        id=id,
        tags=tag or (),
        created_by="flowkit fork",
        store=place,
    )
    if resume:
        return resumed(made, place, as_json=json)
    if json:
        output.print_json(run_fields(runs.get(made, place)))
    else:
        output.data(made)
        output.say(f"go on with it: {again(f'resume {made}', place)}")
    return DONE
