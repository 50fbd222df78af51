"""A payment counts, whether it comes before or after the order asks for it.

python -m examples.patterns.wcp24_persistent_trigger
"""

from pydantic import BaseModel

from flowkit import EventBus, Flow, event, listen, start


class Ordered(BaseModel):
    """What was ordered."""

    order: int
    euros: int


class Order(Flow):
    """``collect`` takes a payment that waits for it, or waits for one."""

    @start(on=event("ordered", key="order"))
    async def receive(self, ordered: Ordered) -> Ordered:
        return ordered

    @listen(receive)
    async def collect(self, ordered: Ordered) -> int:
        paid = await self.wait_for("paid", key=ordered.order)
        return paid["euros"] - ordered.euros

    @listen(collect)
    async def close(self, left: int) -> str:
        return "paid in full" if left >= 0 else f"{-left} euros are missing"


def main():
    """Order 1 is paid early, order 2 late and short."""
    with EventBus(store="memory:") as bus:
        bus.register(Order)
        early = bus.send("paid", {"euros": 30}, key="1")
        print("paid early:", "kept" if early.kept else early.status)
        orders = [
            bus.send("ordered", {"order": order, "euros": 30}).runs[0]
            for order in (1, 2)
        ]
        bus.drain()
        bus.send("paid", {"euros": 25}, key="2")
        bus.drain()
        for run in orders:
            print(f"order {run.key}: {run.result}")


if __name__ == "__main__":
    main()
