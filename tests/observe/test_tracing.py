"""Runs are traced in OpenTelemetry: one trace a run, across waits and processes."""

from __future__ import annotations

import subprocess
import sys

import anyio
import anyio.lowlevel
import pytest
from opentelemetry import trace as traces

from flowkit import (
    EventBus,
    Flow,
    and_,
    event,
    functions,
    listen,
    observe,
    resume,
    start,
)
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.clock import ManualClock, use_clock
from tests.observe.told import named, points


class Order(Flow):
    """One step that runs alone, two side by side, and one that joins them."""

    @start()
    async def load(self):
        self.metric("tokens", 800)
        self.metric("tokens", 12)
        return 1

    @listen(load)
    async def charge(self, given):
        with traces.get_tracer("user").start_as_current_span("http"):
            await anyio.lowlevel.checkpoint()

    @listen(load)
    def pack(self):
        with traces.get_tracer("user").start_as_current_span("shelf"):
            pass

    @listen(and_(charge, pack))
    def send(self):
        return "sent"


@pytest.fixture
def own_spans(provider, monkeypatch):
    """A step's own spans go where the flow's do."""
    monkeypatch.setattr(traces, "get_tracer", provider.get_tracer)


async def test_run_is_one_trace_of_run_and_steps(tracing, exporter, store, own_spans):
    """Each attempt is a child of the run; what a step traces itself, of the attempt."""
    flow = Order(store=store)
    await flow.kickoff_async()
    (run,) = named(exporter, "run Order")
    assert run.parent is None
    assert run.attributes["flowkit.run.id"] == flow.run.id
    assert run.attributes["flowkit.run.status"] == "completed"
    for name in ("load", "charge", "pack", "send"):
        (step,) = named(exporter, name)
        assert step.parent.span_id == run.context.span_id
        assert step.context.trace_id == run.context.trace_id
        assert step.attributes["flowkit.attempt"] == 1
        assert step.attributes["flowkit.outcome"] == "done"
        assert step.attributes["code.function.name"].endswith(f"Order.{name}")
    for name, above in (("http", "charge"), ("shelf", "pack")):
        (own,) = named(exporter, name)
        assert own.parent.span_id == named(exporter, above)[0].context.span_id


class Chain(Flow):
    """Synchronous steps one after another, each with a span of its own."""

    @start()
    def first(self):
        with traces.get_tracer("user").start_as_current_span("in first"):
            return 1

    @listen(first)
    def second(self):
        with traces.get_tracer("user").start_as_current_span("in second"):
            return 2

    @listen(second)
    def third(self):
        with traces.get_tracer("user").start_as_current_span("in third"):
            return 3


async def test_own_spans_of_steps_in_one_thread_hop(tracing, exporter, own_spans):
    """Synchronous steps share a thread, and each has its own span current."""
    await Chain().kickoff_async()
    check_chain(exporter)


def test_own_spans_of_steps_in_blocking_kickoff(tracing, exporter, own_spans, store):
    """The same where no event loop runs."""
    Chain(store=store).kickoff()
    check_chain(exporter)


def check_chain(exporter):
    for name in ("first", "second", "third"):
        (own,) = named(exporter, f"in {name}")
        assert own.parent.span_id == named(exporter, name)[0].context.span_id


def test_run_joins_the_trace_it_is_kicked_off_in(tracing, exporter, provider, store):
    """A request's span is the parent of the run's."""
    with provider.get_tracer("web").start_as_current_span("request") as request:
        Chain(store=store).kickoff()
    (run,) = named(exporter, "run Chain")
    assert run.parent.span_id == request.get_span_context().span_id
    assert not traces.get_current_span().get_span_context().is_valid


class Bad(Flow):
    """Fails."""

    @start()
    def load(self):
        self.metric("tokens", 5)
        raise ValueError("no such order")


