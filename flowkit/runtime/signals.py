"""Blinker signals: what happens in runs, told to whoever listens.

The sender is the flow class, so ``step_failed.connect(page, sender=Purchase)``
hears that class only. A receiver gets ``(sender, **arguments)``; it cannot change
a run, and one that raises is reported by a log line and a warning. A signal
without receivers costs one test of a dictionary.

========================= =====================================================
signal                    arguments beside ``run``
========================= =====================================================
``run_begins``            none: nothing of it is recorded yet
``run_started``           ``inputs``
``run_finished``          ``status``, ``result``
``run_failed``            ``error``
``run_waiting``           ``events``: the names it waits for
``run_queued``            ``ahead``: how many runs are before it in the line
``run_admitted``          ``waited``: seconds it stood there
``run_rejected``          ``error``
``step_started``          ``step``, ``firing``, ``attempt``
``step_finished``         ``step``, ``firing``, ``attempt``, ``output``,
                          ``metrics``: figures by name
``step_failed``           ``step``, ``firing``, ``attempt``, ``error``,
                          ``metrics``: the same
``step_deferred``         ``step``, ``firing``, ``attempt``, ``why``, ``error``,
                          ``due``, ``metrics``: of that attempt
``step_queued``           ``step``, ``firing``, ``attempt``, ``limit``: bulkhead,
                          ``name``: its name
``step_admitted``         ``step``, ``firing``, ``attempt``, ``limit``, ``name``: the
                          same, ``waited``: seconds
``step_cancelled``        ``step``, ``firing``, ``attempt``
``routed``                ``step``, ``firing``, ``attempt``, ``labels``
``stuck``                 ``step``, ``reason``
``state_changed``         ``step``, ``firing``, ``attempt``, ``changed``: field
                          names, ``state``
``cache_hit``             ``step``, ``firing``, ``attempt``
``step_hedged``           ``step``, ``firing``, ``attempt``, ``call``: its number,
                          ``won``: it gives the result
``step_isolated``         ``step``, ``firing``, ``attempt``, ``pid``
``breaker_changed``       ``name``, ``status``: closed, open or half_open
``event_accepted``        ``name``, ``payload``, ``key``, ``id`` (sender: the bus)
``event_rejected``        ``name``, ``payload``, ``key``, ``id``, ``reason`` (the bus)
``handler_failed``        ``name``, ``handler``, ``error`` (sender: the bus)
``dead_letter_failed``    ``name``, ``key``, ``id``, ``reason``, ``error``: its store
                          did not take it yet (sender: the bus)
========================= =====================================================
"""

from __future__ import annotations

import warnings
from functools import cache
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any

from blinker import Namespace, Signal

from flowkit.errors import FlowkitWarning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger

    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

_all = Namespace()


@cache
def log() -> Logger:
    """The logger ``flowkit``; it prints nothing unless logging is set up."""
    import logging  # with the first line

    logger = logging.getLogger("flowkit")
    logger.addHandler(logging.NullHandler())
    return logger


def about(run: Run, firing: Firing | None = None, step: str = "") -> dict[str, Any]:
    """What a log line says of where it comes from, for its ``extra=``."""
    told = (
        ("", 0, 0) if firing is None else (firing.node.name, firing.id, firing.attempt)
    )
    return {
        "flow": type(run.flow).__qualname__,
        "run": run.id,
        "step": step or told[0],
        "firing": told[1],
        "attempt": told[2],
    }


def _signal(name: str, doc: str) -> Signal:
    return _all.signal(name, doc)


run_begins: Signal = _signal("run_begins", "A run is about to begin.")
run_started: Signal = _signal("run_started", "A run began.")
run_finished: Signal = _signal("run_finished", "A run is over and did not fail.")
run_failed: Signal = _signal("run_failed", "A run failed.")
run_waiting: Signal = _signal("run_waiting", "A run waits for something outside.")
run_queued: Signal = _signal("run_queued", "A run waits for its admission.")
run_admitted: Signal = _signal("run_admitted", "A run that waited may go on.")
run_rejected: Signal = _signal("run_rejected", "A run was refused, or shed.")
step_queued: Signal = _signal("step_queued", "A step waits for a place.")
step_admitted: Signal = _signal("step_admitted", "A step that waited has its place.")
step_started: Signal = _signal("step_started", "An attempt of a step began.")
step_finished: Signal = _signal("step_finished", "A firing of a step was committed.")
step_failed: Signal = _signal("step_failed", "A firing of a step raised.")
step_deferred: Signal = _signal("step_deferred", "A step begins again, or later.")
step_cancelled: Signal = _signal("step_cancelled", "A firing of a step was cancelled.")
routed: Signal = _signal("routed", "A router chose labels.")
stuck: Signal = _signal("stuck", "A join can never fire any more.")
state_changed: Signal = _signal("state_changed", "A step's commit changed the state.")
cache_hit: Signal = _signal("cache_hit", "A step's result was known.")
step_hedged: Signal = _signal("step_hedged", "A further call began, or one won.")
step_isolated: Signal = _signal("step_isolated", "A step has a process of its own.")
breaker_changed: Signal = _signal("breaker_changed", "A breaker opened or closed.")
event_accepted: Signal = _signal("event_accepted", "The bus took an event.")
event_rejected: Signal = _signal("event_rejected", "The bus refused an event.")
handler_failed: Signal = _signal("handler_failed", "An event handler raised.")
dead_letter_failed: Signal = _signal("dead_letter_failed", "It is not written yet.")

__all__ = [
    "breaker_changed",
    "cache_hit",
    "dead_letter_failed",
    "event_accepted",
    "event_rejected",
    "handler_failed",
    "log",
    "routed",
    "run_admitted",
    "run_begins",
    "run_failed",
    "run_finished",
    "run_queued",
    "run_rejected",
    "run_started",
    "run_waiting",
    "state_changed",
    "step_admitted",
    "step_cancelled",
    "step_deferred",
    "step_failed",
    "step_finished",
    "step_hedged",
    "step_isolated",
    "step_queued",
    "step_started",
    "stuck",
    "tell",
]


def tell(signal: Signal, sender: Any, **arguments: Any) -> None:
    """Send a signal; a receiver that raises is reported and changes nothing."""
    for receiver in _receivers(signal, sender):
        try:
            answer = receiver(sender, **arguments)
            if iscoroutine(answer):
                answer.close()
                msg = "it is a coroutine function; observers are plain functions"
                raise TypeError(msg)  # noqa: TRY301 - reported like any fault of it
        except Exception as error:  # noqa: BLE001 - an observer must not harm a run
            _report(signal, receiver, error)


def _receivers(signal: Signal, sender: Any) -> Iterator[Any]:
    return iter(list(signal.receivers_for(sender)))


def _report(signal: Signal, receiver: Any, error: Exception) -> None:
    name = getattr(receiver, "__qualname__", repr(receiver))
    text = (
        f"The observer {name} of signal {getattr(signal, 'name', '')!r} raised "
        f"{type(error).__name__}: {error}. The run goes on without it."
    )
    log().error(text, exc_info=error)
    with warnings.catch_warnings():
        warnings.simplefilter("always", FlowkitWarning)
        warnings.warn(text, FlowkitWarning, stacklevel=4)
