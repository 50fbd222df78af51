"""A document is searched for in the archive, until it turns up somewhere else.

python -m examples.patterns.wcp19_cancel_task
"""

from flowkit import Flow, event, listen, or_, start


class Search(Flow, evict_after=0):
    """``use_found`` stops one step, wherever it stands; the rest of the run goes on."""

    @start()
    async def ask(self): ...

    @listen(ask)
    async def search_archive(self) -> str:
        return await self.wait_for("archive answered")

    @listen(search_archive)
    async def copy(self, document: str) -> str:
        return f"a copy of {document}"

    @listen(event("found", optional=True), cancels=[search_archive])
    async def use_found(self, document: str) -> str:
        return document

    @listen(or_(copy, use_found))
    async def read(self, document: str) -> str:
        return f"read {document}"


def main():
    """It turns up on a desk; the archive's answer is no longer waited for."""
    search = Search(store="memory:")
    search.kickoff()
    search.send("found", "the original")
    print(search.run.result)
    print("archive's answer taken:", search.send("archive answered", "nothing"))


if __name__ == "__main__":
    main()