def test_failure_is_told_by_step_and_run(tracing, exporter, reader, store):
    """Status, exception and the conventional ``error.type``; metrics count, too."""
    with pytest.raises(ValueError, match="no such order"):
        Bad(store=store).kickoff()
    for name in ("load", "run Bad"):
        (span,) = named(exporter, name)
        assert span.status.status_code is traces.StatusCode.ERROR
        assert span.status.description == "ValueError: no such order"
        assert span.attributes["error.type"] == "ValueError"
        assert [each.name for each in span.events] == ["exception"]
    found = points(reader)
    (point,) = found["flowkit.step.duration"]
    assert dict(point.attributes) == {
        "flowkit.flow": "Bad",
        "flowkit.step": "load",
        "error.type": "ValueError",
    }
    (point,) = found["flowkit.run.duration"]
    assert point.attributes["flowkit.run.status"] == "failed"
    (point,) = found["tokens"]
    assert (point.count, point.sum) == (1, 5)


def test_metrics_of_steps_are_recorded_once_a_step(tracing, reader, store):
    """Figures of one name add up within an execution."""
    Order(store=store).kickoff()
    Order(store=store).kickoff()
    found = points(reader)
    (point,) = found["tokens"]
    assert (point.count, point.sum) == (2, 1624)
    assert dict(point.attributes) == {"flowkit.flow": "Order", "flowkit.step": "load"}
    counts = {
        p.attributes["flowkit.step"]: p.count for p in found["flowkit.step.duration"]
    }
    assert counts == {"load": 2, "charge": 2, "pack": 2, "send": 2}
    (point,) = found["flowkit.run.duration"]
    assert point.count == 2


def test_durations_are_the_clock_s(tracing, reader):
    """Seconds, waiting in the step included."""
    clock = ManualClock(1_000.0)

    class Slow(Flow):
        @start()
        def work(self):
            clock.advance(2.5)

    before = use_clock(clock)
    try:
        Slow().kickoff()
    finally:
        use_clock(before)
    found = points(reader)
    assert found["flowkit.step.duration"][0].sum == 2.5
    assert found["flowkit.run.duration"][0].sum == 2.5


class Waiter(Flow):
    """Waits for an event between two steps."""

    @start()
    def ask(self):
        return "asked"

    @listen(event("paid"))
    def book(self, paid):
        return paid


def test_wait_ends_the_span_and_the_trace_goes_on(tracing, exporter, store):
    """The span after the wait is a child of the run's first, and links to the latest."""
    flow = Waiter(store=store)
    flow.kickoff()
    (first,) = named(exporter, "run Waiter")
    assert first.attributes["flowkit.run.status"] == "waiting"
    assert first.attributes["flowkit.run.waits_for"] == ("paid",)
    flow.send("paid", 7)
    _, second = named(exporter, "run Waiter")
    assert second.context.trace_id == first.context.trace_id
    assert second.parent.span_id == first.context.span_id
    assert [each.context.span_id for each in second.links] == [first.context.span_id]
    assert second.attributes["flowkit.run.resumed"] is True
    (book,) = named(exporter, "book")
    assert book.parent.span_id == second.context.span_id


def test_another_process_goes_on_in_the_trace(tracing, exporter, tmp_path):
    """The traceparent is stored with the run."""
    store = SqliteStore(tmp_path / "journal.db")
    flow = Waiter(store=store)
    flow.kickoff()
    (first,) = named(exporter, "run Waiter")
    id = flow.run.id
    tracing._open.clear()  # as in a new process: only the store knows
    del flow
    with EventBus(store=store) as bus:
        bus.register(Waiter)
        assert bus.send("paid", 7)
        bus.drain()
    _, second = named(exporter, "run Waiter")
    assert second.attributes["flowkit.run.id"] == id
    assert second.context.trace_id == first.context.trace_id
    assert second.parent.span_id == first.context.span_id
    assert second.parent.is_remote


KILLED = """
import os, sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, ConsoleSpanExporter
from flowkit import Flow, listen, observe, start

provider = TracerProvider()
provider.add_span_processor(
    SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda s: f"{s.name} {s.context.trace_id} {s.context.span_id}\\n"))
)
observe.trace(provider)

class Job(Flow, store=sys.argv[1]):
    @start()
    def first(self):
        return 1

    @listen(first)
    def second(self):
        if sys.argv[2] == "kill":
            sys.stdout.flush()
            os._exit(9)
        return 2

if sys.argv[2] == "kill":
    Job().kickoff(id="job")
else:
    for run in Job.resume_all():
        print("result", run.result)
"""


