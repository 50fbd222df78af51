"""Three sources side by side, one state, one join.

python examples/parallel_join.py
"""

import operator
from typing import Annotated

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, and_, listen, start


class Findings(FlowState):
    """What parallel steps write, and how it is joined."""

    calls: Annotated[int, operator.add] = 0
    sources: list[str] = Field(default_factory=list)


class Research(Flow[Findings]):
    """``web`` and ``books`` wait on the event loop, ``notes`` works in a thread."""

    @start()
    async def web(self):
        await anyio.sleep(0.02)
        return self.found("web", calls=2)

    @start()
    async def books(self):
        await anyio.sleep(0.01)
        return self.found("books", calls=1)

    @start()
    def notes(self):
        return self.found("notes", calls=1)

    def found(self, source: str, calls: int) -> str:
        """Note a source; a plain method, called by steps."""
        self.state.calls += calls
        self.state.sources.append(source)
        return f"a page of {source}"

    @listen(and_(web, books, notes))
    def write(self, web: str, books: str, notes: str):
        return f"{web}, {books}, {notes}"


if __name__ == "__main__":
    research = Research()
    print(research.kickoff())
    print(f"{research.state.calls} calls, {len(research.state.sources)} sources")
