"""Each chapter is drafted on the first search result; the slower one is not missed.

python -m examples.patterns.wcp09_structured_discriminator
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, any_of, listen, or_, router, start

SECONDS = {"web": 0.001, "library": 0.02}


class Book(FlowState):
    """Chapters to write and the drafts so far."""

    chapters: list[str] = Field(default_factory=lambda: ["tides", "moons", "rings"])
    drafts: list[str] = Field(default_factory=list)


async def search(place: str, topic: str) -> str:
    """Stands for a search; the web is quicker than the library."""
    await anyio.sleep(SECONDS[place])
    return f"{topic}, from the {place}"


class Writer(Flow[Book]):
    """``draft`` runs once a chapter, on the earlier of two results."""

    @start()
    async def outline(self): ...

    @listen(or_(outline, "next chapter"))
    async def begin_chapter(self) -> str:
        return self.state.chapters[len(self.state.drafts)]

    @listen(begin_chapter)
    async def search_web(self, chapter: str) -> str:
        return await search("web", chapter)

    @listen(begin_chapter)
    async def search_library(self, chapter: str) -> str:
        return await search("library", chapter)

    @router(any_of(1, search_web, search_library), emit=["next chapter"])
    async def draft(self, hits: str):
        self.state.drafts.append(hits)
        more = len(self.state.drafts) < len(self.state.chapters)
        return "next chapter" if more else None


def main():
    """Three chapters: three drafts, though six searches ran."""
    writer = Writer()
    writer.kickoff()
    print(*writer.state.drafts, sep="\n")
    searches = [step for step, *_ in writer.run.history if step.startswith("search")]
    print(len(searches), "searches ended")


if __name__ == "__main__":
    main()
