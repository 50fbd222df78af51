"""Freight quotes: all carriers are asked, and who answers in time is compared.

python -m examples.at_scale.scatter_gather
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, each, gather, listen, start, timer

SECONDS = {"Post": 0.001, "Rail": 0.002, "Ship": 30}
EUROS = {"Post": 70, "Rail": 55, "Ship": 20}


class Freight(FlowState):
    """Who is asked."""

    carriers: list[str] = Field(default_factory=lambda: ["Post", "Rail", "Ship"])


async def quote_of(carrier: str) -> tuple[int, str]:
    """Stands for a call of a carrier's API."""
    await anyio.sleep(SECONDS[carrier])
    return EUROS[carrier], carrier


class Quotes(Flow[Freight]):
    """A group with a deadline: `complete` goes on with what is there."""

    @start()
    def tender(self) -> list[str]:
        return self.state.carriers

    @listen(each(tender))
    async def ask(self, carrier: str) -> tuple[int, str]:
        return await quote_of(carrier)

    @listen(timer(after=tender, delay=0.5))
    async def deadline(self):
        self.complete("ask")

    @listen(gather(ask), cancels=[deadline])  # all in before it: nobody waits for it
    async def choose(self, quotes: list[tuple[int, str]]) -> str:
        if not quotes:
            self.abort("no carrier answered in time")
        euros, carrier = min(quotes)
        return f"{carrier} for {euros} euros, of {len(quotes)} quotes"


def main():
    """The ship would be the cheapest, but takes half a minute to say so."""
    print(Quotes().kickoff())


if __name__ == "__main__":
    main()
