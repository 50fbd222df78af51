"""A customer accepts a quote, rejects it, or lets two weeks pass.

python -m examples.patterns.wcp16_deferred_choice
"""

from typing import Literal

from flowkit import Flow, FlowState, listen, router, start


class Quote(FlowState):
    """What is offered."""

    item: str = "a garden shed"
    euros: int = 2_400


class Offer(Flow[Quote], evict_after=0):
    """The first of two events and a deadline decides; the others are withdrawn."""

    @start()
    async def send_quote(self):
        return f"{self.state.item} for {self.state.euros} euros"

    @router(send_quote)
    async def answer(self) -> Literal["accepted", "rejected", "expired"]:
        try:
            came = await self.wait_any("accept", "reject", timeout="14d")
        except TimeoutError:
            return "expired"
        return "accepted" if came.name == "accept" else "rejected"

    @listen("accepted")
    async def build(self):
        return f"{self.state.item} will be built"

    @listen("rejected")
    async def thank(self):
        return "thank you for your time"

    @listen("expired")
    async def ask_again(self):
        return "are you still interested?"


def main():
    """The customer rejects, and then thinks better of it: too late for this run."""
    offer = Offer(store="memory:")
    offer.kickoff()
    print(offer.run.status, "for", *offer.run.awaits)
    print("reject taken:", offer.send("reject"))
    print("accept taken:", offer.send("accept"))
    print(offer.run.result)


if __name__ == "__main__":
    main()
