"""Runs in OpenTelemetry: spans for runs and attempts of steps, and metrics.

It listens to :mod:`flowkit.runtime.signals` and does nothing else. A run's first
span is stored with the run as a W3C ``traceparent``; wherever the run goes on, after
a wait or a crash, in this process or another one, a further span joins that trace.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from flowkit.errors import MissingExtraError
from flowkit.runtime import signals
from flowkit.runtime.clock import now

try:
    from opentelemetry import context as contexts
    from opentelemetry import metrics as measures
    from opentelemetry import trace as traces
    from opentelemetry.trace.propagation.tracecontext import (
        TraceContextTextMapPropagator,
    )
except ImportError as _error:
    if not (_error.name or "").startswith("opentelemetry"):
        raise
    raise MissingExtraError("Tracing", "otel") from _error

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Span, SpanContext, TracerProvider

    from flowkit.runtime.run import Run

__all__ = ["Tracing", "trace"]

_ODD = re.compile(r"[^A-Za-z0-9_./-]")
_carrier = TraceContextTextMapPropagator()


class _Open:
    """What is open of a run in this process, and what its next spans link to."""

    def __init__(self) -> None:
        self.span: Span | None = None
        self.before: SpanContext | None = None
        self.steps: dict[tuple[int, str], list[tuple[Span, float]]] = {}
        self.attempts: dict[tuple[int, str], SpanContext] = {}


class Tracing:
    """Makes spans and metrics of all runs of this process, until :meth:`stop`.

    ``with trace(): ...`` stops at the end of the block.
    """

    def __init__(self, tracers: TracerProvider | None, meters: Any) -> None:
        self._tracer = traces.get_tracer("flowkit", tracer_provider=tracers)
        self._meter = measures.get_meter("flowkit", meter_provider=meters)
        self._open: WeakKeyDictionary[Run, _Open] = WeakKeyDictionary()
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
            signals.step_cancelled: self._step_cancelled,
            signals.stuck: self._stuck,
            signals.event_accepted: self._event,
        }
        for signal, receiver in self._receivers.items():
            signal.connect(receiver)

    def stop(self) -> None:
        """Make no more spans; those that are open end now."""
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

    def _begins(self, sender: Any, run: Run, **more: Any) -> None:
        found = self._open[run] = _Open()
        parent = run.context.run(contexts.get_current)
        found.span = self._run_span(sender, run, found, parent)
        carried: dict[str, str] = {}
        _carrier.inject(carried, traces.set_span_in_context(found.span))
        run.traceparent = carried.get("traceparent", "")

    def _run_span(self, sender: Any, run: Run, found: _Open, parent: Context) -> Span:
        attributes = {"flowkit.flow": _flow(sender), "flowkit.run.id": run.id}
        if run.key is not None:
            attributes["flowkit.run.key"] = run.key
        links = [traces.Link(found.before)] if found.before is not None else None
        name = f"run {run.net.definition.name}"
        return self._tracer.start_span(name, parent, attributes=attributes, links=links)

    def _of(self, sender: Any, run: Run) -> _Open:
        """What is open of a run; a span for one that goes on here."""
        found = self._open.setdefault(run, _Open())
        if found.span is None:
            parent = contexts.Context()
            if run.traceparent:
                parent = _carrier.extract({"traceparent": run.traceparent}, parent)
            else:
                parent = run.context.run(contexts.get_current)
            found.span = self._run_span(sender, run, found, parent)
            found.span.set_attribute("flowkit.run.resumed", value=True)
        return found

    def _step_started(
        self, sender: Any, run: Run, step: str, firing: int, attempt: int, **more: Any
    ) -> None:
        found, key = self._of(sender, run), (firing, step)
        about = run.marking.live.get(firing)
        own = about is not None and about.node.name == step
        if own:
            self._end(sender, found, key, outcome="failed")  # tried again
        span = self._step_span(found, run, key, attempt, own=own)
        found.steps.setdefault(key, []).append((span, now()))
        found.attempts[key] = span.get_span_context()
        context = traces.set_span_in_context(span)
        if not own:  # called by a function, whose context this is
            contexts.attach(context)
            return
        try:
            run.context.run(contexts.attach, context)
        except RuntimeError:  # it is entered just now, in another thread
            return

    def _step_span(
        self, found: _Open, run: Run, key: tuple[int, str], attempt: int, *, own: bool
    ) -> Span:
        firing, step = key
        above = found.steps.get((firing, _caller(run, firing)))
        parent = found.span if own or not above else above[-1][0]
        before = found.attempts.get(key) if own else None
        attributes: dict[str, Any] = {
            "flowkit.run.id": run.id,
            "flowkit.step": step,
            "flowkit.firing": firing,
            "flowkit.attempt": attempt,
        }
        about = run.net.definition.step(step)
        if about is not None:
            name = f"{type(run.flow).__module__}.{type(run.flow).__qualname__}.{step}"
            attributes["code.function.name"] = name
            if about.file:
                attributes["code.file.path"] = about.file
                attributes["code.line.number"] = about.line
        assert parent is not None  # noqa: S101 - the run's span is open
        return self._tracer.start_span(
            step,
            traces.set_span_in_context(parent),
            attributes=attributes,
            links=[traces.Link(before)] if before is not None else None,
        )

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

    def _step_cancelled(
        self, sender: Any, run: Run, step: str, firing: int, **more: Any
    ) -> None:
        found = self._open.get(run)
        if found is not None:
            self._end(sender, found, (firing, step), outcome="cancelled")

    def _over(
        self,
        sender: Any,
        run: Run,
        key: tuple[int, str],
        more: dict[str, Any],
        error: BaseException | None,
    ) -> None:
        attributes = {"flowkit.flow": _flow(sender), "flowkit.step": key[1]}
        for name, figure in more.get("metrics", {}).items():
            self._histogram(name).record(figure, attributes)
        found = self._open.get(run)
        if found is not None:
            outcome = "done" if error is None else "failed"
            self._end(sender, found, key, outcome=outcome, error=error)

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
        found: _Open,
        key: tuple[int, str],
        *,
        outcome: str,
        error: BaseException | None = None,
    ) -> None:
        """End the latest span of an attempt; nothing if there is none."""
        spans = found.steps.get(key)
        if not spans:
            return
        span, began = spans.pop()
        if not spans:
            del found.steps[key]
        attributes = {"flowkit.flow": _flow(sender), "flowkit.step": key[1]}
        if error is not None:
            attributes["error.type"] = _fail(span, error)
        span.set_attribute("flowkit.outcome", outcome)
        span.end()
        self._steps.record(max(0.0, now() - began), attributes)

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
            attributes["error.type"] = _fail(found.span, error)
        self._close(run, found, status)
        self._open.pop(run, None)
        if run.records:
            self._runs.record(max(0.0, now() - run.records[0].at), attributes)

    def _close(self, run: Run, found: _Open, status: str) -> None:
        """End what is open of a run in this process."""
        outcome = "waiting" if status == "waiting" else "cancelled"
        for key in list(found.steps):
            while key in found.steps:
                self._end(type(run.flow), found, key, outcome=outcome)
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
            "messaging.destination.name": name,
        }
        self._sent.add(1, attributes)
        said = {**attributes, **_known(more)}
        traces.get_current_span().add_event("flowkit.event", said)


def _known(more: dict[str, Any]) -> dict[str, str]:
    names = {"id": "messaging.message.id", "key": "flowkit.event.key"}
    return {names[k]: str(more[k]) for k in names if more.get(k) is not None}


def _flow(sender: Any) -> str:
    return str(getattr(sender, "__qualname__", sender))


def _caller(run: Run, firing: int) -> str:
    about = run.marking.live.get(firing)
    return "" if about is None else about.node.name


def _fail(span: Span, error: BaseException) -> str:
    span.record_exception(error)
    kind = type(error).__qualname__
    span.set_status(traces.Status(traces.StatusCode.ERROR, f"{kind}: {error}"))
    span.set_attribute("error.type", kind)
    return kind


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
