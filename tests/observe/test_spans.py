"""Spans of attempts, and links from what an event wakes to where it was sent."""

from __future__ import annotations

import subprocess
import sys

import anyio
import pytest
from opentelemetry import trace as traces
from opentelemetry.semconv._incubating.attributes import messaging_attributes as sent
from opentelemetry.semconv._incubating.metrics import messaging_metrics
from opentelemetry.semconv.attributes import code_attributes as code
from opentelemetry.semconv.attributes import error_attributes

from flowkit import (
    Cache,
    EventBus,
    Flow,
    Rate,
    Retry,
    and_,
    event,
    listen,
    observe,
    resume,
    runs,
    start,
    tasks,
)
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.clock import ManualClock, use_clock
from tests.observe.told import named, points
from tests.runtime.stored import crashed, flow_named


@pytest.fixture
def clock():
    """A clock that is moved by hand."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


def children(exporter, above):
    """Spans within another one, in the order they began."""
    found = exporter.get_finished_spans()
    inside = [
        each
        for each in found
        if each.parent is not None and each.parent.span_id == above.context.span_id
    ]
    return sorted(inside, key=lambda each: each.start_time)


def linked(span):
    """Ids of the spans that it links to."""
    return [each.context.span_id for each in span.links]


def said(span, *names):
    """Some of its attributes."""
    return [span.attributes.get(f"flowkit.{name}") for name in names]


class Flaky(Flow):
    """Fails once, and traces something of its own."""

    tries = 0

    @start(retry=Retry(3, on=OSError, first=0))
    def call(self):
        with traces.get_tracer("user").start_as_current_span("http"):
            type(self).tries += 1
            if self.tries == 1:
                raise OSError("no line")
        return "done"


@pytest.fixture
def own_spans(provider, monkeypatch):
    """A step's own spans go where the flow's do."""
    monkeypatch.setattr(traces, "get_tracer", provider.get_tracer)
    monkeypatch.setattr(Flaky, "tries", 0)


async def test_attempts_lie_within_their_step(tracing, exporter, store, own_spans):
    """One span for the step, one for each attempt, and the body's own within that."""
    await Flaky(store=store).kickoff_async()
    check_attempts(exporter)


def test_attempts_of_blocking_steps(tracing, exporter, store, own_spans):
    """The same where no event loop runs."""
    Flaky(store=store).kickoff()
    check_attempts(exporter)


def check_attempts(exporter):
    (run,), (step,) = named(exporter, "run Flaky"), named(exporter, "call")
    assert children(exporter, run) == [step]
    assert said(step, "attempt", "outcome") == [2, "done"]
    assert step.status.status_code is traces.StatusCode.UNSET
    (put_off,) = step.events
    assert put_off.name == "deferred"
    assert put_off.attributes["flowkit.why"] == "retry"
    assert put_off.attributes["error.type"] == "OSError"
    first, second = children(exporter, step)
    assert first.name == second.name == "call attempt"
    assert said(first, "attempt", "outcome") == [1, "failed"]
    assert said(second, "attempt", "outcome") == [2, "done"]
    assert first.attributes["error.type"] == "OSError"
    assert first.status.description == "OSError: no line"
    assert linked(second) == [first.context.span_id]
    assert [len(children(exporter, each)) for each in (first, second)] == [1, 1]
    assert len(named(exporter, "http")) == 2


def test_each_attempt_is_measured(tracing, reader, own_spans):
    """The one that failed by its kind of error."""
    Flaky().kickoff()
    counts = {
        point.attributes.get("error.type"): point.count
        for point in points(reader)["flowkit.step.duration"]
    }
    assert counts == {"OSError": 1, None: 1}


def test_a_step_without_such_policies_has_one_span(tracing, exporter):
    """It is both the step's and its attempt's."""

    class Plain(Flow):
        @start()
        def load(self):
            return 1

    Plain().kickoff()
    (step,) = named(exporter, "load")
    assert children(exporter, step) == []
    assert said(step, "attempt", "outcome") == [1, "done"]


def test_the_last_failure_is_the_step_s(tracing, exporter):
    """Both spans tell it."""

    class Lost(Flow):
        @start(retry=Retry(2, first=0))
        def call(self):
            raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        Lost().kickoff()
    (step,) = named(exporter, "call")
    assert [said(each, "outcome") for each in children(exporter, step)] == [
        ["failed"],
        ["failed"],
    ]
    assert said(step, "attempt", "outcome") == [2, "failed"]
    assert step.status.description == "ValueError: never"


