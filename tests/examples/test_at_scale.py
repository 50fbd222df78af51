"""The examples of much work: what they promise, and across crashes."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module

import anyio
import pytest

from flowkit import EventBus, Flow, each, gather, listen, resume_async, runs, signals
from flowkit import start as begin
from flowkit.journal.memory import MemoryStore
from flowkit.journal.sqlite.store import SqliteStore
from tests.patterns.stage import Stage
from tests.runtime.stored import crashed

pytestmark = pytest.mark.anyio

PRINTED = {
    "map_reduce": """\
delivery: 2, first 'the lamp came late'
invoice: 1, first 'charged twice'
packing: 1, first 'the box was torn'
""",
    "scatter_gather": "Rail for 55 euros, of 2 quotes\n",
    "batches": "1234 documents in batches of [500, 500, 234]\n",
    "windows": """\
[30.0, 60.0]
2 alarms: door open, no power
start > lamps
start
""",
    "many_items": """\
2500 done, 0 failed
5000 done, 0 failed
7500 done, 0 failed
10000 invoices, 495000 euros
""",
    "failures": """\
Strict failed: invalid literal for int() with base 10: 'torn'
Thorough failed: invalid literal for int() with base 10: 'torn'
  beside: invalid literal for int() with base 10: 'wet'
Lenient {'euros': 138, 'bad rows': [1, 3]}
Tolerant failed: invalid literal for int() with base 10: 'torn'
  beside: invalid literal for int() with base 10: 'wet'
