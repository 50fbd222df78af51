"""Formats of recorded events: how they are told apart and put into messages.

A format is an adapter: a function from a parsed line to a :class:`Message`. It is
chosen by the keys of the file's first line that can be parsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from examples.customer_events import github
from examples.customer_events.alert import Alert
from examples.customer_events.message import Message
from examples.customer_events.purchase import Purchase
from examples.customer_events.reading import LineError
from examples.customer_events.signup import Signup
from examples.customer_events.support import Support
from examples.customer_events.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit import Flow

COMPANY: tuple[type[Flow[Any]], ...] = (Signup, Purchase, Support, Alert)


class Source(NamedTuple):
    """A format, and the flows that take its events.

    Attributes:
        name: shown in the summary.
        keys: what a line of this format has at least.
        message: from a parsed line and where it stands; raises LineError.
        flows: registered on the bus.
        closing: the end of the recording ends the runs.
    """

    name: str
    keys: frozenset[str]
    message: Callable[[dict[str, Any], str, int], Message]
    flows: tuple[type[Flow[Any]], ...]
    closing: bool = False


def detect(record: dict[str, Any]) -> Source | None:
    """The format of a line, None if it is none of ours."""
    return next((each for each in SOURCES if each.keys <= record.keys()), None)


def known_keys() -> str:
    """The keys of all formats, for an error message."""
    return "; ".join(f"{each.name}: {', '.join(sorted(each.keys))}" for each in SOURCES)


def _text(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if not isinstance(value, str) or not value:
        raise LineError(f"no {field!r}")
    return value


def _customer_event(record: dict[str, Any], file: str, line: int) -> Message:
    key = record.get("key")
    if key is not None and not isinstance(key, str | int):
        raise LineError("'key' is neither text nor a number")
    name, id_ = _text(record, "type"), _text(record, "id")
    return Message(name, record.get("data"), None if key is None else str(key), id_)


def _delivery(record: dict[str, Any], file: str, line: int) -> Message:
    name = _text(record, "event")
    payload = record.get("payload")
    if not isinstance(payload, dict):
        raise LineError("no 'payload'")
    try:
        named = github.message(name, str(record.get("action")), payload)
    except (KeyError, TypeError, AttributeError) as error:
        raise LineError(f"a {name} delivery without the usual fields") from error
    return named._replace(id=f"{file}:{line}")


def _activity(record: dict[str, Any], file: str, line: int) -> Message:
    case = _text(record, "case")
    payload = {**record, "line": line}
    return Message("ticket_activity", payload, case, f"{file}:{line}")


SOURCES = (
    Source(
        "customer events", frozenset({"id", "type", "data"}), _customer_event, COMPANY
    ),
    Source(
        "webhook deliveries",
        frozenset({"event", "action", "payload"}),
        _delivery,
        COMPANY,
    ),
    Source(
        "help-desk log",
        frozenset({"case", "activity", "time"}),
        _activity,
        (Ticket,),
        closing=True,
    ),
)
