"""The story of a run in memory, and what triggered each execution."""

from __future__ import annotations

from typing import Literal

import pytest

from flowkit import Flow, and_, event, listen, or_, router, runs, start
from flowkit.runs import Cause


class Ticket(Flow):
    """A loop, a join with an event, and a failure that is heard."""

    turns = 0

    @start()
    def take(self):
        self.state["n"] = 1

    @router(or_(take, "again"))
    def judge(self) -> Literal["again", "good"]:
        self.turns += 1
        return "again" if self.turns == 1 else "good"

    @listen(and_("good", event("paid")))
    def ship(self):
        raise LookupError("no carrier")

    @listen(ship.failed)
    def tell(self):
        self.state["told"] = True


@pytest.fixture(params=["memory", "stored"])
def ticket(request, tmp_path):
    """A run that is over, kept in memory or in a file."""
    stored = request.param == "stored"
    flow = Ticket(store=f"sqlite:///{tmp_path}/runs.db") if stored else Ticket()
    flow.kickoff()
    flow.send("paid", {"by": "card"})
    return flow


def test_a_handle_tells_the_history_of_its_run(ticket):
    """In memory as in a store."""
    told = runs.history(ticket.run)
    assert [(each.step, each.firing, each.outcome) for each in told] == [
        ("take", 1, "done"),
        ("judge", 2, "done"),
        ("judge", 3, "done"),
        ("ship", 4, "failed"),
        ("tell", 5, "done"),
    ]
    assert [each.seq for each in told] == sorted(each.seq for each in told)
    assert told[1].labels == ("again",)
    assert str(told[3].error) == "no carrier"
    assert told[4].changed == ("told",)


def test_causes_name_what_triggered_an_execution(ticket):
    """Step, label or event, and the firing that gave it; 0 is outside."""
    assert [each.causes for each in runs.history(ticket.run)] == [
        (Cause("", 0),),
        (Cause("take", 1),),
        (Cause("again", 2),),
        (Cause("good", 3), Cause("paid", 0)),
        (Cause("ship.failed", 4),),
    ]


def test_only_a_store_knows_states_of_the_past(ticket):
    """A run in memory keeps the present one alone."""
    last = runs.history(ticket.run)[-1]
    if ticket.run.journal is None:
        assert (last.before, last.after) == (None, None)
    else:
        assert "told" not in last.before
        assert last.after["told"] is True


class Drop(Flow, evict_after="0s"):
    """An event listener that takes one at a time."""

    @start()
    def open_box(self):
        pass

    @listen(event("letter"))
    async def read(self):
        if self.state.setdefault("asked", 0) == 0:
            self.state["asked"] = 1
            await self.wait_for("glasses")

    @listen(read)
    def file(self):
        pass


def test_what_stood_in_line_came_from_outside_all_the_same(tmp_path):
    """Another execution made room for it, and did not cause it."""
    flow = Drop(store=f"sqlite:///{tmp_path}/runs.db")
    flow.kickoff()
    flow.send("letter", 1)
    flow.send("letter", 2)
    flow.send("glasses", None)
    told = {(each.step, each.firing): each.causes for each in runs.history(flow.run)}
    letters = [causes for (step, _), causes in told.items() if step == "read"]
    assert letters == [(Cause("letter", 0),)] * 2
