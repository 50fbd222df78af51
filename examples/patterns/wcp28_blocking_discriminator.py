"""A visitor is let in on the first of two checks; the next one when both are in.

python -m examples.patterns.wcp28_blocking_discriminator
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, any_of, listen, or_, router, start


class Queue(FlowState):
    """Who waits at the gate, and who was let in."""

    visitors: list[str] = Field(default_factory=lambda: ["Ada", "Grace", "Linus"])
    inside: list[str] = Field(default_factory=list)

    @property
    def visitor(self) -> str:
        """Who is next."""
        return self.visitors[len(self.inside)]


async def check(what: str, visitor: str) -> str:
    """Stands for the badge reader, and for a call to whoever is visited."""
    await anyio.sleep(0.001 if what == "badge" else 0.004)
    return f"{visitor}, by {what}"


class Gate(Flow[Queue]):
    """Rounds never overlap: each is complete before the next one fires."""

    @start()
    async def open_gate(self): ...

    @listen(or_(open_gate, "next visitor"))
    async def badge_ok(self) -> str:
        return await check("badge", self.state.visitor)

    @listen(or_(open_gate, "next visitor"))
    async def escort_ok(self) -> str:
        return await check("escort", self.state.visitor)

    @router(any_of(1, badge_ok, escort_ok, rest="block"), emit=["next visitor"])
    async def admit(self, checked: str):
        self.state.inside.append(checked)
        more = len(self.state.inside) < len(self.state.visitors)
        return "next visitor" if more else None


def main():
    """Three visitors; the escort of one has come before the next is let in."""
    gate = Gate()
    gate.kickoff()
    print(*[step for step, *_ in gate.run.history if step != "open_gate"])
    print(*gate.state.inside, sep="\n")


if __name__ == "__main__":
    main()
