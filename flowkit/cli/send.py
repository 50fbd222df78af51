"""``flowkit send``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE, FAILED, NOT_FOUND, USAGE, Refused
from flowkit.cli.json_input import read_json
from flowkit.cli.progress import progress
from flowkit.cli.project import on_path, project, store_url
from flowkit.cli.target import load
from flowkit.errors import FlowkitError, RunError
from flowkit.journal.urls import open_store
from flowkit.runtime.bus import EventBus
from flowkit.runtime.opening import class_of

if TYPE_CHECKING:
    from flowkit.runtime.receipt import Receipt

__all__ = ["send"]

_CODES = {
    "unknown": NOT_FOUND,
    "invalid": USAGE,
    "dropped": FAILED,
    "full": FAILED,
    "shed": FAILED,
}


def send(
    event: str,
    /,
    *,
    data: options.Data = None,
    key: str | None = None,
    id: str | None = None,
    flow: list[str] | None = None,
    store: options.Store = None,
    json: options.Json = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Send an event to the flows that take it.

    It goes to each flow of --flow, or of the project, and to those with a run in the
    store that waits for it. Runs that it begins or wakes go on here until they end
    or wait again; what else can go on of these flows does, too. Prints their ids.

    Args:
        event: Name of the event.
        key: Which run is meant: the correlation key.
        id: Id of the event: the same one counts once.
        flow: A flow that takes it; may be repeated.
        quiet: Show no progress.
    """
    payload = read_json(data)
    on_path()
    place = open_store(store_url(store))
    classes = [load(each) for each in flow] if flow else _projects()
    for name in place.subscribers(event):
        try:
            classes.append(class_of(name))
        except RunError as error:
            output.say(f"{output.short_name(name)} is left out: {error}")
    bus = EventBus(store=place)
    with progress(quiet=quiet):
        bus.register(*dict.fromkeys(classes))
        try:
            receipt = bus.send(event, payload, key=key, id=id)
            bus.drain()
        finally:
            bus.close()
    if not receipt and not classes:
        raise Refused(NOT_FOUND, _nobody(event))
    return _told(receipt, place, as_json=json)


def _projects() -> list[type]:
    """The project's flows, without those that cannot be imported."""
    found = []
    for name in project().flows:
        try:
            found.append(load(name))
        except (Refused, FlowkitError) as error:
            output.say(f"{name} is left out: {error}")
    return found


def _nobody(event: str) -> str:
    where = f"{project().root}/pyproject.toml"
    return (
        f"No flow takes the event {event!r}: none is named under [tool.flowkit.flows] "
        f"in {where}, and no stored run waits for it. Name one: --flow module:Class."
    )


def _told(receipt: Receipt, store: Any, *, as_json: bool) -> int:
    taken = [runs.get(id, store) for id in receipt.run_ids]
    code = _CODES.get(receipt.status, DONE)
    if any(run.status == "failed" for run in taken):
        code = FAILED
    if as_json:
        output.print_json(
            {
                "event": receipt.name,
                "status": receipt.status,
                "reason": receipt.reason,
                "kept": receipt.kept,
                "runs": {run.id: run.status for run in taken},
            }
        )
        return code
    output.table((), [(run.id, run.status) for run in taken])
    if not receipt:
        raise Refused(code, receipt.reason)
    if receipt.status == "duplicate":
        output.say("this event was taken before; it counts once")
    elif receipt.kept:
        output.say("kept: no run waits for it yet")
    for reason in receipt.refusals:
        output.complain(reason)
    return code
