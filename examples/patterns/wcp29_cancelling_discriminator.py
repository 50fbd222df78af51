"""Three models race for a reply; the two that lose are stopped at once.

python -m examples.patterns.wcp29_cancelling_discriminator
"""

import anyio

from flowkit import Flow, FlowState, any_of, listen, start

SECONDS = {"small": 0.001, "middle": 5, "large": 30}


class Chat(FlowState):
    """What the user asked."""

    question: str = "How deep is the sea?"


async def complete(model: str, question: str) -> str:
    """Stands for a paid call; when it is cancelled, its connection is closed."""
    try:
        await anyio.sleep(SECONDS[model])
    except anyio.get_cancelled_exc_class():
        print(f"{model}: stopped")
        raise
    return f"{model} on {question!r}"


class Race(Flow[Chat]):
    """The first branch goes on; what only serves the others is cancelled."""

    @start()
    async def ask(self) -> str:
        return self.state.question

    @listen(ask)
    async def small(self, question: str) -> str:
        return await complete("small", question)

    @listen(ask)
    async def middle(self, question: str) -> str:
        return await complete("middle", question)

    @listen(ask)
    async def large(self, question: str) -> str:
        return await complete("large", question)

    @listen(large)
    async def polish(self, text: str) -> str:
        return text.upper()

    @listen(any_of(1, small, middle, polish, rest="cancel"))
    async def reply(self, text: str) -> str:
        return text


def main():
    """The small model is the quickest; nobody waits for the others."""
    print(Race().kickoff())


if __name__ == "__main__":
    main()
