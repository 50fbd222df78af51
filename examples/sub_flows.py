"""A claim whose checks are a flow of their own, and a report that calls itself.

python examples/sub_flows.py
"""

from flowkit import Flow, FlowState, listen, router, start


class Check(FlowState):
    """What one check works on."""

    amount: int = 0
    limit: int = 500


class Checks(Flow[Check]):
    """The quick check alone may end it: ``stop`` ends only this flow."""

    @start()
    def quick(self):
        if self.state.amount <= 50:
            self.stop("small")
        return self.state.amount

    @listen(quick)
    def thorough(self, amount: int):
        return "fine" if amount <= self.state.limit else "too much"


class Claim(Flow):
    """The checks are a step; its output is what they gave."""

    @start()
    def file(self):
        return {"amount": self.state["amount"]}

    check = listen(file, flow=Checks)

    @router(check, emit=["fair", "too high"])
    def decide(self, found: str):
        self.state["found"] = found
        return "too high" if found == "too much" else "fair"

    @listen("fair")
    def pay(self):
        return f"{self.state['amount']} paid ({self.state['found']})"

    @listen("too high")
    def refuse(self):
        return f"{self.state['amount']} refused ({self.state['found']})"


class Report(Flow, max_depth=5):
    """Halves a year until a part is a month; each level has its own state."""

    @start()
    async def add_up(self):
        months = self.state["months"]
        if len(months) == 1:
            return months[0]
        half = len(months) // 2
        parts = months[:half], months[half:]
        return sum(
            await self.join([self.call(Report, {"months": part}) for part in parts])
        )


if __name__ == "__main__":
    for amount in (20, 300, 900):
        print(Claim().kickoff({"amount": amount}))
    days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    print(Report().kickoff({"months": days}))
