"""Vehicle registrations are filed with the office in batches of ten.

python -m examples.patterns.wcp41_thread_merge
"""

from pydantic import BaseModel, Field

from flowkit import Flow, FlowState, listen, or_, router, start, times


class Registration(BaseModel):
    """One vehicle."""

    plate: str


class Counter(FlowState):
    """How many come today, how many were taken in, and the batches filed."""

    today: int = 25
    taken: int = 0
    batches: list[list[str]] = Field(default_factory=list)


class Office(Flow[Counter]):
    """Ten tokens of one branch become one, as often as there are ten."""

    @start()
    async def open_counter(self): ...

    @listen(or_(open_counter, "next please"))
    async def take_in(self) -> Registration:
        self.state.taken += 1
        return Registration(plate=f"B-{self.state.taken:02}")

    @router(take_in, emit=["next please"])
    async def call_next(self):
        return "next please" if self.state.taken < self.state.today else None

    @listen(times(10, take_in))
    async def file(self, registrations: list[Registration]):
        self.state.batches.append([each.plate for each in registrations])


def main():
    """Twenty-five come: two batches, and five stay on the desk."""
    office = Office()
    office.kickoff()
    for batch in office.state.batches:
        print(batch[0], "to", batch[-1])
    print(*office.run.stuck, sep="\n")


if __name__ == "__main__":
    main()
