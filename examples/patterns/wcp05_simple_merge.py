"""Whatever was decided on a claim, its holder is told, and the next one comes up.

python -m examples.patterns.wcp05_simple_merge
"""

from pydantic import Field

from flowkit import Flow, FlowState, listen, or_, router, start


class Pile(FlowState):
    """Claims of the day, as euros, and what their holders were told."""

    claims: list[int] = Field(default_factory=list)
    told: list[str] = Field(default_factory=list)


class Day(Flow[Pile]):
    """Two branches become one again, once for each claim."""

    @start()
    def open_desk(self): ...

    @router(or_(open_desk, "next"), emit=["pay", "refuse"])
    def decide(self):
        if not self.state.claims:
            return None
        return "pay" if self.state.claims[0] < 1_000 else "refuse"

    @listen("pay")
    def transfer(self):
        return f"{self.state.claims[0]} euros are yours"

    @listen("refuse")
    def explain(self):
        return f"{self.state.claims[0]} euros are too much"

    @router(or_(transfer, explain), emit=["next"])
    def notify(self, message: str):
        self.state.told.append(message)
        self.state.claims.pop(0)
        return "next"


def main():
    """Work three claims off."""
    day = Day()
    day.kickoff({"claims": [300, 4_000, 50]})
    print(*day.state.told, sep="\n")


if __name__ == "__main__":
    main()
