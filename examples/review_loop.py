"""A draft that a router sends back until it is good, or gives up on.

python examples/review_loop.py
"""

from typing import Literal

from flowkit import Flow, FlowState, listen, or_, router, start


class Draft(FlowState):
    """What the steps share."""

    topic: str
    text: str = ""
    rounds: int = 0
    most: int = 4


class Review(Flow[Draft]):
    """Write, judge, and write again over the label ``again``."""

    @start()
    def outline(self):
        self.state.text = f"On {self.state.topic}."

    @listen(or_(outline, "again"))
    def write(self):
        self.state.rounds += 1
        self.state.text += " More."
        return len(self.state.text.split())

    @router(write)
    def judge(self, words: int) -> Literal["again", "good", "give up"]:
        print(f"round {self.state.rounds}: {words} words")
        if words > 4:
            return "good"
        return "again" if self.state.rounds < self.state.most else "give up"

    @listen("good")
    def publish(self):
        return self.state.text

    @listen("give up")
    def drop(self):
        return "dropped"


if __name__ == "__main__":
    print(Review().kickoff({"topic": "tides"}))
    print(Review().kickoff({"topic": "tides", "most": 1}))
