"""Where an event comes from and what it wakes, for whoever traces.

An event carries the W3C ``traceparent`` of its sender, in memory, in its letter and
in its record. Without a tracer this is an empty text, and nothing is asked or told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowkit.core.machine import decide
from flowkit.core.records import EventReceived, StepAnswered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.marking import Marking
    from flowkit.core.net import Net
    from flowkit.core.records import Record
    from flowkit.runtime.run import Run

__all__ = ["Tracer", "here", "recall", "take", "tracer"]


class Tracer(Protocol):
    """Follows events from their sender to the steps that they wake."""

    def here(self) -> str:
        """The ``traceparent`` of what goes on in this context; "" if there is none."""
        ...

    def heard(
        self,
        run: Run,
        event: EventReceived,
        firings: Iterable[int] = (),
        tokens: Iterable[int] = (),
    ) -> None:
        """A run has taken an event that has a ``traceparent``.

        Args:
            run: the run.
            event: what it has taken.
            firings: the executions that it begins, or that go on with it.
            tokens: numbers of its arrivals, for joins that wait for more.
        """
        ...

    def recalled(
        self,
        run: Run,
        event: EventReceived,
        firings: Iterable[int] = (),
        tokens: Iterable[int] = (),
    ) -> None:
        """The same of an event in the records of a run that is read again."""
        ...


tracer: Tracer | None = None
"""Who traces this process, if somebody does."""


def here() -> str:
    """The ``traceparent`` for an event that is sent now; "" if nothing is traced."""
    return "" if tracer is None else tracer.here()


def take(run: Run, event: EventReceived, record: Record | None) -> None:
    """Apply what an event has become in a run, and tell whom it wakes.

    Args:
        run: the run.
        event: what it was sent.
        record: the same, or the answer of a step; None if it is applied already.
    """
    if tracer is None or not event.traceparent:
        if record is not None:
            run.apply(record)
    elif record is None:
        tracer.heard(run, event)
    elif type(record) is StepAnswered:
        tracer.heard(run, event, (record.firing,))
        run.apply(record)
    else:
        marking = run.marking
        token, firing = marking.next_token, marking.next_firing
        run.apply(record)
        begun = range(firing, marking.next_firing)
        tracer.heard(run, event, begun, range(token, marking.next_token))


def recall(run: Run, net: Net, marking: Marking, record: Record) -> Sequence[Command]:
    """Decide on a stored record, and tell whom it woke if it is such an event."""
    if tracer is None or type(record) is not EventReceived or not record.traceparent:
        return decide(net, marking, record)
    token, firing = marking.next_token, marking.next_firing
    commands = decide(net, marking, record)
    begun = range(firing, marking.next_firing)
    tracer.recalled(run, record, begun, range(token, marking.next_token))
    return commands
