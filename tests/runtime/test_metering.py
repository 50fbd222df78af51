"""What a step measures is recorded with its end, once."""

from __future__ import annotations

import pytest

from flowkit import Flow, Retry, RunError, listen, resume, runs, start
from tests.runtime.stored import STORES, flow_named, opened


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    """No store, one in memory, one in a file."""
    return opened(request.param, tmp_path)


def told(run):
    return [(each.step, each.outcome, each.metrics) for each in runs.history(run)]


class Order(Flow):
    """Measures in steps alone and side by side."""

    @start()
    def load(self):
        self.metric("tokens", 800)
        self.metric("cost", 0.5)
        self.metric("tokens", 12)

    @listen(load)
    async def charge(self):
        self.metric("tokens", 1)

    @listen(load)
    async def pack(self):
        self.metric("tokens", 2)


async def test_figures_of_one_name_add_up(store):
    """Whole numbers stay whole; each step has its own."""
    flow = Order(store=store)
    await flow.kickoff_async()
    assert told(flow.run) == [
        ("load", "done", {"tokens": 812, "cost": 0.5}),
        ("charge", "done", {"tokens": 1}),
        ("pack", "done", {"tokens": 2}),
    ]
    assert type(runs.history(flow.run)[0].metrics["tokens"]) is int
    assert "tokens 812, cost 0.5" in repr(runs.history(flow.run)[0])


def test_failed_step_s_figures_count(store):
    """What it has cost is spent; of the state nothing is committed."""

    class Bad(Flow):
        @start()
        def load(self):
            self.metric("tokens", 5)
            raise ValueError("no")

    flow = Bad(store=store)
    with pytest.raises(ValueError, match="no"):
        flow.kickoff()
    assert told(flow.run) == [("load", "failed", {"tokens": 5})]


def test_step_that_stops_the_run(store):
    """Its figures are in the record that ends the run."""

    class Stops(Flow):
        @start()
        def load(self):
            self.metric("tokens", 5)
            self.stop(1)

    flow = Stops(store=store)
    flow.kickoff()
    assert told(flow.run) == [("load", "done", {"tokens": 5})]


def test_turns_of_a_step_add_up(store):
    """Each turn records its own."""

    class Turns(Flow):
        @start()
        def begin(self):
            pass

        @listen(begin, while_=lambda state: state.get("n", 0) < 3)
        def again(self):
            self.state["n"] = self.state.get("n", 0) + 1
            self.metric("tokens", self.state["n"])

    flow = Turns(store=store)
    flow.kickoff()
    assert told(flow.run)[1] == ("again", "done", {"tokens": 6})


def test_interrupted_step_measures_anew(store):
    """A body that starts again begins at nothing: no figure counts twice."""
    if store is None:
        pytest.skip("only a stored run survives")
    tries = []

    class Twice(Flow):
        @start()
        def work(self):
            self.metric("tokens", 7)
            tries.append(1)
            if len(tries) == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Twice(store=store).kickoff(id="t")
    resume("t", store=store)
    assert runs.history("t", store=store)[0].metrics == {"tokens": 7}


def test_evicted_step_measures_anew(store):
    """The same for a step that gave its place in memory up while it waited."""
    if store is None:
        pytest.skip("without a store it stays in memory")

    class Waits(Flow, evict_after=0):
        @start()
        async def work(self):
            self.metric("tokens", 7)
            await self.wait_for("paid")

    flow = Waits(store=store)
    flow.kickoff()
    flow.send("paid")
    assert flow.run.status == "completed"
    assert told(flow.run) == [("work", "done", {"tokens": 7})]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("", 1, "Bad.metric takes a name, such as 'tokens', not ''."),
        (3, 1, "Bad.metric takes a name, such as 'tokens', not 3."),
        ("n", "1", "Bad.metric('n', ..) takes a finite number, not '1'."),
        ("n", True, "Bad.metric('n', ..) takes a finite number, not True."),
        ("n", float("nan"), "Bad.metric('n', ..) takes a finite number, not nan."),
    ],
)
def test_figure_that_is_none(name, value, text):
    """Refused where it is given."""

    class Bad(Flow):
        @start()
        def load(self):
            self.metric(name, value)

    with pytest.raises(ValueError) as caught:
        Bad().kickoff()
    assert str(caught.value) == text


def test_outside_of_a_step():
    """There is nothing to record it with."""
    with pytest.raises(RunError) as caught:
        Order().metric("tokens", 1)
    assert str(caught.value) == (
        "Order.metric works within a step; no step of this object runs. Use it in a "
        "method that is a step."
    )


def test_what_a_retried_attempt_has_measured_counts(store):
    """By attempt, and together: what it has cost is spent."""

    class Retried(Flow):
        def less(self):
            self.metric("tokens", 1)
            return "less"

        @start(retry=Retry(3, first=0), fallback=less)
        def go(self):
            self.metric("tokens", 100 * self.attempt)
            raise OSError("no")

    flow_named(Retried)
    flow = Retried(store=store)
    flow.kickoff()
    (went,) = runs.history(flow.run)
    assert [(each.why, each.metrics) for each in went.deferrals] == [
        ("retry", {"tokens": 100}),
        ("retry", {"tokens": 200}),
        ("fallback", {"tokens": 300}),
    ]
    assert went.metrics == {"tokens": 601}
