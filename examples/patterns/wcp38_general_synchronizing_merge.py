"""A report is published when the lawyers, after any redos, and tax are through.

python -m examples.patterns.wcp38_general_synchronizing_merge
"""

from pydantic import Field

from flowkit import Flow, FlowState, all_active, listen, or_, router, start


class Report(FlowState):
    """Topics to be checked, and how often the lawyers will want it redone."""

    topics: list[str] = Field(default_factory=lambda: ["legal", "tax"])
    redos: int = 2
    versions: int = 1


class Publishing(Flow[Report]):
    """``publish`` waits as long as a turn of the loop above it may still come."""

    @start()
    async def write(self): ...

    @router(write, emit=["legal", "tax"])
    async def ask(self):
        return self.state.topics

    @router(or_("legal", "redo"), emit=["redo", "legal_ok"])
    async def review(self):
        if self.state.versions > self.state.redos:
            return "legal_ok"
        self.state.versions += 1
        return "redo"

    @listen("tax")
    async def tax_memo(self) -> str:
        return "tax is fine"

    @listen(all_active("legal_ok", tax_memo))
    async def publish(self):
        return f"version {self.state.versions}"


def main():
    """Two redos, none, and no lawyer at all."""
    for known in ({}, {"redos": 0}, {"topics": ["tax"]}):
        print(Publishing().kickoff(known))


if __name__ == "__main__":
    main()
