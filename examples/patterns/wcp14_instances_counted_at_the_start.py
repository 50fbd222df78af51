"""The pages of a contract are read side by side, and reported in their order.

python -m examples.patterns.wcp14_instances_counted_at_the_start
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, each, gather, listen, start

SECONDS = {"page": 0.001}


class Contract(FlowState):
    """Its pages."""

    pages: list[str] = Field(default_factory=lambda: ["the parties", "the price", ""])


async def summary(page: str) -> str:
    """Stands for a call of a model."""
    await anyio.sleep(SECONDS["page"])
    return page or "(empty)"


class Review(Flow[Contract]):
    """As many instances as there are pages, at most eight of them at work."""

    @start()
    async def split_contract(self) -> list[str]:
        return self.state.pages

    @listen(each(split_contract, limit=8))
    async def read_page(self, page: str) -> str:
        return await summary(page)

    @listen(gather(read_page))
    async def report(self, pages: list[str]) -> str:
        return "; ".join(pages)


def main():
    """Three pages, and a contract without any."""
    print(Review().kickoff())
    print(repr(Review().kickoff({"pages": []})))


if __name__ == "__main__":
    main()
