"""A run drawn over its class."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from flowkit import (
    Flow,
    Retry,
    and_,
    each,
    gather,
    listen,
    or_,
    router,
    runs,
    start,
    tasks,
)
from flowkit.picture.lines import timeline_of
from flowkit.picture.trace import traced
from flowkit.runtime.clock import now
from flowkit.runtime.recall import recalled
from tests.picture.flows import Desk, Order, work


@pytest.fixture(params=["memory", "stored"])
def store(request, tmp_path):
    """Where runs are kept: nowhere, or in a file."""
    return None if request.param == "memory" else f"sqlite:///{tmp_path}/runs.db"


def made(cls, store, **attributes):
    """A flow object with attributes."""
    flow = cls(store=store) if store else cls()
    vars(flow).update(attributes)
    return flow


def drawn(flow):
    """The diagram of its latest run."""
    return traced(recalled(flow.run), now())


def told(diagram):
    """Statuses by step: state, note, count."""
    return {
        node.name: (node.status.state, node.status.note, node.status.count)
        for node in diagram.nodes
        if node.status
    }


def ways(diagram):
    """How often each way was taken, by its ends and label."""
    return {
        (edge.source, edge.target, edge.label): edge.taken[0] for edge in diagram.edges
    }


def test_a_run_shows_states_counts_lengths_and_loop_turns(store):
    """A stored run and one in memory give the same picture."""
    flow = made(Desk, store, answers=("again", "again", "good"))
    flow.kickoff()
    diagram = drawn(flow)
    assert told(diagram) == {
        "read": ("done", "0.5 s", 1),
        "judge": ("done", "3 s in all", 3),
        "publish": ("done", "2 s", 1),
        "never": ("stuck", "has publish\nlacks refuse", 0),
    }
    assert ways(diagram) == {
        ("read", "judge", ""): 1,
        ("judge", "judge", "again"): 2,
        ("judge", "publish", "good"): 1,
        ("judge", "refuse", "bad"): 0,
        ("publish", "never", ""): 1,
        ("refuse", "never", ""): 0,
    }
    assert diagram.runs == 1


class Refines(Flow):
    """A step that repeats itself, and is tried again in its second turn."""

    fails = 0

    @start()
    def draft(self):
        work(1)

    @listen(draft, while_=lambda state: state.get("n", 0) < 3, retry=Retry(2, first=0))
    def refine(self):
        work(2)
        if self.state.get("n") == 1 and not self.fails:
            self.fails += 1
            raise OSError("no line")
        self.state["n"] = self.state.get("n", 0) + 1


def test_the_turns_of_a_step_that_repeats_itself_are_counted(store):
    """On its node, in its line and in its bar, beside its attempts."""
    flow = made(Refines, store)
    flow.kickoff()
    diagram = drawn(flow)
    assert told(diagram)["refine"] == ("done", "2 attempts, 3 turns, 8 s", 1)
    (node,) = [node for node in diagram.nodes if node.name == "refine"]
    assert node.status.story == (
        "2: done, began at +1 s, took 8 s, attempt 2, 3 turns",
    )
    line = timeline_of(recalled(flow.run), now())
    assert [bar.note for bar in line.bars] == ["1 s", "8 s, attempt 2, 3 turns"]
    assert [each.turns for each in runs.history(flow.run)] == [1, 3]
    assert "attempt 2, 3 turns, 8s" in repr(runs.history(flow.run)[1])


def test_the_facts_say_what_became_of_the_run(store):
    """Status, how long, since when, and the error in one line."""
    flow = made(Desk, store, answers=("bad",))
    with pytest.raises(ValueError, match="too bad"):
        flow.kickoff()
    diagram = drawn(flow)
    assert [(fact.state, fact.text) for fact in diagram.facts] == [
        ("failed", "Desk: failed after 1.5 s"),
        ("failed", "ValueError: too bad"),
        (None, f"run {flow.run.id}, began 2026-03-01 12:00:00 UTC"),
    ]
    assert told(diagram)["refuse"] == ("failed", "0 ms\nValueError: too bad", 1)


def test_each_firing_has_its_line(store):
    """When it began, how long it took, what it chose."""
    flow = made(Desk, store, answers=("again", "good"))
    flow.kickoff()
    judge = next(node for node in drawn(flow).nodes if node.name == "judge")
    assert judge.status.story == (
        "2: done, began at +0.5 s, took 1 s, chose again",
        "3: done, began at +1.5 s, took 1 s, chose good",
    )


def test_a_run_that_waits_shows_for_what(store, clock):
    """The event glows, the join says what it has and what it lacks."""
    flow = made(Order, store)
    flow.kickoff()
    clock.advance(60)
    assert told(drawn(flow)) == {
        "receive": ("done", "1 s", 1),
        "ship": ("waiting", "has receive\nlacks event('paid')", 0),
        "paid": ("waiting", "", 1),
    }
    assert drawn(flow).facts[0].text == "Order: waiting for 1 min 1 s"
    assert ways(drawn(flow))["event:paid", "ship", ""] == 0


def test_an_event_that_came_is_a_way_that_was_taken():
    """It comes from outside, and once."""
    flow = Order()
    flow.kickoff()
    flow.send("paid", {})
    assert ways(drawn(flow)) == {
        ("receive", "ship", ""): 1,
        ("event:paid", "ship", ""): 1,
    }
    assert told(drawn(flow))["ship"] == ("done", "3 s", 1)


class Nested(Flow):
    """An inner join."""

    @start()
    def a(self):
        work(1)

    @start()
    def b(self):
        work(1)

    @start()
    @router()
    def way(self) -> Literal["short", "long"]:
        return "short"

    @listen("long")
    def after(self):
        pass

    @listen("short")
    def other(self):
        pass

    @listen(and_(or_(a, after), b))
    def c(self):
        pass


def test_ways_go_through_inner_joins():
    """The join of a join hands over once."""
    flow = Nested()
    flow.kickoff()
    taken = ways(drawn(flow))
    assert taken["a", "join:c.0", ""] == 1
    assert taken["join:c.0", "c", ""] == 1
    assert taken["b", "c", ""] == 1
    assert taken["after", "join:c.0", ""] == 0


class Failing(Flow):
    """A step that fails and is heard, and a label that nobody hears."""

    @start()
    def risky(self):
        raise LookupError

    @router(risky.failed)
    def mend(self):
        label = "un" + "heard"
        return label


def test_failures_and_labels_that_nobody_hears_are_ways():
    """What the source does not show of a router, its run does."""
    flow = Failing()
    flow.kickoff()
    diagram = drawn(flow)
    assert told(diagram)["risky"] == ("failed", "0 ms\nLookupError", 1)
    assert ways(diagram) == {
        ("risky", "mend", "failed"): 1,
        ("mend", "end:mend", "unheard"): 1,
    }


class Asking(Flow, evict_after="0s"):
    """Waits in its body."""

    @start()
    async def ask(self):
        await self.wait_for("paid", key="17")
        await self.sleep("2h")


class Regrets(Flow, evict_after="0s"):
    """Waits until another step's work is undone, by somebody who takes his time."""

    async def undo(self, made):
        await self.wait_for("desk")

    @start(undo=undo)
    async def book(self):
        return "booked"

    @listen(book)
    async def regret(self):
        await self.compensate(scope="book")


