"""A trip may be rerouted after it is booked and before it is ticketed.

python -m examples.patterns.wcp18_milestone
"""

from flowkit import Flow, FlowState, event, listen, start


class Trip(FlowState):
    """Where it goes."""

    via: str = "Paris"


class Booking(Flow[Trip]):
    """``reroute`` looks at where the case stands, and takes nothing away from it."""

    @start()
    async def ask(self): ...

    @listen(event("seat confirmed"))
    async def book(self): ...

    @listen(event("paid"))
    async def ticket(self):
        return f"a ticket via {self.state.via}"

    @listen(event("change route", optional=True), during=(book, ticket))
    async def reroute(self, via: str):
        self.state.via = via

    @listen(ticket)
    async def hand_over(self, made: str):
        self.stop(made)


def main():
    """One change too early, which waits for the booking; one in time; one too late."""
    booking = Booking(store="memory:")
    booking.kickoff()
    booking.send("change route", "Lyon")
    print("asked early:", booking.state.via)
    booking.send("seat confirmed")
    print("booked:", booking.state.via)
    booking.send("change route", "Basel")
    print("asked in time:", booking.state.via)
    booking.send("paid")
    print(booking.run.result)
    print("asked late, taken:", booking.send("change route", "Rome"))


if __name__ == "__main__":
    main()
