"""Shifts are run as long as there is fuel, and samples taken until one is clean.

python -m examples.patterns.wcp21_structured_loop
"""

from pydantic import Field

from flowkit import Flow, FlowState, listen, start


class Plant(FlowState):
    """What the tank holds, and what the laboratory found."""

    fuel: int = 3
    shifts: int = 0
    dirt: list[int] = Field(default_factory=lambda: [5, 2, 0])
    samples: int = 0


class Production(Flow[Plant]):
    """One way in, one way out: ``while_`` tests before a turn, ``until`` after it."""

    @start()
    async def fill_tank(self): ...

    @listen(fill_tank, while_=lambda plant: plant.fuel > 0)
    async def run_shift(self):
        self.state.fuel -= 1
        self.state.shifts += 1

    @listen(run_shift, until=lambda plant: plant.dirt[plant.samples - 1] == 0)
    async def take_sample(self):
        self.state.samples += 1

    @listen(take_sample)
    async def close(self):
        return f"{self.state.shifts} shifts, {self.state.samples} samples"


def main():
    """A full tank, and an empty one."""
    print(Production().kickoff())
    print(Production().kickoff({"fuel": 0}))


if __name__ == "__main__":
    main()
