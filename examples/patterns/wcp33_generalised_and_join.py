"""Two production lines run at their own pace; engines and bodies meet in pairs.

python -m examples.patterns.wcp33_generalised_and_join
"""

from pydantic import Field

from flowkit import Flow, FlowState, and_, listen, or_, router, start


class Plan(FlowState):
    """What the lines make in this shift, and the cars that came of it."""

    engines: list[str] = Field(default_factory=lambda: ["E1", "E2", "E3"])
    bodies: list[str] = Field(default_factory=lambda: ["B1", "B2"])
    cars: list[str] = Field(default_factory=list)


class Factory(Flow[Plan]):
    """``assemble`` pairs the k-th engine with the k-th body; surplus parts are kept."""

    @start()
    async def begin_shift(self): ...

    @listen(or_(begin_shift, "next engine"))
    async def engine(self) -> str:
        return self.state.engines.pop(0)

    @router(engine, emit=["next engine"])
    async def engine_line(self):
        return "next engine" if self.state.engines else None

    @listen(or_(begin_shift, "next body"))
    async def body(self) -> str:
        return self.state.bodies.pop(0)

    @router(body, emit=["next body"])
    async def body_line(self):
        return "next body" if self.state.bodies else None

    @listen(and_(engine, body))
    async def assemble(self, engine: str, body: str):
        self.state.cars.append(f"{engine}+{body}")
        return self.state.cars


def main():
    """Three engines, two bodies: two cars, and a report on what is left."""
    factory = Factory()
    factory.kickoff()
    print(*factory.state.cars)
    print(*factory.run.stuck, sep="\n")


if __name__ == "__main__":
    main()
