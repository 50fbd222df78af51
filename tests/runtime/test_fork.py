"""Back to where a run stood: as a new run, or the same one."""

from __future__ import annotations

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
    runs,
    start,
    timer,
)
from flowkit.journal.rows import Owner
from flowkit.runtime.presence import presence_in
from tests.runtime.stored import crashed

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran(clock):
    """Time stands still until it is moved; no step has run yet."""
    ran.clear()


class Numbers(BaseModel):
    """A number and what was done with it."""

    n: int = 1
    seen: list[str] = []


class Chain(Flow[Numbers]):
    """Three steps in a row."""

    @start()
    def one(self):
        ran.append("one")
        self.state.seen.append("one")
        return self.state.n

    @listen(one)
    def two(self, got):
        ran.append("two")
        self.state.seen.append("two")
        self.state.n *= 10
        return self.state.n

    @listen(two)
    def three(self, got):
        ran.append("three")
        self.state.seen.append("three")
        return self.state.n + 1


class Joined(Flow[dict]):
    """Two branches into one join."""

    @start()
    def begin(self):
        ran.append("begin")

    @listen(begin)
    def left(self):
        ran.append("left")
        self.state["left"] = True
        return "l"

    @listen(begin)
    def right(self):
        ran.append("right")
        self.state["right"] = True
        return "r"

    @listen(and_(left, right))
    def join(self):
        ran.append("join")
        return sorted(k for k in self.state if k != "id")


class Twice(Flow[dict]):
    """Takes two payments, each by an event."""

    @start()
    def order(self):
        self.state["paid"] = 0

    @listen(event("pay"))
    def book(self, amount):
        ran.append(f"book {amount}")
        self.state["paid"] += amount
        if self.state["paid"] >= 10:
            self.stop(self.state["paid"])


class Asks(Flow[dict], evict_after=0):
    """Waits within a step, twice."""

    @start()
    async def talk(self):
        ran.append("talk")
        first = await self.wait_for("first")
        second = await self.wait_for("second")
        return [first, second]


class Broken(Flow[dict]):
    """Fails while told to, beside a branch that ended before."""

    broken = True

    @start()
    def begin(self):
        ran.append("begin")

    @listen(begin)
    def good(self):
        ran.append("good")

    @listen(begin)
    def bad(self):
        ran.append("bad")
        if type(self).broken:
            raise ValueError("no")
        return "mended"


class Keyed(Flow[dict]):
    """Waits by a key out of its state."""

    @start()
    def order(self):
        self.state["number"] = "n-1"

    @listen(event("paid", key="number"))
    def book(self, amount):
        return amount


def test_a_fork_runs_again_from_a_step(store):
    """What came before is kept, the step starts anew; the first run is untouched."""
    Chain(store=store).kickoff(id="a")
    ran.clear()
    made = runs.fork("a", "two", store=store)
    assert runs.get(made, store=store).status == "running"
    assert resume(made, store=store) == 11
    assert ran == ["two", "three"]
    one, two = (runs.get(each, store=store) for each in ("a", made))
    assert (two.parent, two.status, two.result) == ("a", "completed", 11)
    assert (one.records, one.result, one.parent) == (4, 11, None)
    assert one.state_id != two.state_id
    assert two.state_id == made


def test_a_fork_may_change_the_state(store):
    """Validated as inputs are, before anything is written."""
    Chain(store=store).kickoff(id="a")
    made = runs.fork("a", Chain.two, state={"n": "4"}, id="b", store=store)
    assert made == "b"
    assert resume("b", store=store) == 41
    assert runs.state_at("a", 4, store=store)["seen"] == ["one", "two", "three"]
    assert runs.state_at("b", 6, store=store)["seen"] == ["one", "two", "three"]
    with pytest.raises(InputError) as caught:
        runs.fork("a", "two", state={"n": "four"}, store=store)
    assert "n: Input should be a valid integer" in str(caught.value)
    assert len(runs.list(store=store)) == 2


