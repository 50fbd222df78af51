"""A deposit and an insurance share one card terminal, each for all of its steps.

python -m examples.patterns.wcp39_critical_section
"""

import anyio

from flowkit import Flow, Region, and_, listen, start

SECONDS = {"charge": 0.001, "receipt": 0.002, "premium": 0.001}
deposit = Region("deposit", mutex="terminal")
insurance = Region("insurance", mutex="terminal")


async def terminal(work: str):
    """Stands for the card terminal."""
    print(work)
    await anyio.sleep(SECONDS[work])


class Rental(Flow):
    """While one region is at work, the other one waits, between its steps, too."""

    @start()
    async def hold_car(self): ...

    @listen(hold_car, region=deposit)
    async def charge(self):
        await terminal("charge")

    @listen(charge, region=deposit)
    async def receipt(self):
        await terminal("receipt")

    @listen(hold_car, region=insurance)
    async def premium(self):
        await terminal("premium")

    @listen(and_(receipt, premium))
    async def hand_over(self):
        print("the keys, please")


def main():
    """One rental."""
    Rental().kickoff()


if __name__ == "__main__":
    main()
