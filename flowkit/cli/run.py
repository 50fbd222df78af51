"""``flowkit run``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from flowkit.cli import options
from flowkit.cli.json_input import inputs_of
from flowkit.cli.moving import Ended, moved
from flowkit.cli.project import store_url
from flowkit.cli.target import load
from flowkit.runtime.durable import flow_name
from flowkit.runtime.kinds import known
from flowkit.runtime.opening import made
from flowkit.runtime.text_inputs import try_inputs

__all__ = ["run"]


def run(
    target: str,
    /,
    *,
    input: options.Inputs = None,
    data: options.Data = None,
    id: str | None = None,
    tag: options.Tags = None,
    store: options.Store = None,
    json: options.Json = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Run a flow and print its result.

    The run is kept, so that it can be shown, resumed and forked: in --store, in the
    store of its class, in FLOWKIT_STORE, or in .flowkit/journal.db of the project.
    With --store memory: it is gone afterwards. Progress goes to stderr.

    Args:
        target: A flow: module:Class, a file, or a name under [tool.flowkit.flows].
        id: Id of the run: the same id and inputs mean the same run, which goes on.
        quiet: Show no progress.
    """
    cls = load(target)
    inputs = inputs_of(cls, input, data)
    url = store or known[cls].store or store_url(None)
    flow = made(cls, url)
    try_inputs(flow, inputs)  # before a store is made for them

    def kickoff() -> Any:
        return flow.kickoff(inputs, id=id, tags=tag or (), created_by="flowkit run")

    def ended() -> Ended:
        handle = flow.run
        error = "" if handle.failure is None else str(handle.failure)
        result = handle.result if handle.status == "completed" else None
        return Ended(handle.id, flow_name(cls), handle.status, result, error)

    return moved(kickoff, ended, store=url, as_json=json, quiet=quiet)
