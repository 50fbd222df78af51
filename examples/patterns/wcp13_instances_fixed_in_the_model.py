"""A model is asked three times, and the answer that it gives most often counts.

python -m examples.patterns.wcp13_instances_fixed_in_the_model
"""

from collections import Counter
from itertools import count

from flowkit import Flow, FlowState, each, gather, listen, start

calls = count()


class Sum(FlowState):
    """What is asked."""

    question: str = "17 + 25?"


async def answer(question: str) -> str:
    """Stands for a call of a model, which is wrong now and then."""
    return "43" if next(calls) % 3 == 1 else "42"


class Vote(Flow[Sum]):
    """Three instances of ``sample``, each with the whole question; then one vote."""

    @start()
    async def ask(self) -> str:
        return self.state.question

    @listen(each(ask, times=3))
    async def sample(self, question: str) -> str:
        return await answer(question)

    @listen(gather(sample))
    async def vote(self, answers: list[str]) -> str:
        best, votes = Counter(answers).most_common(1)[0]
        return f"{best} ({votes} of {len(answers)})"


def main():
    """One question, three samples."""
    print(Vote().kickoff())


if __name__ == "__main__":
    main()
