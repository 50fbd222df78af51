"""Leads are qualified while more of them come in, some named by the leads themselves.

python -m examples.patterns.wcp15_instances_added_while_running
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, each, gather, listen, start

SECONDS = {"page": 0.001, "call": 0.002}


class Fair(FlowState):
    """Who left a card at our stand, and whom they know."""

    cards: list[str] = Field(default_factory=lambda: ["Ada", "Grace", "Linus"])
    knows: dict[str, list[str]] = Field(default_factory=lambda: {"Grace": ["Edsger"]})


class Campaign(Flow[Fair]):
    """A source that yields, and instances that spawn others: all of them are joined."""

    @start()
    async def plan(self): ...

    @listen(plan)
    async def leads(self):
        for lead in self.state.cards:
            await anyio.sleep(SECONDS["page"])
            yield lead

    @listen(each(leads))
    async def qualify(self, lead: str) -> str:
        await anyio.sleep(SECONDS["call"])
        for friend in self.state.knows.get(lead, ()):
            self.spawn(Campaign.qualify, friend)
        return f"{lead}: good"

    @listen(gather(qualify))
    async def write_report(self, leads: list[str]) -> list[str]:
        return leads


def main():
    """Three cards, one referral, one report."""
    print(*Campaign().kickoff(), sep="\n")


if __name__ == "__main__":
    main()
