"""A search index: documents are embedded 500 at a call, four calls at a time.

python -m examples.at_scale.batches
"""

import anyio

from flowkit import Flow, FlowState, each, gather, listen, start

SECONDS = {"model": 0.001}


class Shelf(FlowState):
    """How many documents there are."""

    documents: int = 1_234


async def embedded(texts: list[str]) -> list[int]:
    """Stands for a call of an embedding model, which takes many texts at once."""
    await anyio.sleep(SECONDS["model"])
    return [len(text) for text in texts]


class Index(Flow[Shelf]):
    """An instance of the group is a batch; the last one may be shorter."""

    @start()
    async def documents(self):
        for number in range(self.state.documents):
            yield f"document {number}"

    @listen(each(documents, batch=500, limit=4))
    async def embed(self, texts: list[str]) -> list[int]:
        return await embedded(texts)

    @listen(gather(embed))
    async def build(self, batches: list[list[int]]) -> str:
        sizes = [len(batch) for batch in batches]
        return f"{sum(sizes)} documents in batches of {sizes}"


def main():
    """Three calls for 1,234 documents."""
    print(Index().kickoff())


if __name__ == "__main__":
    main()