def test_a_step_that_has_others_undone_says_which(tmp_path):
    """It waits for a step of its own run."""
    flow = Regrets(store=f"sqlite:///{tmp_path}/runs.db")
    flow.kickoff()
    found = told(drawn(flow))
    assert found["regret"] == ("waiting", "for 0 ms\nhas book undone", 1)
    assert found["undo"] == ("waiting", "for 0 ms\nwaits for desk", 1)


def test_a_step_that_waits_in_its_body_says_for_what(tmp_path):
    """With the key, so that its reader can send the event."""
    flow = Asking(store=f"sqlite:///{tmp_path}/runs.db")
    flow.kickoff()
    assert told(drawn(flow)) == {"ask": ("waiting", "for 0 ms\nwaits for paid (17)", 1)}


def test_a_run_is_drawn_without_its_class(tmp_path):
    """Only the graph in the store is needed, and what the run chose."""
    url = f"sqlite:///{tmp_path}/runs.db"
    flow = made(Desk, url, answers=("again", "good"))
    flow.kickoff()
    seen = recalled(flow.run.id, url)
    alone = traced(replace(seen, cls=None), now())
    assert ways(alone) == ways(traced(seen, now()))
    assert told(alone) == told(traced(seen, now()))


def test_a_rewound_execution_does_not_count(tmp_path):
    """What was taken back did not happen, as far as the picture goes."""
    url = f"sqlite:///{tmp_path}/runs.db"
    flow = made(Desk, url, answers=("bad", "good"))
    with pytest.raises(ValueError, match="too bad"):
        flow.kickoff()
    told_before = recalled(flow.run.id, url)
    assert told(traced(told_before, now()))["refuse"][0] == "failed"
    runs.rewind(flow.run.id, "judge", store=url)
    after = traced(recalled(flow.run.id, url), now())
    assert told(after) == {
        "read": ("done", "0.5 s", 1),
        "judge": ("running", "for 0 ms", 1),
    }
    assert ways(after)["judge", "refuse", "bad"] == 0


