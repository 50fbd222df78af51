"""Runs in OpenTelemetry: spans for runs, steps and their attempts, and metrics.

It listens to :mod:`flowkit.runtime.signals` and does nothing else. A run's first
span is stored with the run as a W3C ``traceparent``; wherever the run goes on, after
a wait or a crash, in this process or another one, a further span joins that trace.
An event carries the ``traceparent`` of its sender: what it wakes links to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from flowkit.observe.otel import (
    carried,
    contexts,
    measures,
    parent_of,
    sender_of,
    traces,
)
from flowkit.observe.spans import OpenRun, attach, failed
from flowkit.runtime import signals, trail
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from flowkit.core.marking import Firing
    from flowkit.core.records import EventReceived
    from flowkit.observe.spans import Ended, Key
    from flowkit.runtime.run import Run

__all__ = ["Tracing", "trace"]

_ODD = re.compile(r"[^A-Za-z0-9_./-]")


class Tracing:
    """Makes spans and metrics of all runs of this process, until :meth:`stop`.

    ``with trace(): ...`` stops at the end of the block.
    """

    def __init__(self, tracers: TracerProvider | None, meters: Any) -> None:
        self._tracer = traces.get_tracer("flowkit", tracer_provider=tracers)
        self._meter = measures.get_meter("flowkit", meter_provider=meters)
        self._open: WeakKeyDictionary[Run, OpenRun] = WeakKeyDictionary()
        self._runs = self._meter.create_histogram(
            "flowkit.run.duration", "s", "From a run's beginning to its end."
        )
        self._steps = self._meter.create_histogram(
            "flowkit.step.duration", "s", "Of an attempt of a step."
        )
        self._sent = self._meter.create_counter(
            "messaging.client.sent.messages", "{message}", "Events sent to flows."
        )
        self._custom: dict[str, Histogram] = {}
        self._receivers: dict[Any, Any] = {
            signals.run_begins: self._begins,
            signals.run_waiting: self._waiting,
            signals.run_finished: self._finished,
            signals.run_failed: self._failed,
            signals.step_started: self._step_started,
            signals.step_finished: self._step_finished,
            signals.step_failed: self._step_failed,
            signals.step_deferred: self._step_deferred,
            signals.step_cancelled: self._step_cancelled,
            signals.cache_hit: self._cache_hit,
            signals.stuck: self._stuck,
            signals.event_accepted: self._event,
        }
        for signal, receiver in self._receivers.items():
            signal.connect(receiver)
        trail.tracer = self

    def stop(self) -> None:
        """Make no more spans; those that are open end now."""
        if trail.tracer is self:
            trail.tracer = None
        for signal, receiver in self._receivers.items():
            signal.disconnect(receiver)
        for run, found in list(self._open.items()):
            self._close(run, found, "running")
        self._open.clear()
        if _tracing == [self]:
            _tracing.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def here(self) -> str:
        """The ``traceparent`` of the current span; "" if there is none."""
        return carried()

    def heard(
        self,
        run: Run,
        event: EventReceived,
        firings: Iterable[int] = (),
        tokens: Iterable[int] = (),
    ) -> None:
        """Link what an event wakes to where it was sent."""
        sender = sender_of(event.traceparent)
        if sender is None:
            return
        flow, found = type(run.flow), self._of(type(run.flow), run)
        if found.span is not None:
            found.span.add_link(sender, _message(event))
        found.arrived(tokens, sender)
        parked = {firing for firing, _ in run.parked}
        for number in firings:
            firing = run.marking.live.get(number)
            if firing is None:
                continue
            step = found.latest((number, firing.node.name))
            if step is not None:
                step.current.add_link(sender, _message(event))
                continue
            found.heard.setdefault(number, []).append(sender)
            if number in parked:  # its body goes on, and tells no start
                self._start(flow, run, found, (number, firing.node.name), firing)

    def recalled(
        self,
        run: Run,
        event: EventReceived,
        firings: Iterable[int] = (),
        tokens: Iterable[int] = (),
    ) -> None:
        """The same of an event in the records of a run that is read again."""
        sender = sender_of(event.traceparent)
        if sender is not None:
            found = self._open.setdefault(run, OpenRun())
            found.arrived(tokens, sender)
            for number in firings:
                found.heard.setdefault(number, []).append(sender)

    def _begins(self, sender: Any, run: Run, **more: Any) -> None:
        found = self._open[run] = OpenRun()
        parent = run.context.run(contexts.get_current)
        found.span = self._run_span(sender, run, found, parent)
        run.traceparent = carried(traces.set_span_in_context(found.span))

    def _run_span(self, sender: Any, run: Run, found: OpenRun, parent: Context) -> Span:
        attributes = {"flowkit.flow": _flow(sender), "flowkit.run.id": run.id}
        if run.key is not None:
            attributes["flowkit.run.key"] = run.key
        links = [traces.Link(found.before)] if found.before is not None else None
        name = f"run {run.net.definition.name}"
        return self._tracer.start_span(name, parent, attributes=attributes, links=links)

    def _of(self, sender: Any, run: Run) -> OpenRun:
        """What is open of a run; a span for one that goes on here."""
        found = self._open.setdefault(run, OpenRun())
        if found.span is None:
            if run.traceparent:
                parent = parent_of(run.traceparent)
            else:
                parent = run.context.run(contexts.get_current)
            found.span = self._run_span(sender, run, found, parent)
            found.span.set_attribute("flowkit.run.resumed", value=True)
        return found

    def _step_started(
        self, sender: Any, run: Run, step: str, firing: int, **more: Any
    ) -> None:
        found, key = self._of(sender, run), (firing, step)
        about = run.marking.live.get(firing)
        own = about is not None and about.node.name == step
        span = self._start(sender, run, found, key, about if own else None)
        attach(run, span, own=own)

    def _start(
        self, sender: Any, run: Run, found: OpenRun, key: Key, firing: Firing | None
    ) -> Span:
        """A step begins, for the first time or again; gives what it is within."""
        step = found.latest(key) if firing is not None else None
        turn, attempt = 1, 1
        if firing is not None:
            turn, attempt = firing.turn, firing.attempt
        elif (caller := run.marking.live.get(key[0])) is not None:
            attempt = caller.attempt
        if step is None:
            step = found.open_step(self._tracer, run, key, firing)
        else:
            outcome = "done" if turn > step.turn else "waiting"
            self._measure(sender, key, step.end_attempt(outcome))
        about = {
            "flowkit.run.id": run.id,
            "flowkit.step": key[1],
            "flowkit.firing": key[0],
            "flowkit.attempt": attempt,
        }
        step.begin(self._tracer, about, turn)
        return step.current

    def _step_finished(
        self, sender: Any, run: Run, step: str, firing: int, **more: Any
    ) -> None:
        self._over(sender, run, (firing, step), more, None)

    def _step_failed(
        self,
        sender: Any,
        run: Run,
        step: str,
        firing: int,
        error: BaseException,
        **more: Any,
    ) -> None:
        self._over(sender, run, (firing, step), more, error)

    def _step_deferred(
        self,
        sender: Any,
        run: Run,
        step: str,
        firing: int,
        *,
        why: str,
        error: BaseException | None,
        due: float,
        **more: Any,
    ) -> None:
        found = self._open.get(run)
        about = None if found is None else found.latest((firing, step))
        if about is None:
            return
        outcome = "deferred" if error is None else "failed"
        self._measure(sender, (firing, step), about.end_attempt(outcome, error))
        said: dict[str, Any] = {"flowkit.why": why, "flowkit.due": due}
        if error is not None:
            said["error.type"] = type(error).__qualname__
        about.span.add_event("deferred", said)

    def _cache_hit(
        self, sender: Any, run: Run, step: str, firing: int, **more: Any
    ) -> None:
        found = self._open.get(run)
        about = None if found is None else found.latest((firing, step))
        if about is not None:
            about.span.set_attribute("flowkit.cache_hit", value=True)

    def _step_cancelled(
        self, sender: Any, run: Run, step: str, firing: int, **more: Any
    ) -> None:
        found = self._open.get(run)
        if found is not None:
            self._end(sender, found, (firing, step), "cancelled")

    def _over(
        self,
        sender: Any,
        run: Run,
        key: Key,
        more: dict[str, Any],
        error: BaseException | None,
    ) -> None:
        attributes = {"flowkit.flow": _flow(sender), "flowkit.step": key[1]}
        for name, figure in more.get("metrics", {}).items():
            self._histogram(name).record(figure, attributes)
        found = self._open.get(run)
        if found is not None:
            self._end(sender, found, key, "done" if error is None else "failed", error)

    def _histogram(self, name: str) -> Histogram:
        found = self._custom.get(name)
        if found is None:
            plain = _ODD.sub("_", name)
            found = self._custom[name] = self._meter.create_histogram(
                plain if plain[0].isalpha() else f"m_{plain}"[:255]
            )
        return found

    def _end(
        self,
        sender: Any,
        found: OpenRun,
        key: Key,
        outcome: str,
        error: BaseException | None = None,
    ) -> None:
        """End the latest span of a step; nothing if there is none."""
        step = found.take(key)
        if step is not None:
            self._measure(sender, key, step.end(outcome, error))

    def _measure(self, sender: Any, key: Key, ended: Ended | None) -> None:
        """Note how long an attempt took."""
        if ended is None:
            return
        attributes = {"flowkit.flow": _flow(sender), "flowkit.step": key[1]}
        if ended.error:
            attributes["error.type"] = ended.error
        self._steps.record(ended.seconds, attributes)

    def _waiting(self, sender: Any, run: Run, **more: Any) -> None:
        found = self._of(sender, run)
        if found.span is not None:
            events = [each for each in more.get("events", ()) if ":" not in each]
            found.span.set_attribute("flowkit.run.waits_for", events)
        self._close(run, found, "waiting")

    def _finished(self, sender: Any, run: Run, status: str, **more: Any) -> None:
        self._ended(sender, run, status, None)

    def _failed(self, sender: Any, run: Run, error: BaseException, **more: Any) -> None:
        self._ended(sender, run, "failed", error)

    def _ended(
        self, sender: Any, run: Run, status: str, error: BaseException | None
    ) -> None:
        attributes = {"flowkit.flow": _flow(sender), "flowkit.run.status": status}
        found = self._of(sender, run)
        if error is not None and found.span is not None:
            attributes["error.type"] = failed(found.span, error)
        self._close(run, found, status)
        self._open.pop(run, None)
        if run.records:
            self._runs.record(max(0.0, now() - run.records[0].at), attributes)

    def _close(self, run: Run, found: OpenRun, status: str) -> None:
        """End what is open of a run in this process."""
        outcome = "waiting" if status == "waiting" else "cancelled"
        for key in list(found.steps):
            while key in found.steps:
                self._end(type(run.flow), found, key, outcome)
        if found.span is not None:
            found.span.set_attribute("flowkit.run.status", status)
            found.before = found.span.get_span_context()
            found.span.end()
            found.span = None

    def _stuck(
        self, sender: Any, run: Run, step: str, reason: str, **more: Any
    ) -> None:
        found = self._open.get(run)
        if found is not None and found.span is not None:
            said = {"flowkit.step": step, "flowkit.reason": reason}
            found.span.add_event("stuck", said)

    def _event(self, sender: Any, name: str, **more: Any) -> None:
        attributes = {
            "messaging.system": "flowkit",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": name,
        }
        self._sent.add(1, attributes)
        said = {**attributes, **_known(more)}
        traces.get_current_span().add_event("flowkit.event", said)


def _known(more: dict[str, Any]) -> dict[str, str]:
    names = {"id": "messaging.message.id", "key": "flowkit.event.key"}
    return {names[k]: str(more[k]) for k in names if more.get(k) is not None}


def _message(event: EventReceived) -> dict[str, str]:
    """What a link to its sender says of an event."""
    told = {"messaging.system": "flowkit"}
    if ":" in event.name:  # flowkit's own; the name may hold a question's token
        return told
    told["messaging.destination.name"] = event.name
    return told | _known({"id": event.id, "key": event.key})


def _flow(sender: Any) -> str:
    return str(getattr(sender, "__qualname__", sender))


_tracing: list[Tracing] = []


def trace(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> Tracing:
    """Have all runs of this process traced and measured from now on.

    ``FLOWKIT_OTEL=1`` in the environment does the same with ``import flowkit``. Called
    again, it gives what it gave, until that is stopped.

    Args:
        tracer_provider: where spans go; the global one if None.
        meter_provider: where metrics go; the global one if None.

    Raises:
        MissingExtraError: the extra ``otel`` is not installed.
    """
    if not _tracing:
        _tracing.append(Tracing(tracer_provider, meter_provider))
    return _tracing[0]
