"""Ten thousand invoices, a hundred at a time, and how far it is.

python -m examples.at_scale.many_items
"""

import anyio

from flowkit import Flow, FlowState, Run, each, gather, listen, signals, start

SECONDS = {"check": 0}


class Archive(FlowState):
    """How many invoices are in it."""

    invoices: int = 10_000


async def sum_of(invoice: int) -> int:
    """Stands for a call of a service that reads an invoice."""
    await anyio.sleep(SECONDS["check"])
    return invoice % 100


class Audit(Flow[Archive]):
    """The source yields: it is held back while a hundred are at work."""

    @start()
    async def invoices(self):
        for number in range(self.state.invoices):
            yield number

    @listen(each(invoices, limit=100))
    async def check(self, invoice: int) -> int:
        return await sum_of(invoice)

    @listen(gather(check))
    async def total(self, sums: list[int]) -> str:
        return f"{len(sums)} invoices, {sum(sums)} euros"


def main():
    """An observer reads the run's progress whenever an instance has ended."""

    def show(_: type[Flow], run: Run, step: str, **__: object) -> None:
        for group in run.progress:
            if step == "check" and group.done and group.done % 2_500 == 0:
                print(f"{group.done} done, {group.failed} failed")

    with signals.step_finished.connected_to(show, sender=Audit):
        print(Audit().kickoff())


if __name__ == "__main__":
    main()
