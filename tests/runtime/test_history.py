"""Runs are found and told from their records, without their class."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from flowkit import (
    Flow,
    InputError,
    RunError,
    and_,
    event,
    listen,
    resume,
    router,
    runs,
    start,
)
from flowkit.journal.codec import Lost, decode_loosely, encode
from tests.runtime.stored import copied, crashed, flow_named

pytestmark = pytest.mark.usefixtures("clock")


class Line(BaseModel):
    """An item of an order."""

    name: str


class OrderState(BaseModel):
    """What an order holds."""

    lines: list[Line] = []
    total: int = 0


class Order(Flow[OrderState], version="3"):
    """Two branches, a join and a router."""

    @start()
    def take(self):
        self.state.lines.append(Line(name="tea"))
        return "taken"

    @listen(take)
    def price(self, _):
        self.state.total = 5
        return 5

    @listen(take)
    def pack(self, _):
        self.state.lines.append(Line(name="card"))
        return "packed"

    @router(and_(price, pack))
    def check(self):
        return "small" if self.state.total < 10 else "large"

    @listen("small")
    def send(self):
        return f"sent {len(self.state.lines)}"


class Paid(Flow):
    """Waits for its payment."""

    @start()
    def order(self):
        self.state["amount"] = 7

    @listen(event("paid"))
    def book(self, payload):
        self.state["paid"] = payload
        return payload


class Breaks(Flow):
    """Fails as long as it is told to."""

    broken = True

    @start()
    def first(self):
        self.state["n"] = 1

    @listen(first)
    def second(self):
        self.state["n"] = 2
        if type(self).broken:
            raise ValueError("no paper")
        return "printed"


def test_a_run_is_told_step_by_step(store):
    """Every execution with its outcome, output and the state around it."""
    Order(store=store).kickoff(id="o-1")
    told = runs.history("o-1", store=store)
    assert [(each.step, each.outcome, each.output) for each in told] == [
        ("take", "done", "taken"),
        ("price", "done", 5),
        ("pack", "done", "packed"),
        ("check", "done", "small"),
        ("send", "done", "sent 2"),
    ]
    assert [each.seq for each in told] == [2, 3, 4, 5, 6]
    take, price, pack, check, _ = told
    assert take.before["lines"] == []
    assert take.after["lines"] == [Line(name="tea")]
    assert take.changed == ("lines",)
    assert (price.before["total"], price.after["total"]) == (0, 5)
    assert pack.after["lines"] == [Line(name="tea"), Line(name="card")]
    assert check.labels == ("small",)
    assert check.changed == ()
    assert {each.attempt for each in told} == {1}


def test_the_state_after_each_record_can_be_read(store):
    """Each as it was then; later growth of a list does not show in it."""
    Order(store=store).kickoff(id="o-1")
    states = [runs.state_at("o-1", seq, store=store) for seq in range(1, 7)]
    assert [len(each["lines"]) for each in states] == [0, 1, 1, 2, 2, 2]
    assert [each["total"] for each in states] == [0, 0, 5, 5, 5, 5]
    with pytest.raises(InputError) as caught:
        runs.state_at("o-1", 9, store=store)
    assert str(caught.value) == (
        "Run 'o-1' has records 1 to 6, and no 9. "
        "runs.replay('o-1') tells what each of them is."
    )


def test_durations_come_from_the_records(store, clock):
    """From the record that made a step ready to its own."""

    class Slow(Flow, store=store):
        @start()
        def first(self):
            clock.advance(2)

        @listen(first)
        def second(self):
            clock.advance(3)

    flow_named(Slow)
    Slow().kickoff(id="s")
    first, second = runs.history("s", store=store)
    assert (first.started, first.ended, first.duration) == (1000, 1002, 2)
    assert (second.started, second.duration) == (1002, 3)


def test_what_a_run_waits_for_is_listed(store):
    """With name, key and place; the result is there once it is over."""
    Paid(store=store).kickoff(id="p-1")
    (run,) = runs.list(flow=Paid, store=store)
    assert (run.status, run.result, run.records) == ("waiting", None, 2)
    (wait,) = run.waits
    assert (wait.name, wait.key, wait.place, wait.kind) == (
        "paid",
        None,
        "book",
        "event",
    )
    assert repr(run) == (
        f"<RunInfo p-1 of {__name__}:Paid, waiting, waits for paid, "
        "since 1970-01-01T00:16:40+00:00>"
    )


def test_a_failed_run_tells_both_tries(store):
    """What the retry took back stays in the story, marked."""
    Breaks.broken = True
    with pytest.raises(ValueError, match="no paper"):
        Breaks(store=store).kickoff(id="b")
    assert runs.get("b", store=store).error == "ValueError: no paper"
    Breaks.broken = False
    assert resume("b", store=store) == "printed"
    first, failed, again = runs.history("b", store=store)
    assert (failed.step, failed.outcome, failed.undone) == ("second", "failed", True)
    assert str(failed.error) == "no paper"
    assert failed.before == failed.after == first.after
    assert (again.outcome, again.undone, again.attempt) == ("done", False, 2)
    assert again.after["n"] == 2
    assert runs.get("b", store=store).status == "completed"
    assert runs.get("b", store=store).error == ""


def test_an_interrupted_step_is_a_second_attempt(store, clock):
    """The time of its first start does not count."""
    Order(store=store).kickoff(id="o-1")
    crashed(store, "o-1", 2, "c")
    clock.advance(60)
    assert resume("c", store=store) == "sent 2"
    told = runs.history("c", store=store)
    assert [(each.step, each.attempt) for each in told] == [
        ("take", 1),
        ("price", 2),
        ("pack", 2),
        ("check", 1),
        ("send", 1),
    ]
    assert told[1].duration == 0


def test_open_executions_come_last(store):
    """A step that has not ended has no record, no end and no state after it."""
    Order(store=store).kickoff(id="o-1")
    crashed(store, "o-1", 3, "c")
    *_, last = runs.history("c", store=store)
    assert (last.step, last.outcome, last.seq, last.ended) == (
        "pack",
        "running",
        None,
        None,
    )
    assert last.after is None
    assert last.before["total"] == 5
    assert last.duration is None


def test_questions_and_answers_are_told(store, clock):
    """A step that slept tells what it asked and was answered."""

    class Sleeper(Flow, store=store):
        @start()
        def nap(self):
            self.sleep(5)
            return "awake"

    flow_named(Sleeper)
    store_of_run = Sleeper()
    clock_call = clock.call_at
    clock.call_at = lambda at, call: (clock.advance(5), clock_call(at, call))[1]
    store_of_run.kickoff(id="z")
    (nap,) = runs.history("z", store=store)
    (question,) = nap.questions
    assert (question.verb, question.asked, question.answered) == ("sleep", 1000, 1005)
    assert nap.duration == 5


def test_a_story_needs_no_class(store):
    """The graph is the store's; a value whose class is gone is shown as stored."""
    Order(store=store).kickoff(id="o-1")
    text = encode([Line(name="tea")], "a list")
    lost = text.replace("Line", "Gone")
    (value,) = decode_loosely(lost)
    assert isinstance(value, Lost)
    assert repr(value) == f"<not readable here: {lost[1:-1]}>"
    entries = store.entries("o-1")
    from flowkit.runtime.executions import executions
    from flowkit.runtime.story import Story

    gone = [each._replace(data=each.data.replace("Line", "Gone")) for each in entries]
    told = executions(Story(store, store.run("o-1"), gone), gone)
    assert [each.step for each in told][-1] == "send"
    assert len(told[-1].after["lines"]) == 2
    assert all(isinstance(each, Lost) for each in told[-1].after["lines"])


