"""Suppliers are asked for offers, until it turns out that the list was the wrong one.

python -m examples.patterns.wcp26_cancel_instances
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, each, gather, listen, start

SECONDS = {"North": 0.001, "East": 30, "South": 30, "check": 0.05}


class Tender(FlowState):
    """Who is asked."""

    suppliers: list[str] = Field(default_factory=lambda: ["North", "East", "South"])


async def offer(supplier: str) -> str:
    """Stands for a request to a supplier."""
    await anyio.sleep(SECONDS[supplier])
    return f"offer of {supplier}"


class Purchase(Flow[Tender]):
    """The group is withdrawn as a whole: also what had come in is dropped."""

    @start()
    async def open_tender(self) -> list[str]:
        return self.state.suppliers

    @listen(each(open_tender))
    async def request(self, supplier: str) -> str:
        return await offer(supplier)

    @listen(gather(request))
    async def compare(self, offers: list[str]) -> list[str]:
        return offers

    @listen(open_tender)
    async def check_list(self):
        await anyio.sleep(SECONDS["check"])
        self.cancel(Purchase.request)
        return "the list is last year's"


def main():
    """One offer has come when the list is found to be wrong."""
    purchase = Purchase()
    print(purchase.kickoff())
    print(*[step for step, *_ in purchase.run.history])


if __name__ == "__main__":
    main()
