"""Once fraud is proven, nothing else about the claim matters any more.

python -m examples.patterns.wcp43_explicit_termination
"""

import anyio

from flowkit import Flow, FlowState, listen, router, start

SECONDS = {"register": 0.001, "expert": 0.02}


class Claim(FlowState):
    """Who claims."""

    holder: str = "Ada"


async def on_a_list(holder: str) -> bool:
    """Stands for a look into a register."""
    await anyio.sleep(SECONDS["register"])
    return holder == "Mallory"


async def valued() -> int:
    """Stands for an expert's report, which takes its time."""
    await anyio.sleep(SECONDS["expert"])
    return 700


class Investigation(Flow[Claim]):
    """``close`` ends the run, well and with a result; what still runs is cancelled."""

    @start()
    async def receive(self): ...

    @listen(receive)
    async def value_damage(self) -> int:
        return await valued()

    @listen(value_damage)
    async def pay(self, euros: int) -> dict:
        return {"outcome": "paid", "euros": euros}

    @router(receive, emit=["fraud proven"])
    async def look_up(self):
        return "fraud proven" if await on_a_list(self.state.holder) else None

    @listen("fraud proven")
    async def close(self):
        self.stop({"outcome": "fraud"})


def main():
    """An honest claim, and one whose expert would take half a minute."""
    print(Investigation().kickoff())
    fraud = Investigation()
    SECONDS["expert"] = 30
    print(fraud.kickoff({"holder": "Mallory"}), "-", fraud.run.status)


if __name__ == "__main__":
    main()
