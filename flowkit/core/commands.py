"""What to do next: orders from the core, imperative and never stored.

A :class:`~flowkit.core.marking.Firing` among the commands means: start it.
"""

from typing import Any, Literal, NamedTuple

from flowkit.core.marking import Firing

__all__ = [
    "Answer",
    "Arm",
    "Cancel",
    "Command",
    "End",
    "Fault",
    "Firing",
    "Judge",
    "Report",
    "Status",
    "Wait",
]

Status = Literal["completed", "failed", "cancelled", "compensated", "expired"]


class Cancel(NamedTuple):
    """Cancel and join these firings; nothing of them counts any more."""

    firings: tuple[Firing, ...]


class Fault(NamedTuple):
    """The run fails for a reason of its own, not of a step."""

    error: BaseException


class Report(NamedTuple):
    """Tell observers; the run goes on.

    ``kind`` is ``unheard`` (a label nobody takes), ``stuck`` (a join that cannot
    fire), ``missed`` (a firing that came outside its time), ``not undone`` (an undo
    step that failed) or ``undone`` (one that has ended well after all).
    """

    kind: Literal["unheard", "stuck", "missed", "not undone", "undone"]
    step: str
    text: str


class Answer(NamedTuple):
    """Hand a waiting step its answer; it goes on where it asked."""

    firing: Firing
    position: int
    value: Any


class Judge(NamedTuple):
    """Ask a gather's predicate whether these results are enough.

    If so, give a :class:`~flowkit.core.records.GroupJudged`.
    """

    group: int
    gather: int
    results: list[Any]
    total: int


class Arm(NamedTuple):
    """Give a :class:`~flowkit.core.records.TimerFired` at ``due``."""

    timer: int
    due: float


class Wait(NamedTuple):
    """Nothing to do until something outside happens."""


class End(NamedTuple):
    """The run is over."""

    status: Status


Command = Firing | Cancel | Fault | Report | Wait | End | Answer | Arm | Judge
