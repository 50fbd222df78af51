"""A contract is read page by page; when time is up, what was read has to do.

python -m examples.patterns.wcp27_complete_instances
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, each, gather, listen, start

SECONDS = {"parties": 0.001, "price": 0.002, "appendix": 30, "patience": 0.2}


class Contract(FlowState):
    """Its pages."""

    pages: list[str] = Field(default_factory=lambda: ["parties", "appendix", "price"])


async def summary(page: str) -> str:
    """Stands for a call of a model."""
    await anyio.sleep(SECONDS[page])
    return f"{page} read"


class Review(Flow[Contract]):
    """What is left is withdrawn, and it goes on as if all instances were done."""

    @start()
    async def split_contract(self) -> list[str]:
        return self.state.pages

    @listen(each(split_contract))
    async def read_page(self, page: str) -> str:
        return await summary(page)

    @listen(split_contract)
    async def time_is_up(self):
        await anyio.sleep(SECONDS["patience"])
        self.complete(Review.read_page)

    @listen(gather(read_page))
    async def report(self, pages: list[str]) -> str:
        return ", ".join(pages)


def main():
    """The appendix would take half a minute."""
    print(Review().kickoff())


if __name__ == "__main__":
    main()
