"""Places for the runs that an event begins, all of them or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.errors import AdmissionError, FlowkitError
from flowkit.runtime.clock import now
from flowkit.runtime.correlation import carried_key
from flowkit.runtime.kinds import known
from flowkit.runtime.receipt import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowkit.journal.base import Store
    from flowkit.runtime.admission import Place
    from flowkit.runtime.receipt import Receipt

__all__ = ["place_for", "reserved"]


def reserved(
    receipt: Receipt,
    payload: Any,
    flows: Iterable[type],
    taker: Callable[[type, str, str | None], Any],
) -> dict[type, Place] | None:
    """A place for each run that an event will begin in memory, by its flow.

    None if one flow refuses: then no other begins a run, either, and the event may
    be sent again. The receipt says why.

    Args:
        receipt: of the event.
        payload: as validated.
        flows: which take it.
        taker: the open run of a flow that takes an event of that name and key.
    """
    name = receipt.name
    places: dict[type, Place] = {}
    for flow in flows:
        kind = known[flow]
        if kind.admission is None or not kind.compiled.net.event_starts(name):
            continue
        try:
            if taker(flow, name, receipt.key or carried_key(kind, name, payload)):
                continue
        except Exception:  # noqa: BLE001, S112 - reported when it is delivered
            continue
        try:
            places[flow] = place_for(flow, None)
        except AdmissionError as error:
            for taken, place in places.items():
                known[taken].admission.places.leave(place.store, place.key)
            kind.admission.tell_refused(flow, error)
            receipt.refuse(status_of(error), str(error))
            return None
        except FlowkitError:  # the same
            continue
    return places


def place_for(flow: type, store: Store | None) -> Place:
    """A place for the run that an event would begin.

    Raises:
        AdmissionError: the flow refuses.
    """
    kind = known[flow]
    until = None if kind.deadline is None else now() + kind.deadline
    place: Place = kind.admission.reserve(store, until)
    return place
