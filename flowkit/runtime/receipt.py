"""What became of an event that was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from flowkit.errors import ShedError
from flowkit.runtime import trail

if TYPE_CHECKING:
    from flowkit.errors import AdmissionError
    from flowkit.runtime.run import Run

__all__ = ["LOST", "Receipt", "Rejection", "status_of"]

LOST = "It is transient, and no run could take it at once."

Fate = Literal["accepted", "duplicate", "unknown", "invalid", "dropped", "full", "shed"]


def status_of(error: AdmissionError) -> Fate:
    """The status of an event that an admission has refused with this error."""
    return "shed" if isinstance(error, ShedError) else "full"


class Rejection(NamedTuple):
    """An event that was refused, and why."""

    name: str
    id: str | None
    status: Fate
    reason: str


class Receipt:
    """Who took an event. True if somebody did, or it was taken before.

    Attributes:
        status: ``accepted``, ``duplicate``, ``unknown``, ``invalid``; ``dropped`` for
            a transient event that nobody could take at once; ``full`` or ``shed`` for
            one that a flow's ``admission=`` takes no run on for: nobody has it, and it
            may be sent again.
        runs: the runs that took it or were begun by it, as far as they are here.
        run_ids: the ids of these runs, with a store.
        handlers: names of the handlers it goes to.
        kept: it waits for a run that is not there yet.
        reason: one sentence, if it was refused.
        refusals: subscribers that refused it while others took it.
        refusers: with a store, the name of each of these in a dead letter.
        only: the one subscriber it is sent to; "" for all.
        traceparent: of the span it was sent in, "" if nothing is traced.
    """

    __slots__ = (
        "handlers",
        "id",
        "kept",
        "key",
        "name",
        "only",
        "reason",
        "refusals",
        "refusers",
        "run_ids",
        "runs",
        "status",
        "traceparent",
    )

    def __init__(self, name: str, key: str | None, id: str | None) -> None:
        self.name: str = name
        self.key: str | None = key
        self.id: str | None = id
        self.status: Fate = "accepted"
        self.reason: str = ""
        self.runs: list[Run] = []
        self.run_ids: list[str] = []
        self.handlers: list[str] = []
        self.refusals: list[str] = []
        self.refusers: list[str] = []
        self.only: str = ""
        self.kept: bool = False
        self.traceparent: str = trail.here()

    @property
    def taken(self) -> bool:
        """Whether a run or a handler has it, or it is kept."""
        return bool(self.runs or self.run_ids or self.handlers or self.kept)

    def refused(self, subscriber: str, reason: str) -> None:
        """Note a subscriber that refused it, which stops no other."""
        self.refusals.append(reason)
        self.refusers.append(subscriber)

    def refuse(self, status: Fate, reason: str) -> Receipt:
        """The same receipt, refused."""
        self.status = status
        self.reason = reason
        return self

    def __bool__(self) -> bool:
        return self.status == "duplicate" or (self.status == "accepted" and self.taken)

    def __repr__(self) -> str:
        said = f": {self.reason}" if self.reason else ""
        return f"<Receipt of {self.name!r}: {self.status}{said}>"
