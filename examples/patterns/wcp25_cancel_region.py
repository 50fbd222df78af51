"""In a crisis a rush procedure runs beside the daily work; when all is calm, it ends.

python -m examples.patterns.wcp25_cancel_region
"""

from flowkit import Flow, Region, and_, event, listen, start

rush = Region("rush")


class Hospital(Flow, evict_after=0):
    """All that stands in the region is removed, wherever it is; nothing outside is."""

    @start()
    async def admit(self): ...

    @listen(event("alarm"), region=rush)
    async def call_staff(self):
        return await self.wait_for("staff there")

    @listen(event("alarm"), region=rush)
    async def free_beds(self):
        return "beds free"

    @listen(and_(call_staff, free_beds), region=rush)
    async def open_ward(self):
        return "ward open"

    @listen(event("calm"), cancels=[rush])
    async def back_to_normal(self):
        return "back to normal"

    @listen(event("end of day"))
    async def hand_over(self):
        done = [each for each in self.method_outputs if each is not None]
        self.stop(done)


def main():
    """The first alarm is false; the second one finds nothing left of it."""
    hospital = Hospital(store="memory:")
    hospital.kickoff()
    for name in ("alarm", "calm", "alarm", "staff there", "end of day"):
        print(name, "-", "taken" if hospital.send(name, name) else "nobody waits")
    print(*hospital.run.result, sep=", ")


if __name__ == "__main__":
    main()