Tolerant 148
""",
}


def module(name):
    """One of the examples."""
    return import_module(f"examples.at_scale.{name}")


@pytest.fixture
def stage(monkeypatch):
    """A time that moves by itself when nothing else does, and a tape."""
    made = Stage(monkeypatch)
    yield made
    made.close()


async def met(condition):
    """Until something is so; others move it."""
    with anyio.fail_after(50):
        while not condition():  # noqa: ASYNC110 - threads, too
            await anyio.sleep(0.001)


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_what_it_says(name, capsys):
    """The same at every run."""
    module(name).main()
    assert capsys.readouterr().out == PRINTED[name]


async def test_both_halves_of_a_map_reduce_run_side_by_side(stage):
    """The second group begins when the first one is done, and not before."""
    mail = stage.enter(module("map_reduce"), model=1)
    letters = ["late"] * 30 + ["torn"] * 10
    run = await stage.play(mail.Complaints(), {"letters": letters})
    assert Counter(stage.times("classify")) == {1: 20, 2: 20}
    assert stage.times("by_topic") == [2]
    assert stage.times("sum_up") == [3, 3]
    assert run.result == [
        "delivery: 30, first 'late'",
        "packing: 10, first 'torn'",
    ]


async def ask_all(quotes, clock, answers, seconds):
    """Kick off; once so many have answered, move the clock on."""
    enough = anyio.Event()
    came = Counter()

    def note(_, step, **__):
        came[step] += 1
        if came["ask"] == answers:
            enough.set()

    def withdrawn(_, step, **__):
        came[f"{step} cancelled"] += 1

    with (
        signals.step_finished.connected_to(note),
        signals.step_cancelled.connected_to(withdrawn),
    ):
        async with anyio.create_task_group() as group:
            group.start_soon(quotes.kickoff_async)
            if answers:
                await enough.wait()
            else:
                await met(lambda: quotes.run is not None and quotes.run.due)
            clock.advance(seconds)
    return quotes.run, came


async def test_who_answers_in_time_is_compared(clock, monkeypatch):
    """At the deadline the others are cancelled."""
    freight = module("scatter_gather")
    monkeypatch.setitem(freight.SECONDS, "Ship", 3600)
    run, came = await ask_all(freight.Quotes(), clock, 2, 0.5)
    assert run.result == "Rail for 55 euros, of 2 quotes"
    assert (came["ask"], came["ask cancelled"]) == (2, 1)


async def test_nobody_waits_for_a_deadline_that_is_not_needed(clock, monkeypatch):
    """When all have answered it goes on at once, and the timer is gone."""
    freight = module("scatter_gather")
    monkeypatch.setitem(freight.SECONDS, "Ship", 0)
    quotes = freight.Quotes()
    with anyio.fail_after(50):
        await quotes.kickoff_async()
    assert quotes.run.status == "completed"
    assert quotes.run.result == "Ship for 20 euros, of 3 quotes"
    assert quotes.run.due is None
    assert "deadline" not in [line[0] for line in quotes.run.history]


async def test_a_tender_that_nobody_answers_is_taken_back(clock, monkeypatch):
    """An empty group can be completed, too."""
    freight = module("scatter_gather")
    for carrier in freight.EUROS:
        monkeypatch.setitem(freight.SECONDS, carrier, 3600)
    run, came = await ask_all(freight.Quotes(), clock, 0, 0.5)
    assert came["ask cancelled"] == 3
    assert run.status == "cancelled"
    assert run.reason == "no carrier answered in time"


def together(count, last):
    """A service that answers when so many calls are open, or the last one is."""
    calls = []

    async def service(item):
        came = anyio.Event()
        calls.append(came)
        if len(calls) == count or last(item):
            for each in calls:
                each.set()
            calls.clear()
        await came.wait()
        return item

    return service


async def test_batches_are_full_and_their_source_is_held_back(monkeypatch):
    """Four calls at a time; no more than one batch is read ahead."""
    shelf = module("batches")
    service = together(4, lambda texts: texts[-1] == "document 5249")
    monkeypatch.setattr(shelf, "embedded", service)
    running, waiting = [], []

    def note(_, run, step, **__):
        if step == "embed":
            running.extend(each.running for each in run.progress)
            waiting.extend(each.waiting for each in run.progress)

    index = shelf.Index()
    with signals.step_started.connected_to(note):
        await index.kickoff_async({"documents": 5_250})
    sizes = [500] * 10 + [250]
    assert index.run.result == f"5250 documents in batches of {sizes}"
    assert (max(running), max(waiting)) == (4, 1)


@pytest.mark.parametrize("items", [1_000, 4_000])
async def test_what_is_live_does_not_grow_with_the_number_of_items(monkeypatch, items):
    """A hundred lanes, firings and tasks, whether there are a thousand or four."""
    most = Counter()

    def note(_, run, step, **__):
        (group,) = run.progress or (None,)
        if step != "check" or group is None:
            return
        seen = {
            "running": group.running,
            "waiting": group.waiting,
            "firings": len(run.marking.live),
            "open rounds": sum(map(len, run.marking.rounds.values())),
        }
        if group.done % 500 == 0:
            seen["tasks"] = len(anyio.get_running_tasks())
        for name, count in seen.items():
            most[name] = max(most[name], count)

    service = together(100, lambda item: item == items - 1)
    monkeypatch.setattr(module("many_items"), "sum_of", service)
    audit = module("many_items").Audit()
    tasks = len(anyio.get_running_tasks())
    with signals.step_started.connected_to(note):
        await audit.kickoff_async({"invoices": items})
    total = sum(range(items))
    assert audit.run.result == f"{items} invoices, {total} euros"
    assert most["running"] == 100
    assert most["waiting"] <= 1
    assert most["firings"] <= 102  # the source, and one that ends
    assert most["open rounds"] == 0
    assert most["tasks"] <= tasks + 110


async def test_results_stand_by_index_whatever_ends_first(stage):
    """The list of results is no list of what came first."""
    many = stage.enter(module("many_items"))
    order = []

    class Late(many.Audit):
        @listen(each(many.Audit.invoices, limit=100))
        async def check(self, invoice):
            await stage.sleep(-invoice % 7)
            order.append(invoice)
            return invoice

        @listen(gather(check))
        async def total(self, sums):
            return sums

    run = await stage.play(Late(), {"invoices": 300})
    assert run.result == list(range(300))
    assert order != run.result


async def test_an_observer_sees_how_far_a_group_is():
    """Each count, from the first instance to the last one."""
    seen = []

    def note(_, run, step, **__):
        seen.extend(run.progress if step == "check" else ())

    with signals.step_finished.connected_to(note):
        await module("many_items").Audit().kickoff_async({"invoices": 300})
    assert [each.done for each in seen] == list(range(1, len(seen) + 1))
    for group in seen:
        assert group.step == "check"
        assert group.total == group.waiting + group.running + group.done
        assert group.failed == 0
    assert seen[0].growing
    assert len(seen) >= 299  # the group is forgotten with its last instance


BAD = "invalid literal for int() with base 10: "
ROWS = ["torn", "lamp 40", "wet", *["stamps 1"] * 17]


@pytest.mark.parametrize(
    ("flow", "rows", "outcome"),
    [
        ("Strict", ROWS, ["'torn'"]),
        ("Thorough", ROWS, ["'torn'", "'wet'"]),
        ("Tolerant", [*ROWS, "burnt"], ["'torn'", "'wet'", "'burnt'"]),
        ("Lenient", ROWS, {"euros": 57, "bad rows": [0, 2]}),
        ("Tolerant", ROWS, 57),
    ],
)
async def test_a_policy_says_what_failed_instances_mean(flow, rows, outcome):
    """Which of them end, what comes of it, and all failures are reported, once."""
    made = getattr(module("failures"), flow)()
    if not isinstance(outcome, list):
        assert await made.kickoff_async({"rows": rows}) == outcome
        assert made.run.failures == []
        return
    with pytest.raises(ValueError, match=re.escape(BAD)) as caught:
        await made.kickoff_async({"rows": rows})
    run, first = made.run, caught.value
    assert run.status == "failed"
    assert [str(each) for each in run.failures] == [BAD + row for row in outcome]
    assert first is run.failures[0]
    assert first.__notes__[1:] == [
        f"flowkit: meanwhile another branch failed: ValueError: {BAD}{row}"
        for row in outcome[1:]
    ]
    assert "book" not in [line[0] for line in run.history]


@pytest.mark.parametrize("most", [1, 2, 0.05, 0.1])
@pytest.mark.parametrize("failures", ["fail_fast", "finish"])
async def test_some_failures_are_borne(failures, most):
    """A count or a share; two of twenty fail."""

    class Import(Flow):
        @begin()
        def rows(self):
            return ROWS

        @listen(each(rows, failures=failures, max_failures=most))
        async def read(self, row):
            return int(row.split()[-1])

        @listen(gather(read))
        async def book(self, sums):
            return sum(sums)

        @listen("book.failed")
        async def explain(self, error):
            return [str(error), *error.__notes__[1:]]

    found = await Import().kickoff_async()
    if most in {2, 0.1}:
        assert found == 57
    else:
        second = f"flowkit: another instance failed: ValueError: {BAD}'wet'"
        assert found == [f"{BAD}'torn'", second]


class Small(module("batches").Index):
    """Batches of three."""

    @listen(each(module("batches").Index.documents, batch=3, limit=2))
    async def embed(self, texts):
        return [len(text) for text in texts]


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """Journals of two kinds."""
    made = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "db")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "flow", "inputs"),
    [
        ("map_reduce", "Complaints", {}),
        ("batches", "Small", {"documents": 10}),
        ("many_items", "Audit", {"invoices": 12}),
        ("failures", "Lenient", {"rows": ROWS[:6]}),
    ],
)
async def test_a_crash_after_any_record_changes_nothing(store, name, flow, inputs):
    """Everything is forgotten there and resumed: the same end, nothing done twice."""
    kind = Small if flow == "Small" else getattr(module(name), flow)
    whole = await kind(store=store).kickoff_async(inputs, id="whole")
    steps = ended(store, "whole")
    last = store.run("whole").seq
    for seq in range(1, last):
        cut = crashed(store, "whole", seq, f"cut-{seq}")
        assert await resume_async(cut, store=store) == whole
        assert ended(store, cut) == steps


def ended(store, run):
    """How often each step has ended well."""
    history = runs.history(run, store=store)
    return Counter(each.step for each in history if each.outcome == "done")


async def test_a_deadline_survives_a_restart(clock, monkeypatch, tmp_path):
    """It is kept as a time, not as a task; who had answered does not answer again."""
    freight = module("scatter_gather")
    monkeypatch.setitem(freight.SECONDS, "Ship", 3600)
    store = SqliteStore(tmp_path / "quotes.db")
    quotes = freight.Quotes(store=store)
    run, _ = await ask_all(quotes, clock, 2, 0.5)
    entries = store.entries(run.id)
    due = next(each.seq for each in entries if each.kind == "timer")
    cut = crashed(store, run.id, due - 1, "cut")
    asked = []

    async def quote_of(carrier):
        asked.append(carrier)
        await anyio.sleep(3600)

    monkeypatch.setattr(freight, "quote_of", quote_of)
    assert await resume_async(cut, store=store) == "Rail for 55 euros, of 2 quotes"
    assert set(asked) <= {"Ship"}
    store.close()


@pytest.fixture
def opened(tmp_path):
    """Opens a bus on the same file anew, as another process would."""
    stores = []

    def open_bus():
        stores.append(SqliteStore(tmp_path / "streams.db"))
        bus = EventBus(store=stores[-1])
        streams = module("windows")
        bus.register(streams.Machine, streams.Digest, streams.Visit)
        return bus

    yield open_bus
    for store in stores:
        store.close()


async def sent(opened, name, **payload):
    """Send one event and end the process; gives the run that has it."""
    async with opened() as bus:
        receipt = await bus.send_async(name, payload)
        await bus.drain()
        assert receipt.status == "accepted"
        return receipt.run_ids[0]


async def over(opened, run):
    """Begin a process that drives on what is due; gives the run's result."""
    async with opened() as bus:
        store = bus._post.store
        await met(lambda: runs.get(run, store=store).status == "completed")
        return runs.get(run, store=store).result


