"""An order is invoiced when nine tenths of its parcels, of more than ten, are there.

python -m examples.patterns.wcp36_dynamic_partial_join_of_instances
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, each, gather, listen, start

SECONDS = {"truck": 0.001, "late": 0.1}


class Order(FlowState):
    """How many parcels each truck brings; the last one is a long time under way."""

    trucks: list[int] = Field(default_factory=lambda: [4, 5, 2])


class Delivery(Flow[Order]):
    """The condition is asked at each arrival, with the parcels known so far."""

    @start()
    async def load(self):
        for truck, parcels in enumerate(self.state.trucks):
            for parcel in range(parcels):
                yield f"{truck}-{parcel}"

    @listen(each(load))
    async def deliver(self, parcel: str) -> str:
        late = parcel == "2-1"
        await anyio.sleep(SECONDS["late" if late else "truck"])
        return parcel

    @listen(
        gather(
            deliver,
            until=lambda here, total: total > 10 and len(here) >= 0.9 * total,
        )
    )
    async def invoice(self, parcels: list[str]):
        print(f"invoiced with {len(parcels)} parcels")


def main():
    """Eleven parcels, one of them late."""
    delivery = Delivery()
    delivery.kickoff()
    came = [step for step, *_ in delivery.run.history].count("deliver")
    print(came, "parcels in the end")


if __name__ == "__main__":
    main()
