"""A heartbeat is shown if the panel is free, and forgotten if it is not.

python -m examples.patterns.wcp23_transient_trigger
"""

from pydantic import BaseModel

from flowkit import EventBus, Flow, event, listen, start


class Beat(BaseModel):
    """The load of a machine, as of now."""

    machine: str
    load: int


class Panel(Flow):
    """An old heartbeat is worth nothing, so none is ever kept."""

    @start(on=event("switched on", key="machine"))
    async def begin(self): ...

    @listen(event("heartbeat", key="machine", transient=True))
    async def show(self, beat: Beat):
        self.state["shown"] = [*self.state.get("shown", ()), beat.load]

    @listen(event("switched off", key="machine"))
    async def end(self):
        self.stop(self.state["shown"])


def main():
    """A beat before the panel is on, one while it is, one after."""
    with EventBus() as bus:
        bus.register(Panel)
        print(bus.send("heartbeat", {"machine": "press", "load": 10}).status)
        panel = bus.send("switched on", {"machine": "press"}).runs[0]
        bus.drain()
        print(bus.send("heartbeat", {"machine": "press", "load": 35}).status)
        bus.drain()
        bus.send("switched off", {"machine": "press"})
        bus.drain()
        print(bus.send("heartbeat", {"machine": "press", "load": 60}).status)
        print("shown:", panel.result)


if __name__ == "__main__":
    main()
