"""Every monitored address is probed at once, and nobody waits for the probes.

python -m examples.patterns.wcp12_instances_without_synchronization
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, each, listen, start

SECONDS = {"shop.example": 0.001, "mail.example": 0.02, "wiki.example": 0.04}


class Watch(FlowState):
    """What is watched."""

    addresses: list[str] = Field(default_factory=lambda: list(SECONDS))


async def probe(address: str) -> bool:
    """Stands for a request that shows whether somebody answers."""
    await anyio.sleep(SECONDS[address])
    return not address.startswith("wiki")


class Monitoring(Flow[Watch]):
    """One firing of ``ping`` for each address; no ``gather`` waits for them."""

    @start()
    async def due(self) -> list[str]:
        return self.state.addresses

    @listen(each(due))
    async def ping(self, address: str) -> str:
        return f"{address} {'is up' if await probe(address) else 'is DOWN'}"

    @listen(ping)
    async def show(self, line: str):
        print(line)

    @listen(due)
    async def plan_next(self):
        print("next round in a minute")


def main():
    """Three addresses; planning the next round does not wait for them."""
    Monitoring().kickoff()


if __name__ == "__main__":
    main()
