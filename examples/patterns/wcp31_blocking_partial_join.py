"""A shipment leaves on two of three signatures; shipments are not mixed up.

python -m examples.patterns.wcp31_blocking_partial_join
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, any_of, listen, or_, router, start

SECONDS = {"driver": 0.001, "store": 0.002, "customs": 0.05}


class Ramp(FlowState):
    """Shipments at the ramp, and those that left."""

    shipments: list[str] = Field(default_factory=lambda: ["steel", "paper"])
    left: list[str] = Field(default_factory=list)


async def signature(who: str, shipment: str) -> str:
    """Stands for a form on somebody's desk."""
    await anyio.sleep(SECONDS[who])
    return f"{who} signed for {shipment}"


class Shipping(Flow[Ramp]):
    """``release`` fires at the second signature, and for the next after the third."""

    @start()
    async def open_ramp(self): ...

    @listen(or_(open_ramp, "next shipment"))
    async def load(self) -> str:
        return self.state.shipments[len(self.state.left)]

    @listen(load)
    async def driver(self, shipment: str) -> str:
        return await signature("driver", shipment)

    @listen(load)
    async def store(self, shipment: str) -> str:
        return await signature("store", shipment)

    @listen(load)
    async def customs(self, shipment: str) -> str:
        return await signature("customs", shipment)

    @router(any_of(2, driver, store, customs, rest="block"), emit=["next shipment"])
    async def release(
        self,
        driver: str | None = None,
        store: str | None = None,
        customs: str | None = None,
    ):
        signed = [each for each in (driver, store, customs) if each is not None]
        self.state.left.append(" and ".join(signed))
        more = len(self.state.left) < len(self.state.shipments)
        return "next shipment" if more else None


def main():
    """Two shipments: the second is not released before customs signed the first."""
    shipping = Shipping()
    shipping.kickoff()
    print(*[step for step, *_ in shipping.run.history])
    print(*shipping.state.left, sep="\n")


if __name__ == "__main__":
    main()
