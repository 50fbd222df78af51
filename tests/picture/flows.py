"""Runs that the tests of drawings share; time moves only where a step moves it."""

from __future__ import annotations

from typing import Any, Literal

from flowkit import Flow, and_, event, listen, or_, router, start
from flowkit.runtime.clock import ManualClock, current_clock

__all__ = ["Desk", "Order", "work"]


def work(seconds: float) -> None:
    """Let time pass."""
    clock = current_clock()
    assert isinstance(clock, ManualClock)
    clock.advance(seconds)


class Desk(Flow):
    """A loop whose turns are told beforehand."""

    answers: tuple[str, ...] = ("good",)

    @start()
    def read(self):
        """Read what came in."""
        work(0.5)

    @router(or_(read, "again"))
    def judge(self) -> Literal["again", "good", "bad"]:
        work(1)
        turn = self.state["turn"] = self.state.get("turn", 0) + 1
        return self.answers[turn - 1]

    @listen("good")
    def publish(self):
        work(2)

    @listen("bad")
    def refuse(self):
        raise ValueError("too bad\nto be true")

    @listen(and_(publish, refuse))
    def never(self):
        pass


class Order(Flow):
    """Waits for a payment in the graph."""

    @start()
    def receive(self):
        work(1)

    @listen(and_(receive, event("paid")))
    def ship(self, receive: Any, paid: Any):
        work(3)
