"""Each check of a pull request posts its own status line when it is done.

python -m examples.patterns.wcp08_multi_merge
"""

import operator
from typing import Annotated

import anyio

from flowkit import Flow, FlowState, listen, merge, start

SECONDS = {"lint": 0.001, "tests": 0.02, "build": 0.04}


class Page(FlowState):
    """What the page of the pull request shows; parallel counts are added up."""

    posted: Annotated[int, operator.add] = 0


async def run_check(name: str) -> str:
    """Stands for a job on a build machine."""
    await anyio.sleep(SECONDS[name])
    return f"{name} passed"


class PullRequest(Flow[Page]):
    """Three threads go through ``post_status`` and all that follows it, one by one."""

    @start()
    async def checkout(self): ...

    @listen(checkout)
    async def unit_tests(self) -> str:
        return await run_check("tests")

    @listen(checkout)
    async def lint(self) -> str:
        return await run_check("lint")

    @listen(checkout)
    async def build(self) -> str:
        return await run_check("build")

    @listen(merge(unit_tests, lint, build))
    async def post_status(self, result: str) -> str:
        print("status:", result)
        return result

    @listen(post_status)
    async def count(self):
        self.state.posted += 1


def main():
    """One pull request with three checks."""
    request = PullRequest()
    request.kickoff()
    print(request.state.posted, "lines")


if __name__ == "__main__":
    main()
