"""Three windows over streams of events: by count, by time, by a pause.

python -m examples.at_scale.windows
"""

import time

from pydantic import BaseModel

from flowkit import EventBus, Flow, Run, event, listen, merge, start, window
from flowkit.runtime.clock import ManualClock, use_clock


class Reading(BaseModel):
    """The temperature of a machine."""

    machine: str
    degrees: float


class Machine(Flow):
    """By count: every three readings their mean, as long as the machine is on."""

    @start(on=event("switched on", key="machine"))
    def begin(self):
        self.state["means"] = []

    @listen(window(event("reading", key="machine"), count=3))
    def mean(self, readings: list[Reading]):
        found = sum(each.degrees for each in readings) / len(readings)
        self.state["means"] = [*self.state["means"], found]

    @listen(event("switched off", key="machine"))
    def end(self):
        self.stop(self.state["means"])


class Alarm(BaseModel):
    """Something is wrong on a site."""

    site: str
    text: str


class Digest(Flow):
    """By time: all alarms of an hour in one mail; the first one begins it."""

    @start(on=event("alarm", key="site"))
    def first(self, alarm: Alarm) -> Alarm:
        return alarm

    @listen(
        window(
            merge(first, event("alarm", key="site", optional=True)),
            time="1h",
        )
    )
    def mail(self, alarms: list[Alarm]):
        self.stop(f"{len(alarms)} alarms: {', '.join(each.text for each in alarms)}")


class Click(BaseModel):
    """A visitor of a shop opens a page."""

    visitor: str
    page: str


class Visit(Flow):
    """By a pause: a visit is over when nothing was opened for half an hour."""

    @start(on=event("click", key="visitor"))
    def arrive(self, click: Click) -> Click:
        return click

    @listen(
        window(
            merge(arrive, event("click", key="visitor", optional=True)),
            gap="30m",
        )
    )
    def leave(self, clicks: list[Click]):
        self.stop(" > ".join(each.page for each in clicks))


def ended(run: Run):
    """Wait until the bus has driven a run to its end."""
    while not run.over:
        time.sleep(0.001)


def main():
    """The clock is moved by hand, so that nobody waits for an hour."""
    clock = ManualClock()
    before = use_clock(clock)
    with EventBus(store="memory:") as bus:
        bus.register(Machine, Digest, Visit)

        def send(name: str, **payload: object) -> list[Run]:
            receipt = bus.send(name, payload)
            bus.drain()
            return receipt.runs

        machine = send("switched on", machine="press")[0]
        for degrees in (20, 30, 40, 50, 60, 70, 80):
            send("reading", machine="press", degrees=degrees)
        send("switched off", machine="press")

        digest = send("alarm", site="Bremen", text="door open")[0]
        visit = send("click", visitor="Ada", page="start")[0]
        clock.advance(20 * 60)
        send("alarm", site="Bremen", text="no power")
        send("click", visitor="Ada", page="lamps")
        clock.advance(35 * 60)
        ended(visit)
        later = send("click", visitor="Ada", page="start")[0]
        clock.advance(60 * 60)
        ended(later)
        ended(digest)
    use_clock(before)
    for run in (machine, digest, visit, later):
        print(run.result)


if __name__ == "__main__":
    main()