def test_a_turn_of_a_loop_is_no_failure(tracing, exporter, store):
    """Each turn has its span."""

    class Loops(Flow):
        @start()
        def begin(self):
            return 0

        @listen(begin, while_=lambda state: state.get("n", 0) < 3)
        def count(self):
            self.state["n"] = self.state.get("n", 0) + 1

    Loops(store=store).kickoff()
    (step,) = named(exporter, "count")
    turns = children(exporter, step)
    assert [said(each, "turn", "attempt", "outcome") for each in turns] == [
        [None, 1, "done"],
        [2, 1, "done"],
        [3, 1, "done"],
    ]


def test_a_step_that_is_put_off_by_its_rate(tracing, exporter, clock, tmp_path):
    """That attempt had not begun: it is deferred, not failed."""
    place = SqliteStore(tmp_path / "journal.db")

    class Slow(Flow):
        @start(rate=Rate(1, per="1h"))
        def call(self):
            return 1

    Slow(store=place).kickoff()
    again = Slow(store=place)
    again.kickoff()
    waits = named(exporter, "call")[-1]
    (attempt,) = children(exporter, waits)
    assert said(attempt, "attempt", "outcome") == [1, "deferred"]
    assert attempt.status.status_code is traces.StatusCode.UNSET
    assert said(waits, "outcome") == ["waiting"]
    assert waits.events[0].attributes["flowkit.why"] == "rate"
    assert waits.events[0].attributes["flowkit.due"] == 4_600.0
    clock.advance(3_601)
    assert resume(again.run.id, store=place) == 1
    last = named(exporter, "call")[-1]
    assert last.context.trace_id == waits.context.trace_id
    assert said(last, "attempt", "outcome") == [1, "done"]


def test_a_cached_result_is_told(tracing, exporter):
    """Nothing was called."""

    class Keeps(Flow):
        @start(cache=Cache("1h"))
        def load(self):
            return 1

    Keeps().kickoff()
    Keeps().kickoff()
    assert [said(each, "cache_hit") for each in named(exporter, "load")] == [
        [None],
        [True],
    ]


class Waiter(Flow):
    """Waits for an event between two steps."""

    @start()
    def ask(self):
        return "asked"

    @listen(event("paid"))
    def book(self, paid):
        return paid


class Joiner(Flow):
    """An event arrives at a join before the other input does."""

    @start()
    def ask(self):
        return "asked"

    @listen(and_(event("paid"), event("sent")))
    def book(self):
        return "booked"


class Inner(Flow):
    """Waits in the body of a step."""

    @start()
    def ask(self):
        return self.wait_for("paid", timeout="9d")


@pytest.fixture
def sender(provider):
    """A span of another service that sends events; gives its id."""

    def send(verb):
        with provider.get_tracer("shop").start_as_current_span("order") as span:
            verb()
        return span.get_span_context().span_id

    return send


def test_a_woken_step_links_to_its_sender(tracing, exporter, store, sender):
    """The step and the run's span after the wait."""
    flow = Waiter(store=store)
    flow.kickoff()
    order = sender(lambda: flow.send("paid", 7))
    (book,), runs = named(exporter, "book"), named(exporter, "run Waiter")
    assert linked(book) == [order]
    assert linked(runs[1]) == [runs[0].context.span_id, order]
    assert book.context.trace_id == runs[0].context.trace_id


def test_a_link_names_the_event(tracing, exporter, store, sender):
    """By its name, id and key."""
    flow = Waiter(store=store)
    flow.kickoff()
    sender(lambda: flow.send("paid", 7))
    link = named(exporter, "run Waiter")[1].links[1]
    assert dict(link.attributes) == {
        "messaging.system": "flowkit",
        "messaging.destination.name": "paid",
    }


def test_a_join_links_to_every_sender(tracing, exporter, store, sender):
    """Also to that of an event which came earlier."""
    flow = Joiner(store=store)
    flow.kickoff()
    first = sender(lambda: flow.send("paid", 7))
    second = sender(lambda: flow.send("sent", 8))
    (book,) = named(exporter, "book")
    assert sorted(linked(book)) == sorted([first, second])


