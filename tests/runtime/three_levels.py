"""Three levels of flows for tests of sub-flows."""

from __future__ import annotations

from flowkit import Flow, listen, start


class Leaf(Flow, evict_after=0):
    """Waits for an event."""

    @start()
    async def ask(self):
        return await self.wait_for("approved")


class Middle(Flow, evict_after=0):
    """The level between."""

    @start()
    async def pass_on(self):
        return f"middle {await self.call(Leaf)}"


class Root(Flow, evict_after=0):
    """Three levels."""

    @start()
    async def begin(self):
        return f"root {await self.call(Middle)}"

    @listen(begin)
    async def end(self, got):
        return f"{got}!"
