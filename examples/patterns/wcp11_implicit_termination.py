"""A new colleague is set up; the run is over when there is nothing left to do.

python -m examples.patterns.wcp11_implicit_termination
"""

from flowkit import Flow, FlowState, and_, listen, router, start


class Colleague(FlowState):
    """Who comes."""

    name: str = ""
    remote: bool = False


class Onboarding(Flow[Colleague]):
    """Several open ends and no last step: nobody says that it is over."""

    @start()
    async def sign(self):
        return self.state.name

    @listen(sign)
    async def order_laptop(self):
        print("laptop ordered")

    @listen(sign)
    async def create_account(self):
        print("account created")

    @router(sign, emit=["office", "home"])
    async def place(self):
        return "home" if self.state.remote else "office"

    @listen("office")
    async def print_badge(self):
        print("badge printed")

    @listen("home")
    async def send_headset(self):
        print("headset sent")

    @listen(and_(create_account, print_badge))
    async def open_door(self):
        print("the door opens")


def main():
    """In the office all goes well; at home the door has nothing to wait for."""
    for name, remote in (("Ada", False), ("Grace", True)):
        onboarding = Onboarding()
        onboarding.kickoff({"name": name, "remote": remote})
        print(f"{name}: {onboarding.run.status}")
        for report in onboarding.run.stuck:
            print(report)


if __name__ == "__main__":
    main()