def test_a_fork_after_a_record_keeps_the_other_branch(store):
    """By record number: what was open then starts, what was done stays done."""
    Joined(store=store).kickoff(id="a")
    ran.clear()
    made = runs.fork("a", seq=3, tags=["try"], created_by="ann", store=store)
    assert resume(made, store=store) == ["left", "right"]
    assert ran == ["right", "join"]
    found = runs.get(made, store=store)
    assert (found.tags, found.created_by) == (("try",), "ann")
    assert [each.step for each in runs.history(made, store=store)] == [
        "begin",
        "left",
        "right",
        "join",
    ]


def test_a_fork_of_a_join_copies_what_it_holds(store):
    """The join fires again of what had arrived."""
    Joined(store=store).kickoff(id="a")
    ran.clear()
    assert resume(runs.fork("a", "join", store=store), store=store) == ["left", "right"]
    assert ran == ["join"]


def test_a_fork_waits_by_itself(store):
    """Its waits are in its row at once; events find it."""
    flow = Twice(store=store)
    flow.kickoff(id="a")
    flow.send("pay", 4)
    made = runs.fork("a", seq=2, store=store)
    found = runs.get(made, store=store)
    assert (found.status, [each.name for each in found.waits]) == ("waiting", ["pay"])
    run = resume(made, store=store)
    assert run.status == "waiting"
    assert run.state["paid"] == 0
    run.flow.send("pay", 10)
    assert runs.get(made, store=store).result == 10
    assert runs.get("a", store=store).status == "waiting"


def test_a_fork_of_an_ended_run_needs_a_place(store):
    """All records of a run that is over would be a run that is over."""
    Chain(store=store).kickoff(id="a")
    with pytest.raises(RunError) as caught:
        runs.fork("a", store=store)
    assert str(caught.value) == (
        "Run 'a' was over by then (completed), so nothing can go on from there. Name an earlier record, or a step to start anew."
    )


def test_a_taken_id_is_refused(store):
    """And nothing is written."""
    Chain(store=store).kickoff(id="a")
    with pytest.raises(InputError) as caught:
        runs.fork("a", "two", id="a", store=store)
    assert str(caught.value) == (
        "There is a run 'a' already; give the fork another id."
    )


def test_a_step_that_has_not_run_is_named(store):
    """With what is near it, and what has run."""
    Chain(store=store).kickoff(id="a")
    with pytest.raises(RunError) as caught:
        runs.fork("a", "thre", store=store)
    assert str(caught.value) == (
        "Step 'thre' has not run in run 'a'. Did you mean 'three'? These have: one, three, two."
    )


def test_a_run_goes_back_to_a_step(store):
    """Append-only: nothing is deleted, the story shows what was undone."""
    Chain(store=store).kickoff(id="a")
    ran.clear()
    runs.rewind("a", "two", state={"n": 7}, store=store)
    found = runs.get("a", store=store)
    assert (found.status, found.result, found.records) == ("running", None, 6)
    assert resume("a", store=store) == 71
    assert ran == ["two", "three"]
    told = [(e.step, e.outcome, e.undone) for e in runs.history("a", store=store)]
    assert told == [
        ("one", "done", False),
        ("two", "done", True),
        ("three", "done", True),
        ("two", "done", False),
        ("three", "done", False),
    ]
    assert runs.state_at("a", 4, store=store)["n"] == 10
    assert runs.state_at("a", 6, store=store) == {
        **runs.state_at("a", 2, store=store),
        "n": 7,
    }


def test_rewinds_can_be_nested(store):
    """Each counts from what counted before it."""
    Chain(store=store).kickoff(id="a")
    runs.rewind("a", "three", state={"n": 1}, store=store)
    assert resume("a", store=store) == 2
    runs.rewind("a", "two", store=store)
    assert resume("a", store=store) == 11
    runs.rewind("a", "three", state={"n": 5}, store=store)
    runs.rewind("a", seq=2, store=store)
    ran.clear()
    assert resume("a", store=store) == 11
    assert ran == ["two", "three"]
    assert runs.state_at("a", runs.get("a", store=store).records, store=store)[
        "seen"
    ] == ["one", "two", "three"]
    counted = [e.step for e in runs.history("a", store=store) if not e.undone]
    assert counted == ["one", "two", "three"]


