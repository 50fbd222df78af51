"""An offer is made from a price and whichever scan of the roof was run, if any.

python -m examples.patterns.wcp37_acyclic_synchronizing_merge
"""

import anyio

from flowkit import Flow, FlowState, all_active, listen, router, start

SECONDS = {"quick": 0.001, "deep": 0.01}


class Roof(FlowState):
    """What is known of it."""

    metres: int = 40
    old: bool = False
    steep: bool = False


async def scan(kind: str) -> str:
    """Stands for a drone that looks at the roof."""
    await anyio.sleep(SECONDS[kind])
    return f"{kind} scan"


class Solar(Flow[Roof]):
    """``offer`` waits for what can still come, through a choice within a choice."""

    @start()
    async def request(self): ...

    @listen(request)
    async def price(self) -> int:
        return 90 * self.state.metres

    @router(request, emit=["scan"])
    async def inspect(self):
        return "scan" if self.state.old or self.state.steep else None

    @router("scan", emit=["quick", "deep"])
    async def choose_scan(self):
        return "deep" if self.state.old else "quick"

    @listen("quick")
    async def quick_scan(self) -> str:
        return await scan("quick")

    @listen("deep")
    async def deep_scan(self) -> str:
        return await scan("deep")

    @listen(deep_scan)
    async def file_pictures(self): ...

    @listen(all_active(price, quick_scan, deep_scan))
    async def offer(
        self,
        price: int = 0,
        quick_scan: str | None = None,
        deep_scan: str | None = None,
    ) -> str:
        return f"{price} euros, {quick_scan or deep_scan or 'unseen'}"


def main():
    """Three roofs, three ways to the same offer."""
    for known in ({}, {"steep": True}, {"old": True}):
        solar = Solar()
        solar.kickoff(known)
        print(next(each for each in solar.run.outputs if "euros" in str(each)))


if __name__ == "__main__":
    main()
