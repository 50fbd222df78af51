"""One answer is written from whichever departments were asked.

python -m examples.patterns.wcp07_structured_synchronizing_merge
"""

import anyio

from flowkit import Flow, FlowState, all_active, listen, router, start

TOPICS = {
    "legal": ("contract", "liable"),
    "tax": ("tax", "invoice"),
    "hr": ("holiday", "contract"),
}
SECONDS = {"legal": 0.003, "tax": 0.001, "hr": 0.002}


class Question(FlowState):
    """What is asked."""

    text: str = ""


def departments(text: str) -> list[str]:
    """Stands for a model that classifies."""
    return [name for name, words in TOPICS.items() if any(w in text for w in words)]


async def memo(department: str, text: str) -> str:
    """Stands for a department, or an agent, that looks into the question."""
    await anyio.sleep(SECONDS[department])
    return f"{department} on {text!r}"


class HelpDesk(Flow[Question]):
    """``answer`` waits for the branches that ``route`` has chosen, and for no other."""

    @start()
    async def classify(self) -> list[str]:
        return departments(self.state.text)

    @router(classify, emit=["legal", "tax", "hr"])
    async def route(self, topics: list[str]):
        return topics

    @listen("legal")
    async def legal_memo(self) -> str:
        return await memo("legal", self.state.text)

    @listen("tax")
    async def tax_memo(self) -> str:
        return await memo("tax", self.state.text)

    @listen("hr")
    async def hr_memo(self) -> str:
        return await memo("hr", self.state.text)

    @listen(all_active(legal_memo, tax_memo, hr_memo))
    async def answer(
        self,
        legal_memo: str | None = None,
        tax_memo: str | None = None,
        hr_memo: str | None = None,
    ) -> str:
        memos = (legal_memo, tax_memo, hr_memo)
        return " + ".join(each for each in memos if each is not None)


def main():
    """One department, two of them, all three."""
    for text in ("an invoice", "a contract", "tax on a contract"):
        print(HelpDesk().kickoff({"text": text}))


if __name__ == "__main__":
    main()
