"""A claim is paid, refused, or given to a person: exactly one of the three.

python -m examples.patterns.wcp04_exclusive_choice
"""

from typing import Literal

from flowkit import Flow, FlowState, listen, router, start


class Scored(FlowState):
    """What earlier steps have found."""

    euros: int = 0
    fraud: float = 0.0


class Payout(Flow[Scored]):
    """``decide`` returns one label; the listener of that label runs."""

    @start()
    def read(self) -> float:
        return self.state.fraud

    @router(read)
    def decide(self, fraud: float) -> Literal["pay", "refuse", "ask"]:
        if fraud < 0.3:
            return "pay"
        return "refuse" if fraud > 0.8 else "ask"

    @listen("pay")
    def transfer(self):
        return f"{self.state.euros} euros are on their way"

    @listen("refuse")
    def write_refusal(self):
        return "we cannot pay this"

    @listen("ask")
    def give_to_expert(self):
        return "an expert will look at it"


def main():
    """Three claims, three branches."""
    for fraud in (0.1, 0.5, 0.9):
        print(fraud, "->", Payout().kickoff({"euros": 300, "fraud": fraud}))


if __name__ == "__main__":
    main()
