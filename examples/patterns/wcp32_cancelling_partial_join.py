"""Three judges vote on a text; two votes decide, and the third judge is let go.

python -m examples.patterns.wcp32_cancelling_partial_join
"""

import anyio

from flowkit import Flow, FlowState, any_of, listen, start

SECONDS = {"strict": 0.001, "kind": 0.002, "slow": 30}


class Text(FlowState):
    """What is voted on."""

    text: str = "The sea is deep."


async def judge(name: str, text: str) -> bool:
    """Stands for a model that says whether the text is good."""
    await anyio.sleep(SECONDS[name])
    return len(text) > (20 if name == "strict" else 5)


class Vote(Flow[Text]):
    """``decide`` fires at the second vote; the judge that is left is cancelled."""

    @start()
    async def submit(self) -> str:
        return self.state.text

    @listen(submit)
    async def strict(self, text: str) -> bool:
        return await judge("strict", text)

    @listen(submit)
    async def kind(self, text: str) -> bool:
        return await judge("kind", text)

    @listen(submit)
    async def slow(self, text: str) -> bool:
        return await judge("slow", text)

    @listen(any_of(2, strict, kind, slow, rest="cancel"))
    async def decide(
        self,
        strict: bool | None = None,
        kind: bool | None = None,
        slow: bool | None = None,
    ) -> dict[str, bool]:
        votes = {"strict": strict, "kind": kind, "slow": slow}
        return {name: vote for name, vote in votes.items() if vote is not None}


def main():
    """The slow judge would take half a minute."""
    print(Vote().kickoff())


if __name__ == "__main__":
    main()
