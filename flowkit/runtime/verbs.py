"""What a step can wait for in its body, and what it is told of itself.

A verb in an async step is awaited; in a synchronous one it blocks and gives the
value (:mod:`flowkit.runtime.waits`).
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from flowkit.core.durations import seconds
from flowkit.errors import StepTimeoutError
from flowkit.runtime.clock import now
from flowkit.runtime.positions import Question, step_of
from flowkit.runtime.waits import asked

__all__ = [
    "Arrived",
    "attempt_of",
    "heartbeat",
    "idempotency_key",
    "sleep",
    "wait_for",
]


class Arrived(NamedTuple):
    """What :meth:`Flow.wait_any` gives: which event came, and with what."""

    name: str
    payload: Any


def sleep(flow: Any, delay: Any) -> Any:
    """Wait for a length of time."""
    left = seconds(delay, f"{type(flow).__name__}.sleep")
    detail = {"due": now() + left}
    return asked(flow, Question("sleep", detail, lambda _: None, None))


def wait_for(
    flow: Any,
    names: tuple[str, ...],
    key: Any,
    timeout: Any,
    transient: bool = False,  # noqa: FBT001, FBT002
    *,
    several: bool,
) -> Any:
    """Wait for one of some events."""
    verb = "wait_any" if several else "wait_for"
    for name in names:
        given: Any = name
        if not isinstance(given, str) or not given:
            msg = f"{type(flow).__name__}.{verb} takes names of events, not {name!r}."
            raise ValueError(msg)
    if not names:
        msg = f"{type(flow).__name__}.{verb} needs the name of an event."
        raise ValueError(msg)
    text = None if key is None else str(key)
    detail: dict[str, Any] = {"names": list(names), "key": text}
    if transient:
        detail["transient"] = True
    if timeout is not None:
        detail["due"] = now() + seconds(timeout, f"{type(flow).__name__}.{verb}")

    def read(answer: Any) -> Any:
        if answer is None:
            waited = " or ".join(map(repr, names))
            msg = f"No event {waited} came within {timeout}. Give timeout= more time."
            raise TimeoutError(msg)
        return Arrived(answer[1], answer[2]) if several else answer[2]

    return asked(flow, Question(verb, detail, read, [*names, text]))


def idempotency_key(flow: Any) -> str:
    """The same text for every attempt of this firing, another one for any other."""
    run, firing = step_of(flow, "idempotency_key")
    if firing.turn > 1:
        return f"{run.id}:{firing.id}:{firing.turn}"
    return f"{run.id}:{firing.id}"


def attempt_of(flow: Any) -> int:
    """Which try of this firing runs, from 1."""
    return step_of(flow, "attempt")[1].attempt


def heartbeat(flow: Any) -> None:
    """Say that a step is alive; ends one whose time is over."""
    run, firing = step_of(flow, "heartbeat")
    found = run.watches.get(firing.id)
    gone = threading.get_ident() in run.given_up
    if gone or firing.id not in run.marking.live:
        name = f"{run.net.definition.name}.{firing.node.name}"
        msg = f"{name} was given up: its time was over, or its run. It ends here."
        raise StepTimeoutError(msg, step=name)
    if found is not None:
        found.beat = now()
