"""Two of the readers' letters are enough for the paper; the others are read, too.

python -m examples.patterns.wcp34_static_partial_join_of_instances
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, each, gather, listen, start

SECONDS = {"Ada": 0.001, "Grace": 0.04, "Linus": 0.02}


class Post(FlowState):
    """Who has written."""

    letters: list[str] = Field(default_factory=lambda: list(SECONDS))


async def summary(letter: str) -> str:
    """Stands for a call of a model."""
    await anyio.sleep(SECONDS[letter])
    return f"{letter} likes it"


class Letters(Flow[Post]):
    """``print_page`` fires at the second result, once; the rest ends unheard."""

    @start()
    async def open_post(self) -> list[str]:
        return self.state.letters

    @listen(each(open_post))
    async def read(self, letter: str) -> str:
        return await summary(letter)

    @listen(gather(read, 2))
    async def print_page(self, letters: list[str]):
        print(*letters, sep=", ")


def main():
    """Three letters, of which two are printed and all three read."""
    letters = Letters()
    letters.kickoff()
    print(*[step for step, *_ in letters.run.history])


if __name__ == "__main__":
    main()
