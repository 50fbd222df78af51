"""How many runs of a flow may be at work, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flowkit.core.limits import Shared, checked_count, checked_name, checked_shared

__all__ = ["Admission", "admission_of"]


@dataclass(frozen=True, slots=True)
class Admission:
    """How many runs of a flow may be at work at once; the others wait in line.

    A run is at work from its first step until it is over, or waits for something
    outside with nothing left to do: then its place is free, and it stands in line
    once more, ahead of new runs, when it goes on. A run that cannot wait is refused
    before it begins: with an ``AdmissionFullError`` if the line is full, with a
    ``ShedError`` if its ``deadline=`` would pass before its turn. A run that has
    begun is never refused; one whose deadline passes while it waits fails with the
    ``ShedError``. What a run with a place calls or kicks off goes with it, without a
    place of its own.

    Attributes:
        runs: at work at once.
        queue: how many new ones may wait. By default any number.
        name: shares it among all flows of the process that give it.
        shared: ``"store"`` counts the runs of all processes on the runs' store;
            ``"process"`` by default.

    Raises:
        ValueError: a value that means nothing, by name.
    """

    runs: int
    queue: int | None = None
    name: str = ""
    shared: Shared = "process"

    def __post_init__(self) -> None:
        checked_count(self.runs, "Admission(runs=..)")
        if self.queue is not None and (type(self.queue) is not int or self.queue < 0):
            msg = f"Admission(queue=..) takes a count from 0, not {self.queue!r}."
            raise ValueError(msg)
        checked_name(self.name, "Admission(name=..)")
        checked_shared(self, "Admission", named=False)

    @property
    def most(self) -> int:
        """The same as ``runs``."""
        return self.runs

    def __str__(self) -> str:
        told = f"{self.runs} at once"
        if self.queue is not None:
            told += f", {self.queue} in line"
        return told + (f" ({self.name})" if self.name else "")


def admission_of(value: Any) -> Admission:
    """What a flow class was given as ``admission=``.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, Admission):
        return value
    if type(value) is int and value > 0:
        return Admission(value)
    msg = (
        f"admission takes an Admission, not {value!r}. Write admission=100, or "
        f"Admission(100, queue=1000)."
    )
    raise ValueError(msg)