def test_runs_are_found_by_what_is_known_of_them(store, clock):
    """Flow, status, key, tag, time and text."""
    Order(store=store).kickoff(id="a", tags=["gold"], created_by="ann")
    clock.advance(100)
    Paid(store=store).kickoff(id="b")
    Order(store=store).kickoff(id="c")

    def ids(**asked):
        return [each.id for each in runs.list(store=store, **asked)]

    assert ids() == ["c", "b", "a"]
    assert ids(limit=2) == ["c", "b"]
    assert ids(flow=Order) == ["c", "a"]
    assert ids(flow="Paid") == ["b"]
    assert ids(flow=f"{__name__}:Order", status="completed") == ["c", "a"]
    assert ids(status=["waiting", "failed"]) == ["b"]
    assert ids(tag="gold") == ["a"]
    assert ids(since=1_050) == ["c", "b"]
    assert ids(until=datetime.fromtimestamp(1_050, UTC)) == ["a"]
    assert [each.id for each in runs.search("GOL", store=store)] == ["a"]
    found = runs.get("a", store=store)
    assert (found.version, found.created_by, found.tags) == ("3", "ann", ("gold",))
    assert found.result == "sent 2"


def test_many_runs_are_listed_page_by_page(store):
    """More than a page of the store; the limit is obeyed."""
    Paid(store=store).kickoff(id="r0")
    copied(store, "r0", [f"r{number}" for number in range(1, 450)])
    assert len(runs.list(limit=1_000, store=store)) == 450
    found = runs.list(limit=401, store=store)
    assert (len(found), found[-1].id) == (401, "r49")


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            {"status": "done"},
            "Runs have no status 'done'. It is one of running, waiting, completed, failed, cancelled, compensated, expired.",
        ),
        (
            {"since": "yesterday"},
            "since= takes a datetime or seconds since the epoch, not 'yesterday'.",
        ),
        (
            {"flow": "Nobody"},
            "There is no flow class 'Nobody' in this program. Give the class, or its stored name, package.module:Class.",
        ),
    ],
)
def test_a_wrong_question_is_one_sentence(store, asked, text):
    """What is wrong, and what would be right."""
    with pytest.raises(InputError) as caught:
        runs.list(store=store, **asked)
    assert str(caught.value) == text


