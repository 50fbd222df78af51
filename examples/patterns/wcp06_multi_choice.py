"""An employee's question goes to each department that it touches.

python -m examples.patterns.wcp06_multi_choice
"""

import operator
from typing import Annotated

from pydantic import Field

from flowkit import Flow, FlowState, listen, router, start

TOPICS = {
    "legal": ("contract", "liable"),
    "tax": ("tax", "invoice"),
    "hr": ("holiday", "contract"),
}


class Question(FlowState):
    """The question, and the memos on it; memos of parallel steps are joined."""

    text: str = ""
    memos: Annotated[list[str], operator.add] = Field(default_factory=list)


def departments(text: str) -> list[str]:
    """Stands for a model that classifies."""
    return [name for name, words in TOPICS.items() if any(w in text for w in words)]


class HelpDesk(Flow[Question]):
    """``route`` returns any subset of its labels; each one chosen begins a branch."""

    @start()
    def classify(self) -> list[str]:
        return departments(self.state.text)

    @router(classify, emit=["legal", "tax", "hr"])
    def route(self, topics: list[str]):
        return topics

    @listen("legal")
    def legal_memo(self):
        self.state.memos.append("legal: see clause 4")

    @listen("tax")
    def tax_memo(self):
        self.state.memos.append("tax: deductible")

    @listen("hr")
    def hr_memo(self):
        self.state.memos.append("hr: 30 days")


def main():
    """Three questions: one department, two, none."""
    for text in ("an invoice", "holiday in my contract", "what time is it"):
        desk = HelpDesk()
        desk.kickoff({"text": text})
        print(text, "->", sorted(desk.state.memos))


if __name__ == "__main__":
    main()