async def test_a_body_that_waits_links_to_its_sender(tracing, exporter, store, sender):
    """It goes on in a further span of its step."""
    flow = Inner(store=store)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(flow.kickoff_async)
        while flow.run is None or flow.run.status != "waiting":
            await anyio.lowlevel.checkpoint()
        orders = []
        done = lambda: orders.append(sender(lambda: flow.send("paid", 7)))  # noqa: E731
        await anyio.to_thread.run_sync(done)
    spans = named(exporter, "ask")
    assert orders[0] in linked(spans[-1])
    assert said(spans[-1], "outcome") == ["done"]


class Shop(Flow):
    """Begun by an event, and woken by one."""

    @start(on=event("order"))
    def take(self, order):
        return order

    @listen(event("paid"))
    def book(self, paid):
        return paid


def test_a_letter_carries_its_sender_to_another_process(
    tracing, exporter, tmp_path, sender
):
    """Sent by one bus, taken up by another that knows only the store."""
    store = SqliteStore(tmp_path / "journal.db")
    Waiter(store=store).kickoff(id="w")
    bus = EventBus(store=store)
    bus.register(Waiter)
    post, put = bus._post, []
    post.wake, post._put = lambda run: None, put.append  # nobody is here to drive it
    order = sender(lambda: bus.send("paid", 7, id="e1"))
    assert store.letters("w")[0].traceparent.split("-")[2] == f"{order:016x}"
    tracing._open.clear()
    other = SqliteStore(tmp_path / "journal.db")
    assert resume("w", store=other).outputs == ["asked", 7]
    (book,) = named(exporter, "book")
    assert linked(book) == [order]
    assert book.links[0].context.is_remote
    link = named(exporter, "run Waiter")[1].links[0]
    assert link.attributes["messaging.message.id"] == "e1"


@pytest.mark.parametrize("stored", [False, True])
def test_a_kept_event_keeps_its_sender(tracing, exporter, tmp_path, sender, stored):
    """It is sent before anybody waits for it."""
    store = SqliteStore(tmp_path / "journal.db") if stored else None
    with EventBus(store=store) as bus:
        bus.register(Shop)
        order = sender(lambda: bus.send("paid", 7, key="k"))
        bus.send("order", 1, key="k")
        bus.drain()
    (book,) = named(exporter, "book")
    assert linked(book) == [order]


def test_a_run_begun_by_an_event_is_in_its_sender_s_trace(
    tracing, exporter, provider, store, sender
):
    """The sender's span is its parent."""
    with EventBus(store=store) as bus:
        bus.register(Shop)
        order = sender(lambda: bus.send("order", 1, key="k"))
        bus.drain()
    (run,) = named(exporter, "run Shop")
    assert run.parent.span_id == order


def test_a_crash_in_the_woken_step_keeps_the_link(tracing, exporter, tmp_path, sender):
    """The record of the event names its sender."""
    store = SqliteStore(tmp_path / "journal.db")
    flow = Waiter(store=store)
    flow.kickoff()
    order = sender(lambda: flow.send("paid", 7))
    entries = store.entries(flow.run.id)
    came = next(each.seq for each in entries if each.kind == "event")
    crashed(store, flow.run.id, came, "again")
    exporter.clear()
    assert resume("again", store=store).outputs == ["asked", 7]
    (book,) = named(exporter, "book")
    assert order in linked(book)


def test_an_event_without_tracing_carries_nothing(tmp_path):
    """Off means off."""
    store = SqliteStore(tmp_path / "journal.db")
    flow = Waiter(store=store)
    flow.kickoff()
    flow.send("paid", 7)
    (came,) = [each for each in store.entries(flow.run.id) if each.kind == "event"]
    assert '"w"' not in came.data


def test_tracing_that_is_off_while_an_event_waits(exporter, provider, sender):
    """A link needs both ends traced."""
    flow = Waiter()
    with observe.trace(provider):
        flow.kickoff()
    sender(lambda: flow.send("paid", 7))
    assert named(exporter, "book") == []


