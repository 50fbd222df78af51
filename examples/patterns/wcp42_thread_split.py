"""A paper is sent to three reviewers; three threads go through the same steps.

python -m examples.patterns.wcp42_thread_split
"""

from pydantic import Field

from flowkit import Flow, FlowState, listen, start, times


class Paper(FlowState):
    """Who reviews it."""

    reviewers: list[str] = Field(default_factory=lambda: ["Ada", "Grace", "Linus"])


class Conference(Flow[Paper]):
    """``invite`` emits three tokens; ``review`` fires for each of them."""

    @start(emits=["invited"])
    async def invite(self):
        for reviewer in self.state.reviewers:
            self.emit("invited", reviewer)

    @listen("invited")
    async def review(self, reviewer: str) -> str:
        return f"{reviewer}: accept"

    @listen(times(3, review))
    async def decide(self, reviews: list[str]) -> list[str]:
        return reviews


def main():
    """Three reviews, one decision."""
    print(*Conference().kickoff(), sep="\n")


if __name__ == "__main__":
    main()
