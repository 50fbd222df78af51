"""OpenTelemetry, or the extra that is missing. Loaded by who traces."""

from __future__ import annotations

from flowkit.errors import MissingExtraError

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

__all__ = ["carried", "contexts", "measures", "parent_of", "sender_of", "traces"]

_carrier = TraceContextTextMapPropagator()
EMPTY = contexts.Context()


def carried(context: contexts.Context | None = None) -> str:
    """The ``traceparent`` of a context, of the current one if None; "" for none."""
    found: dict[str, str] = {}
    _carrier.inject(found, context)
    return found.get("traceparent", "")


def parent_of(traceparent: str) -> contexts.Context:
    """A context in which new spans are children of that one."""
    return _carrier.extract({"traceparent": traceparent}, EMPTY)


def sender_of(traceparent: str) -> traces.SpanContext | None:
    """What a link to that span needs; None if the text names none."""
    span = traces.get_current_span(parent_of(traceparent))
    found = span.get_span_context()
    return found if found.is_valid else None
