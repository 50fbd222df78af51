"""A visitor is let in on the first of two checks; the next one when both are in.

python -m examples.patterns.wcp28_blocking_discriminator
"""

import anyio
from pydantic import Field

from flowkit import Flow, FlowState, any_of, listen, or_, router, start

SECONDS = {"badge": 0.001, "escort": 0.05}


class Queue(FlowState):
    """Who waits at the gate, and who was let in."""

    visitors: list[str] = Field(default_factory=lambda: ["Ada", "Grace"])
    inside: list[str] = Field(default_factory=list)


async def check(what: str, visitor: str) -> str:
    """Stands for the badge reader, and for a call to whoever is visited."""
    await anyio.sleep(SECONDS[what])
    return f"{visitor}, by {what}"


class Gate(Flow[Queue]):
    """Rounds never overlap: each is complete before the next one fires."""

    @start()
    async def open_gate(self): ...

    @listen(or_(open_gate, "next visitor"))
    async def greet(self) -> str:
        return self.state.visitors[len(self.state.inside)]

    @listen(greet)
    async def badge_ok(self, visitor: str) -> str:
        return await check("badge", visitor)

    @listen(greet)
    async def escort_ok(self, visitor: str) -> str:
        return await check("escort", visitor)

    @router(any_of(1, badge_ok, escort_ok, rest="block"), emit=["next visitor"])
    async def admit(self, checked: str):
        self.state.inside.append(checked)
        more = len(self.state.inside) < len(self.state.visitors)
        return "next visitor" if more else None


def main():
    """Two visitors: the second is let in when the escort of the first has come."""
    gate = Gate()
    gate.kickoff()
    print(*[step for step, *_ in gate.run.history])
    print(*gate.state.inside, sep="\n")


if __name__ == "__main__":
    main()