def test_names_are_those_of_the_conventions(tracing, exporter, reader):
    """Where OpenTelemetry has a name for something, it is used."""

    class Bad(Flow):
        @start()
        def load(self):
            raise ValueError("no")

    bus = EventBus()
    bus.on("paid", lambda paid: None)
    bus.send("paid", 1)
    bus.drain()
    bus.close()
    with pytest.raises(ValueError, match="no"):
        Bad().kickoff()
    (step,) = named(exporter, "load")
    used = {each for each in step.attributes if not each.startswith("flowkit.")}
    assert used == {
        code.CODE_FUNCTION_NAME,
        code.CODE_FILE_PATH,
        code.CODE_LINE_NUMBER,
        error_attributes.ERROR_TYPE,
    }
    found = points(reader)
    known = {each for each in found if not each.startswith("flowkit.")}
    assert known == {messaging_metrics.MESSAGING_CLIENT_SENT_MESSAGES}
    (point,) = found[messaging_metrics.MESSAGING_CLIENT_SENT_MESSAGES]
    assert set(point.attributes) == {
        sent.MESSAGING_SYSTEM,
        sent.MESSAGING_OPERATION_NAME,
        sent.MESSAGING_OPERATION_TYPE,
        sent.MESSAGING_DESTINATION_NAME,
    }
    assert point.attributes[sent.MESSAGING_OPERATION_TYPE] == (
        sent.MessagingOperationTypeValues.SEND.value
    )


class Asks(Flow, evict_after=0):
    """Asks a person."""

    @start()
    async def ask(self):
        return await self.ask_async("Well?")


def test_an_answer_links_to_who_gave_it(tracing, exporter, store, sender):
    """And tells nothing of the question's secret."""
    flow = Asks(store=store)
    flow.kickoff()
    (task,) = tasks.list(run=flow.run)
    order = sender(lambda: tasks.answer(task.token, "fine"))
    assert flow.run.result == "fine"
    again = named(exporter, "ask")[-1]
    assert order in linked(again)
    told = [
        dict(link.attributes)
        for span in exporter.get_finished_spans()
        for link in span.links
    ]
    assert not any(task.token in str(each) for each in told)


def test_the_end_of_a_called_run_links_to_it(tracing, exporter, tmp_path, sender):
    """A caller that has let go is woken by its called run: by its first span."""
    store = SqliteStore(tmp_path / "journal.db")

    class Deep(Flow, evict_after=0):
        @start()
        def ask(self):
            return self.wait_for("paid")

    class Calls(Flow, evict_after=0):
        @start()
        async def order(self):
            return await self.call(Deep)

    flow_named(Deep)
    flow_named(Calls)
    flow = Calls(store=store)
    flow.kickoff(id="caller")
    with EventBus(store=store) as bus:
        bus.register(Deep, Calls)
        order = sender(lambda: bus.send("paid", 7))
        bus.drain()
    assert runs.get("caller", store).status == "completed"
    (first, *_), last = named(exporter, "run Deep"), named(exporter, "run Deep")[-1]
    assert order in linked(last)
    assert {each.context.trace_id for each in named(exporter, "run Calls")} == {
        first.context.trace_id
    }


SHOP = """
import sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from flowkit import EventBus, Flow, event, listen, observe, start

def line(span):
    ids = [span.context.trace_id, span.context.span_id]
    links = ",".join(str(each.context.span_id) for each in span.links)
    return f"{span.name.replace(' ', '_')} {ids[0]} {ids[1]} {links or '-'}\\n"

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=line)))
observe.trace(provider)

class Order(Flow, store=sys.argv[1]):
    @start()
    def ask(self):
        return "asked"

    @listen(event("paid"))
    def book(self, paid):
        self.stop(paid)

if sys.argv[2] == "begin":
    Order().kickoff(id="order")
else:
    with EventBus(store=sys.argv[1]) as bus:
        bus.register(Order)
        with provider.get_tracer("till").start_as_current_span("payment"):
            assert bus.send("paid", 7)
        bus.drain()
"""


def test_two_processes_one_trace_and_a_link(tmp_path):
    """Begun in one process, woken in another one by what a third party sends there."""
    path = tmp_path / "shop.py"
    path.write_text(SHOP)
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    found = {}
    for how in ("begin", "send"):
        done = subprocess.run(
            [sys.executable, str(path), url, how],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found[how] = {
            name: (trace, span, links.split(","))
            for name, trace, span, links in map(str.split, done.stdout.splitlines())
        }
    begun, sent = found["begin"], found["send"]
    assert sent["book"][0] == sent["run_Order"][0] == begun["run_Order"][0]
    assert sent["payment"][0] != begun["run_Order"][0]
    assert sent["book"][2] == [sent["payment"][1]]
    assert sent["payment"][1] in sent["run_Order"][2]
