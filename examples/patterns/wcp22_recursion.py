"""A text is summarised by halves, each by the same flow, until it is short enough.

python -m examples.patterns.wcp22_recursion
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, listen, start

SECONDS = {"model": 0.001}
SHORT = 3


class Text(FlowState):
    """Each level has its own."""

    words: list[str] = Field(default_factory=list)


async def shortened(words: list[str]) -> list[str]:
    """Stands for a call of a model: the longest of a few words."""
    await anyio.sleep(SECONDS["model"])
    return [max(words, key=len)]


class Summary(Flow[Text]):
    """``summarize`` calls the flow that it is a part of."""

    @start()
    async def read(self) -> list[str]:
        return self.state.words

    @listen(read)
    async def summarize(self, words: list[str]) -> list[str]:
        if len(words) <= SHORT:
            return await shortened(words)
        half = len(words) // 2
        first = await self.call(Summary, {"words": words[:half]})
        second = await self.call(Summary, {"words": words[half:]})
        return first + second


def main():
    """Eight words are three levels deep."""
    text = "the sea is deepest in the western Pacific"
    print(Summary().kickoff({"words": text.split()}))


if __name__ == "__main__":
    main()
