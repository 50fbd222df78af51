"""One robot picks, packs and labels: picking before packing, never two at a time.

python -m examples.patterns.wcp17_interleaved_parallel_routing
"""

import anyio

from flowkit import Flow, and_, listen, start

SECONDS = {"pick": 0.002, "pack": 0.002, "label": 0.002}


async def robot(work: str):
    """Stands for the robot."""
    print(f"{work}: begun")
    await anyio.sleep(SECONDS[work])
    print(f"{work}: done")


class Warehouse(Flow):
    """The order among the steps is in their triggers, the robot in ``mutex``."""

    @start()
    async def order(self): ...

    @listen(order, mutex="robot")
    async def pick(self):
        await robot("pick")

    @listen(pick, mutex="robot")
    async def pack(self):
        await robot("pack")

    @listen(order, mutex="robot")
    async def label(self):
        await robot("label")

    @listen(and_(pack, label))
    async def ship(self):
        print("shipped")


def main():
    """One order."""
    Warehouse().kickoff()


if __name__ == "__main__":
    main()
