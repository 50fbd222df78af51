"""A tracer provider that keeps what it is told, and stores to trace over."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flowkit import observe
from tests.runtime.stored import STORES, opened


@pytest.fixture
def exporter():
    """Spans as they end."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter):
    """A tracer provider of the SDK."""
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


@pytest.fixture
def reader():
    """Metrics as they are."""
    return InMemoryMetricReader()


@pytest.fixture
def tracing(provider, reader):
    """All runs of the test are traced."""
    meters = MeterProvider([reader])
    with observe.trace(provider, meters) as made:
        yield made
    meters.shutdown()


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    """No store, one in memory, one in a file."""
    return opened(request.param, tmp_path)