def test_killed_run_goes_on_in_its_trace(tmp_path):
    """Two real processes, one trace; the finished step has one span in all."""
    path = tmp_path / "job.py"
    path.write_text(KILLED)
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    outs = []
    for how, code in (("kill", 9), ("resume", 0)):
        done = subprocess.run(
            [sys.executable, str(path), url, how],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        outs.append([line.split() for line in done.stdout.splitlines()])
    (first,), second = outs
    assert first[0] == "first"
    assert ["result", "2"] in second
    spans = [line for line in second if line[0] != "result"]
    assert [line[0] for line in spans] == ["second", "second", "run"]
    assert spans[0][1] == "attempt"
    assert {line[-2] for line in spans} == {first[1]}


def test_attempt_after_a_crash_links_to_the_one_before(tracing, exporter, store):
    """In one process: a second attempt of the same firing."""
    if store is None:
        pytest.skip("only a stored run survives")
    tries = []

    class Twice(Flow):
        @start()
        def work(self):
            tries.append(self.attempt)
            if len(tries) == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Twice(store=store).kickoff(id="t")
    resume("t", store=store)
    spans = named(exporter, "work")
    assert tries == [1, 2]
    assert [each.attributes["flowkit.attempt"] for each in spans] == [1, 2]
    assert len({each.context.trace_id for each in spans}) == 1


@functions.step
def fetch(page):
    """A called step."""
    return page * 2


@functions.flow
async def crawl(pages: int = 2):
    """A function flow."""
    return [fetch(page) for page in range(pages)]


def test_called_steps_are_children_of_their_function(tracing, exporter):
    """Steps of a function flow lie within the function's span."""
    assert crawl.kickoff(2) == [0, 2]
    (above,) = named(exporter, "body")
    calls = named(exporter, "fetch")
    assert [each.parent.span_id for each in calls] == [above.context.span_id] * 2


class Parent(Flow):
    """Runs another flow."""

    @start()
    def begin(self):
        return self.call(Chain)


def test_called_run_is_in_its_caller_s_trace(tracing, exporter, store):
    """The run's span is a child of the step that called it."""
    Parent(store=store).kickoff()
    (inner,), (begin,) = named(exporter, "run Chain"), named(exporter, "begin")
    assert inner.context.trace_id == begin.context.trace_id
    assert inner.parent.span_id == begin.context.span_id


def test_events_are_counted_by_name(tracing, reader):
    """With the conventional names of messaging."""
    bus = EventBus()
    bus.on("paid", lambda paid: None)
    bus.send("paid", 1)
    bus.send("paid", 2)
    bus.drain()
    bus.close()
    (point,) = points(reader)["messaging.client.sent.messages"]
    assert point.value == 2
    assert dict(point.attributes) == {
        "messaging.system": "flowkit",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "paid",
    }


def test_nothing_is_traced_after_stop(exporter, provider):
    """Receivers are gone, and a run that began before goes on untraced."""
    tracing = observe.trace(provider)
    assert observe.trace() is tracing
    tracing.stop()
    Chain().kickoff()
    assert exporter.get_finished_spans() == ()


def test_run_without_tracing_stores_nothing_of_it(tmp_path):
    """Off means off."""
    store = SqliteStore(tmp_path / "journal.db")
    flow = Chain(store=store)
    flow.kickoff()
    assert '"w"' not in store.entries(flow.run.id)[0].data
    assert flow.run.traceparent == ""


@pytest.mark.parametrize(("value", "loaded"), [("1", True), ("0", False), ("", False)])
def test_environment_switches_it_on(value, loaded):
    """``FLOWKIT_OTEL=1`` loads it with flowkit, nothing else does."""
    code = (
        "import sys, flowkit; from flowkit import signals, observe; "
        "print('opentelemetry' in sys.modules, bool(signals.step_started.receivers))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"FLOWKIT_OTEL": value, "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.split() == [str(loaded)] * 2