def test_an_id_may_be_cut_short_if_it_stays_unique(store):
    """Unknown or ambiguous ids say so."""
    for name in ("ab-1", "ab-2", "ab-3", "ab-4", "cd-1"):
        Paid(store=store).kickoff(id=name)
    assert runs.get("cd", store=store).id == "cd-1"
    with pytest.raises(RunError) as caught:
        runs.get("ab", store=store)
    assert str(caught.value) == (
        "'ab' begins several run ids: ab-1, ab-2, ab-3, ... Give more of it."
    )
    with pytest.raises(RunError) as caught:
        runs.history("x", store=store)
    assert str(caught.value) == (
        f"There is no run 'x' in {store.url}. Look at the ids with `runs.list()` or `flowkit runs`, or "
        "check which store is meant."
    )


def test_records_are_exported_a_line_each(store, tmp_path):
    """Stable keys in a stable order; values as they are stored."""
    Order(store=store).kickoff(id="o-1")
    Paid(store=store).kickoff({"n": 2}, id="p-1")
    file = io.StringIO()
    assert runs.export("o-1", file, store=store) == 6
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert all(
        [*line] == ["run", "flow", "seq", "at", "kind", "step", "firing", "data"]
        for line in lines
    )
    assert lines[2] == {
        "run": "o-1",
        "flow": f"{__name__}:Order",
        "seq": 3,
        "at": "1970-01-01T00:16:40+00:00",
        "kind": "done",
        "step": "price",
        "firing": 2,
        "data": {"output": 5, "state": {"total": [5]}},
    }
    assert lines[4]["data"] == {"output": "small", "labels": ["small"]}
    path = tmp_path / "audit.jsonl"
    assert runs.export(None, path, store=store, flow=Paid) == 2
    first = json.loads(path.read_text().splitlines()[0])
    assert first["data"]["inputs"] == {"n": 2}
    assert first["data"]["first_state"]["n"] == 2
