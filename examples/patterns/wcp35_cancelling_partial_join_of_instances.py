"""Two translations are enough; the others are not paid for any longer.

python -m examples.patterns.wcp35_cancelling_partial_join_of_instances
"""

import anyio

from flowkit import Flow, each, gather, listen, start

SECONDS = {"small": 0.001, "middle": 0.02, "large": 30, "huge": 60}


async def translate(model: str) -> str:
    """Stands for a paid call of a model."""
    await anyio.sleep(SECONDS[model])
    return f"by {model}"


class Translation(Flow):
    """At the second result the instances that still run are cancelled."""

    @start()
    async def models(self) -> list[str]:
        return list(SECONDS)

    @listen(each(models))
    async def ask(self, model: str) -> str:
        return await translate(model)

    @listen(gather(ask, 2, rest="cancel"))
    async def compare(self, texts: list[str]) -> list[str]:
        return texts


def main():
    """Four models are asked; the slow ones would take a minute."""
    print(*Translation().kickoff(), sep=", ")


if __name__ == "__main__":
    main()