async def test_a_window_by_count_is_full_across_restarts(opened):
    """Three readings are one mean, whoever counts; what is left is no mean."""
    run = await sent(opened, "switched on", machine="press")
    await sent(opened, "switched on", machine="lathe")
    for degrees in (20, 30, 40, 50):
        await sent(opened, "reading", machine="press", degrees=degrees)
        await sent(opened, "reading", machine="lathe", degrees=0)
    await sent(opened, "switched off", machine="press")
    assert await over(opened, run) == [30.0]


async def test_a_window_by_time_ends_an_hour_after_its_first_alarm(opened, clock):
    """Later alarms do not move its end, nor does a restart."""
    run = await sent(opened, "alarm", site="Bremen", text="door open")
    clock.advance(50 * 60)
    assert await sent(opened, "alarm", site="Bremen", text="no power") == run
    clock.advance(9 * 60)
    assert await sent(opened, "alarm", site="Bremen", text="smoke") == run
    clock.advance(60)
    result = "3 alarms: door open, no power, smoke"
    assert await over(opened, run) == result
    assert await sent(opened, "alarm", site="Bremen", text="quiet") != run


async def test_a_window_by_a_pause_is_moved_by_each_click(opened, clock):
    """It ends half an hour after the last one; the next click is another visit."""
    run = await sent(opened, "click", visitor="Ada", page="start")
    for page in ("lamps", "desks"):
        clock.advance(29 * 60)
        assert await sent(opened, "click", visitor="Ada", page=page) == run
    other = await sent(opened, "click", visitor="Bob", page="jobs")
    clock.advance(30 * 60)
    assert await over(opened, run) == "start > lamps > desks"
    assert await over(opened, other) == "jobs"
    assert await sent(opened, "click", visitor="Ada", page="start") != run
