"""A run's records told one after another, and followed as they come."""

from __future__ import annotations

import threading

import pytest

from flowkit import Flow, InputError, event, listen, resume, runs, start
from flowkit.runtime.clock import ManualClock, use_clock
from tests.runtime.stored import crashed, flow_named


class Count(Flow):
    """Two steps that write, then a wait."""

    @start()
    def one(self):
        self.state["n"] = 1

    @listen(one)
    def two(self):
        self.state["n"] = 2

    @listen(event("go"))
    def three(self):
        self.state["done"] = True


flow_named(Count)


def told(found):
    """What a test looks at."""
    return [(each.seq, each.kind, each.step, each.changed) for each in found]


def test_each_record_has_the_state_after_it(store):
    """The status, too; nothing is run."""
    Count(store=store).kickoff(id="c")
    found = runs.replay("c", store=store)
    assert told(found) == [
        (1, "start", None, ("id",)),
        (2, "done", "one", ("n",)),
        (3, "done", "two", ("n",)),
    ]
    assert [each.state.get("n") for each in found] == [None, 1, 2]
    assert [each.status for each in found] == ["running", "running", "waiting"]


def test_replay_ends_at_the_record_asked_for(store):
    """By number; others are refused."""
    Count(store=store).kickoff(id="c")
    assert [each.seq for each in runs.replay("c", 2, store=store)] == [1, 2]
    with pytest.raises(InputError) as caught:
        runs.replay("c", 4, store=store)
    assert str(caught.value) == (
        "Run 'c' has records 1 to 3, and no 4. "
        "runs.replay('c') tells what each of them is."
    )


def test_a_rewind_takes_the_state_back(store):
    """What came before it is told as it was."""
    Count(store=store).kickoff(id="c")
    runs.rewind("c", "two", store=store)
    found = runs.replay("c", store=store)
    assert told(found)[3] == (4, "note:rewind", None, ("n",))
    assert [each.state.get("n") for each in found] == [None, 1, 2, 1]


def test_what_is_told_equals_the_state_at_each_record(store):
    """The two ways of reading agree."""
    Count(store=store).kickoff(id="c")
    runs.rewind("c", "one", store=store)
    resume("c", store)
    for each in runs.replay("c", store=store):
        if each.kind != "note:rewind":
            assert each.state == runs.state_at("c", each.seq, store)


def test_follow_gives_what_is_there_of_a_run_that_is_over(store):
    """It ends by itself."""
    Count(store=store).kickoff(id="c")
    runs.cancel("c", store=store)
    found = list(runs.follow("c", store=store))
    assert found == runs.replay("c", store=store)
    assert found[-1].status == "cancelled"


def test_follow_waits_for_what_comes(store):
    """Records that are written meanwhile come in order, until the run is over."""
    clock = ManualClock(1_000.0)
    before = use_clock(clock)
    try:
        Count(store=store).kickoff(id="c")
        following = runs.follow("c", every=5.0, store=store)
        seen = [next(following).seq for _ in range(3)]
        rest = []
        thread = threading.Thread(target=lambda: rest.extend(following), daemon=True)
        thread.start()
        runs.cancel("c", store=store)
        while thread.is_alive():
            clock.advance(5.0)
            thread.join(0.01)
    finally:
        use_clock(before)
    assert seen == [1, 2, 3]
    assert told(rest) == [(4, "cancel", None, ())]


def test_abandoned_runs_are_those_that_could_go_on(store):
    """One that was interrupted is, one that waits for an event is not."""
    Count(store=store).kickoff(id="waits")
    assert runs.abandoned(store=store) == []
    crashed(store, "waits", 2, "cut")
    assert [run.id for run in runs.abandoned(store=store)] == ["cut"]
    resume("cut", store)
    assert runs.abandoned(store=store) == []


def test_abandoned_obeys_its_limit(store):
    """The oldest come first."""
    Count(store=store).kickoff(id="waits")
    for name in ("a", "b", "c"):
        crashed(store, "waits", 1, name)
    assert [run.id for run in runs.abandoned(limit=2, store=store)] == ["a", "b"]