def test_what_was_taken_back_can_be_forked_only(store):
    """A rewind to a record that does not count any more says what to do."""
    Chain(store=store).kickoff(id="a")
    runs.rewind("a", seq=2, store=store)
    with pytest.raises(InputError) as caught:
        runs.rewind("a", seq=3, store=store)
    assert str(caught.value) == (
        "Record 3 of run 'a' was taken back by a rewind. Fork the run there instead: fork('a', seq=3)."
    )
    ran.clear()
    assert resume(runs.fork("a", seq=3, store=store), store=store) == 11
    assert ran == ["three"]


def test_a_rewound_run_waits_again(store):
    """Its row has the waits again in the same commit; the new event counts."""
    flow = Twice(store=store)
    flow.kickoff(id="a")
    flow.send("pay", 4)
    flow.send("pay", 6)
    assert runs.get("a", store=store).status == "completed"
    runs.rewind("a", seq=2, store=store)
    found = runs.get("a", store=store)
    assert (found.status, [each.name for each in found.waits]) == ("waiting", ["pay"])
    run = resume("a", store=store)
    ran.clear()
    run.flow.send("pay", 11)
    assert runs.get("a", store=store).result == 11
    assert ran == ["book 11"]


def test_a_handle_catches_up_with_a_rewind(store):
    """The same flow object goes on from where the run stands now."""
    flow = Twice(store=store)
    flow.kickoff(id="a")
    flow.send("pay", 4)
    runs.rewind("a", seq=2, state={"paid": 5}, store=store)
    flow.send("pay", 5)
    assert flow.run.result == 10


def test_a_wait_by_key_is_set_again_from_the_state(store):
    """The key is read out of the state as it is after the edit."""
    Keyed(store=store).kickoff(id="a")
    runs.rewind("a", seq=2, state={"number": "n-2"}, store=store)
    (wait,) = runs.get("a", store=store).waits
    assert (wait.name, wait.key) == ("paid", "n-2")


def test_a_step_gone_back_to_asks_anew(store):
    """Its questions are forgotten, answered or not."""
    flow = Asks(store=store)
    flow.kickoff(id="a")
    flow.send("first", 1)
    flow.send("second", 2)
    assert runs.get("a", store=store).result == [1, 2]
    runs.rewind("a", "talk", store=store)
    talked = runs.history("a", store=store)
    assert [(e.outcome, e.undone, len(e.questions)) for e in talked] == [
        ("done", True, 2),
        ("running", False, 0),
    ]
    made = runs.fork("a", seq=4, store=store)
    (open_one,) = runs.history(made, store=store)
    assert [each.verb for each in open_one.questions] == ["wait_for", "wait_for"]
    assert [each.name for each in runs.get(made, store=store).waits] == ["second"]


def test_a_failed_run_goes_back_further_than_its_failure(store):
    """The branch that was done before stays done, if it is not gone back behind."""
    Broken.broken = True
    with pytest.raises(ValueError, match="no"):
        Broken(store=store).kickoff(id="a")
    Broken.broken = False
    runs.rewind("a", "begin", store=store)
    assert runs.get("a", store=store).error == ""
    ran.clear()
    assert resume("a", store=store) == "mended"
    assert ran == ["begin", "good", "bad"]


def test_a_failed_run_resumes_at_what_failed(store):
    """Nothing that is done runs again."""
    Broken.broken = True
    with pytest.raises(ValueError, match="no"):
        Broken(store=store).kickoff(id="a")
    ran.clear()
    with pytest.raises(ValueError, match="no"):
        resume("a", store=store)
    assert runs.get("a", store=store).status == "failed"
    Broken.broken = False
    assert resume("a", store=store) == "mended"
    assert ran == ["bad", "bad"]


