"""Letters of complaint: each is given a topic, then each topic is summed up.

python -m examples.at_scale.map_reduce
"""

from collections import defaultdict

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, each, gather, listen, start

SECONDS = {"model": 0.001}
WORDS = {"late": "delivery", "torn": "packing", "twice": "invoice"}


class Mail(FlowState):
    """What came today."""

    letters: list[str] = Field(
        default_factory=lambda: [
            "the lamp came late",
            "charged twice",
            "the box was torn",
            "a week late",
        ]
    )


async def topic_of(letter: str) -> str:
    """Stands for a call of a model that classifies."""
    await anyio.sleep(SECONDS["model"])
    return next((WORDS[word] for word in letter.split() if word in WORDS), "other")


class Complaints(Flow[Mail]):
    """Two groups behind each other, and a plain step that sorts between them."""

    @start()
    def letters(self) -> list[str]:
        return self.state.letters

    @listen(each(letters, limit=20))  # map
    async def classify(self, letter: str) -> tuple[str, str]:
        return await topic_of(letter), letter

    @listen(gather(classify))
    def by_topic(self, classified: list[tuple[str, str]]) -> list[tuple]:
        topics = defaultdict(list)
        for topic, letter in classified:
            topics[topic].append(letter)
        return sorted(topics.items())

    @listen(each(by_topic, limit=20))  # reduce
    async def sum_up(self, topic: tuple[str, list[str]]) -> str:
        name, letters = topic
        await anyio.sleep(SECONDS["model"])
        return f"{name}: {len(letters)}, first '{letters[0]}'"

    @listen(gather(sum_up))
    def report(self, topics: list[str]) -> list[str]:
        return topics


def main():
    """Four letters, three topics."""
    print(*Complaints().kickoff(), sep="\n")


if __name__ == "__main__":
    main()
