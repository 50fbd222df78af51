"""A candidate is shortlisted on two of three references; the third may be late.

python -m examples.patterns.wcp30_structured_partial_join
"""

import anyio

from flowkit import Flow, any_of, listen, start

SECONDS = {"school": 0.001, "employer": 0.02, "friend": 0.05}


async def reference(of: str) -> int:
    """Stands for a letter that somebody writes; gives marks from 1 to 5."""
    await anyio.sleep(SECONDS[of])
    return {"school": 4, "employer": 5, "friend": 5}[of]


class Hiring(Flow):
    """``shortlist`` fires at the second reference, once; the third is absorbed."""

    @start()
    async def apply(self): ...

    @listen(apply)
    async def school(self) -> int:
        return await reference("school")

    @listen(apply)
    async def employer(self) -> int:
        return await reference("employer")

    @listen(apply)
    async def friend(self) -> int:
        return await reference("friend")

    @listen(any_of(2, school, employer, friend))
    async def shortlist(
        self,
        school: int | None = None,
        employer: int | None = None,
        friend: int | None = None,
    ) -> str:
        marks = [mark for mark in (school, employer, friend) if mark is not None]
        return f"invited on {sum(marks)} of 10 points"


def main():
    """One candidate; the friend's letter comes when she is already invited."""
    hiring = Hiring()
    hiring.kickoff()
    print(*[step for step, *_ in hiring.run.history])
    print(hiring.run.outputs[3])


if __name__ == "__main__":
    main()
