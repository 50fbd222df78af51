"""A run over time, from its records."""

from __future__ import annotations

from flowkit import Flow, start
from flowkit.picture.lines import timeline_of
from flowkit.plot.timeline import pieces
from flowkit.runtime.clock import now
from flowkit.runtime.recall import recalled
from tests.picture.flows import Desk, Order, work


def line(flow):
    """The timeline of its latest run."""
    return timeline_of(recalled(flow.run), now())


def bars(drawn):
    """Steps with their times since the beginning, state and note."""
    return [
        (b.step, b.start - drawn.began, b.end - drawn.began, b.state, b.note)
        for b in drawn.bars
    ]


def test_every_execution_is_a_bar():
    """A loop's turns one after another, with what they took."""
    flow = Desk()
    flow.answers = ("again", "good")
    flow.kickoff()
    assert bars(line(flow)) == [
        ("read", 0, 0.5, "done", "0.5 s"),
        ("judge", 0.5, 1.5, "done", "1 s"),
        ("judge", 1.5, 2.5, "done", "1 s"),
        ("publish", 2.5, 4.5, "done", "2 s"),
    ]
    assert list(line(flow).rows()) == ["read", "judge", "publish"]


def test_a_failure_says_what_it_was():
    """Beside its bar, in one line."""
    flow = Desk()
    flow.answers = ("bad",)
    try:
        flow.kickoff()
    except ValueError:
        pass
    assert bars(line(flow))[-1] == (
        "refuse",
        1.5,
        1.5,
        "failed",
        "0 ms, ValueError: too bad",
    )


def test_the_time_a_run_waited_for_an_event_is_folded(clock):
    """Nothing worked from the receipt to the payment."""
    flow = Order()
    flow.kickoff()
    clock.advance(3_600)
    flow.send("paid", {})
    drawn = line(flow)
    assert bars(drawn) == [
        ("receive", 0, 1, "done", "1 s"),
        ("ship", 3_601, 3_604, "done", "3 s"),
    ]
    assert [(p.end - p.start, p.folded) for p in pieces(drawn)] == [
        (1, False),
        (3_600, True),
        (3, False),
    ]


def test_a_run_that_waits_goes_on_until_now(clock):
    """Its end is not there yet."""
    flow = Order()
    flow.kickoff()
    clock.advance(60)
    assert line(flow).ended - line(flow).began == 61


class Asking(Flow, evict_after="0s"):
    """Waits in its body, and works before and between."""

    @start()
    async def ask(self):
        await self.wait_for("paid", key="17")
        await self.sleep("2h")
        work(4)


def test_what_a_step_waited_for_is_a_part_of_its_bar(tmp_path, clock):
    """Answered and open questions, each with its length."""
    flow = Asking(store=f"sqlite:///{tmp_path}/runs.db")
    flow.kickoff()
    clock.advance(30)
    flow.send("paid", {}, key="17")
    clock.advance(600)
    drawn = line(flow)
    (bar,) = drawn.bars
    assert (bar.state, bar.end) == ("waiting", now())
    assert [(w.start - drawn.began, w.end - drawn.began, w.tip) for w in bar.waits] == [
        (0, 30, "waited for paid (17), 30 s"),
        (30, 630, "slept until 2026-03-01 14:00:30 UTC, 10 min"),
    ]
    assert list(bar.working())[-1] == (bar.end, bar.end)