def test_a_run_that_another_process_moves_is_not_rewound(store):
    """Nor forked from under it: a fork only reads."""
    Chain(store=store).kickoff(id="a")
    crashed(store, "a", 2, "b")
    store.beat(Owner("other", 2_000.0, "elsewhere", 1))
    assert store.claim("b", "other", 1_000.0)
    with pytest.raises(RunError) as caught:
        runs.rewind("b", seq=1, store=store)
    assert str(caught.value) == (
        "Run 'b' is being moved by another process. Wait until it is done or waits; if that process is gone, the run is free within 30 seconds."
    )
    assert resume(runs.fork("b", seq=1, store=store), store=store) == 11


def test_a_run_that_this_process_moves_is_not_rewound(store):
    """From within a step, for example."""
    said = []

    class Self(Flow, store=store):
        @start()
        def back(self):
            for verb in (runs.rewind, resume):
                try:
                    verb(self.run.id, store=store) if verb is resume else verb(
                        self.run.id, seq=1, store=store
                    )
                except RunError as error:
                    said.append(str(error))

    Self().kickoff(id="a")
    text = "Run 'a' is being moved by this process just now. Wait until it is done or waits."
    assert said == [text, text]
    assert runs.get("a", store=store).status == "completed"


def test_a_refused_rewind_leaves_the_run_as_it_was(store):
    """Free for the next one, its records untouched."""
    Chain(store=store).kickoff(id="a")
    with pytest.raises(InputError):
        runs.rewind("a", "two", state={"n": "x"}, store=store)
    with pytest.raises(InputError) as caught:
        runs.rewind("a", store=store)
    assert str(caught.value) == "Say where run 'a' goes back to: to_step=, or seq=."
    row = store.run("a")
    assert (row.status, row.seq, row.owner) == ("completed", 4, None)


def test_an_unknown_id_is_one_sentence(store):
    """The same for each verb."""
    for verb in (resume, runs.fork, runs.rewind, runs.history, runs.get):
        with pytest.raises(RunError) as caught:
            verb("nobody", store=store)
        assert str(caught.value) == (
            f"There is no run 'nobody' in {store.url}. Look at the ids with `runs.list()` or `flowkit runs`, or check which store is meant."
        )


def test_this_process_counts_no_run_that_it_gave_up(store):
    """Else its commits would go through the writer thread for ever."""
    Chain(store=store).kickoff(id="a")
    runs.rewind("a", "two", store=store)
    resume("a", store=store)
    assert not presence_in(store).moving


class Mortal(Flow[dict], lifetime=100):
    """Ends if it waits too long."""

    @start()
    def begin(self):
        pass

    @listen(event("go"))
    def go(self):
        self.stop("gone on")


def test_a_lifetime_begins_anew(store, clock):
    """With the fork, and with the rewind of a run that has expired."""
    Mortal(store=store).kickoff(id="a")
    clock.advance(150)
    assert resume("a", store=store) is None
    assert runs.get("a", store=store).status == "expired"
    made = runs.fork("a", seq=2, store=store)
    assert resume(made, store=store).status == "waiting"
    assert runs.get(made, store=store).due == 1250
    runs.rewind("a", seq=2, store=store)
    assert runs.get("a", store=store).due == 1250
    run = resume("a", store=store)
    run.flow.send("go")
    assert run.result == "gone on"


class Delayed(Flow[dict], evict_after=0):
    """A timer in its graph."""

    @start()
    def begin(self):
        ran.append("begin")

    @listen(timer("60s", after=begin))
    def later(self):
        ran.append("later")
        return "late"


def test_a_time_that_has_passed_comes_at_once(store, clock):
    """A rewind before a timer's end finds it due."""
    Delayed(store=store).kickoff(id="whole")
    crashed(store, "whole", 2, "a")
    assert runs.history("a", store=store)[0].outcome == "done"
    clock.advance(61)
    ran.clear()
    assert resume("a", store=store) == "late"
    runs.rewind("a", seq=2, store=store)
    found = runs.get("a", store=store)
    assert (found.status, found.due) == ("waiting", 1060)
    assert resume("a", store=store) == "late"
    assert ran == ["later", "later"]
