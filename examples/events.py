"""Orders as events: start a run, wake it by key, refuse what is wrong.

python examples/events.py
"""

from typing import Literal

from pydantic import BaseModel

from flowkit import EventBus, Flow, and_, event, listen, router, start


class Ordered(BaseModel):
    """The payload of ``ordered``."""

    order: int
    item: str
    total: float


class Purchase(Flow):
    """One run for each order."""

    @start(on=event("ordered", key="order"))
    def receive(self, ordered: Ordered):
        return ordered

    @router(and_(receive, event("paid", key="order")))
    def check(self, receive: Ordered, paid: dict) -> Literal["ship", "refund"]:
        self.state["item"] = receive.item
        return "ship" if paid["amount"] >= receive.total else "refund"

    @listen("ship")
    def send_off(self):
        return f"{self.state['item']} shipped"

    @listen("refund")
    def pay_back(self):
        return f"{self.state['item']} refunded"


def main():
    """Send five events and say what became of them."""
    with EventBus() as bus:
        bus.register(Purchase)
        runs = []
        for order, item in enumerate(["lamp", "desk"], start=1):
            payload = {"order": order, "item": item, "total": 30 * order}
            runs += bus.send("ordered", payload, id=f"evt-{order}").runs
        again = bus.send("ordered", {}, id="evt-1")
        bus.send("paid", {"order": 1, "amount": 30})
        bus.send("paid", {"order": 2, "amount": 30})
        wrong = bus.send("ordered", {"order": 3, "item": "chair"})
        bus.drain()
        for run in runs:
            print(f"order {run.key}: {run.status}, {run.result}")
        print(again.status)
        print(wrong.reason)


if __name__ == "__main__":
    main()