def test_nothing_of_a_picture_depends_on_the_process(tmp_path):
    """Two drawings of one run are equal, byte for byte."""
    flow = made(Desk, None, answers=("again", "good"))
    flow.kickoff()
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    runs.plot(flow.run, first)
    runs.plot(flow.run, second)
    assert first.read_text("utf-8") == second.read_text("utf-8")
    assert ">again</text>" in first.read_text("utf-8")


class Pages(Flow):
    """A group whose lanes go two ways, and a step that cancels."""

    @start()
    def split(self):
        work(1)
        return ["a", "b", "c"]

    @listen(each(split, limit=1))
    def fetch(self, page):
        work(1)
        return page

    @router(fetch)
    def judge(self, page) -> Literal["good", "bad"]:
        return "bad" if page == "b" else "good"

    @listen("good")
    def keep(self, page):
        return page

    @listen("bad")
    def drop(self, page):
        pass

    @listen(gather(keep), cancels=[drop])
    def report(self, pages):
        return pages


def test_lanes_of_a_group_are_counted_together():
    """Each lane came its way; what gathers them fired once."""
    flow = Pages()
    flow.kickoff()
    assert ways(drawn(flow)) == {
        ("split", "fetch", ""): 3,
        ("fetch", "judge", ""): 3,
        ("judge", "keep", "good"): 2,
        ("judge", "drop", "bad"): 1,
        ("keep", "report", "gather"): 1,
        ("report", "drop", "cancels"): 1,
    }
    assert told(drawn(flow))["fetch"] == ("done", "3 s in all", 3)


class Approval(Flow, evict_after="0s"):
    """Asks a person, and a flow that asks one."""

    @start()
    async def approve(self):
        await self.ask_async("Pay 40?\nReally?", role="boss", timeout="1d")

    @start()
    async def delegate(self):
        await self.call(Asking)


def test_a_question_to_people_is_shown_and_its_token_is_not(tmp_path):
    """Whoever has the token may answer, so that no picture tells it."""
    url = f"sqlite:///{tmp_path}/runs.db"
    flow = Approval(store=url)
    flow.kickoff()
    (child,) = [run for run in runs.list(store=url) if run.parent]
    assert told(drawn(flow)) == {
        "approve": (
            "waiting",
            "for 0 ms\nwaits for boss: Pay 40? until 2026-03-02 12:00:00 UTC",
            1,
        ),
        "delegate": ("waiting", f"for 0 ms\nwaits for run {child.id}", 1),
    }
    (task,) = tasks.list(store=url)
    for name in ("run.html", "run.json"):
        runs.plot(flow.run, tmp_path / name)
        runs.timeline(flow.run, tmp_path / f"line_{name}")
        for path in (tmp_path / name, tmp_path / f"line_{name}"):
            assert task.token not in path.read_text("utf-8")
