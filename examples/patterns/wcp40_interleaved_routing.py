"""One technician does three checks on a machine, in any order, one at a time.

python -m examples.patterns.wcp40_interleaved_routing
"""

import anyio

from flowkit import Flow, and_, listen, start

SECONDS = {"oil": 0.001, "belts": 0.002, "brakes": 0.001}


async def technician(check: str) -> str:
    """Stands for the technician."""
    print(f"{check}: begun")
    await anyio.sleep(SECONDS[check])
    print(f"{check}: done")
    return check


class Service(Flow):
    """Three steps that are ready at once, and one pair of hands."""

    @start()
    async def stop_machine(self): ...

    @listen(stop_machine, mutex="technician")
    async def oil(self):
        return await technician("oil")

    @listen(stop_machine, mutex="technician")
    async def belts(self):
        return await technician("belts")

    @listen(stop_machine, mutex="technician")
    async def brakes(self):
        return await technician("brakes")

    @listen(and_(oil, belts, brakes))
    async def start_machine(self):
        print("it runs")


def main():
    """One service."""
    Service().kickoff()


if __name__ == "__main__":
    main()
