"""An applicant withdraws; whatever is going on for the application is taken back.

python -m examples.patterns.wcp20_cancel_case
"""

from flowkit import Flow, and_, event, listen, start, timer


class CreditReport(Flow, evict_after=0):
    """A flow of its own, which waits for another company."""

    @start()
    async def order(self):
        return await self.wait_for("report")


class Application(Flow, evict_after=0):
    """``withdraw`` ends the run as cancelled, wherever it stands."""

    @start()
    async def receive(self): ...

    @listen(receive)
    async def check_credit(self):
        return await self.call(CreditReport)

    @listen(timer(after=receive, delay="30d"))
    async def remind(self): ...

    @listen(and_(check_credit, event("signed")))
    async def pay_out(self): ...

    @listen(event("withdrawn"))
    async def withdraw(self, why: str):
        self.abort(why)


def main():
    """The applicant withdraws while the report is on its way."""
    application = Application(store="memory:")
    application.kickoff()
    print(application.run.status)
    application.send("withdrawn", "found a cheaper loan")
    print(application.run.status, "-", application.run.reason)
    print("signed taken:", application.send("signed"))


if __name__ == "__main__":
    main()
