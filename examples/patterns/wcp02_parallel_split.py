"""A claim is looked at from two sides at once: is it covered, and is it honest?

python -m examples.patterns.wcp02_parallel_split
"""

import anyio
from pydantic import BaseModel

from flowkit import Flow, FlowState, listen, start

SECONDS = {"policy": 0.002, "fraud": 0.02}


class Claim(BaseModel):
    """What somebody asks to be paid for."""

    policy: str = "P-7"
    euros: int = 900


class Checks(FlowState):
    """What the checks found."""

    covered: bool | None = None
    fraud: float | None = None


async def policy_covers(claim: Claim) -> bool:
    """Stands for a question to the policy system."""
    await anyio.sleep(SECONDS["policy"])
    return claim.euros < 10_000


async def fraud_score(claim: Claim) -> float:
    """Stands for a call of a model, which takes longer."""
    await anyio.sleep(SECONDS["fraud"])
    return 0.1 if claim.policy.startswith("P-") else 0.9


class ClaimChecks(Flow[Checks]):
    """Both checks listen to ``triage``, so both begin when it is done."""

    @start()
    async def triage(self) -> Claim:
        return Claim()

    @listen(triage)
    async def check_policy(self, claim: Claim):
        print("policy: begun")
        self.state.covered = await policy_covers(claim)
        print("policy: done")

    @listen(triage)
    async def score_fraud(self, claim: Claim):
        print("fraud: begun")
        self.state.fraud = await fraud_score(claim)
        print("fraud: done")


def main():
    """Run both checks side by side."""
    checks = ClaimChecks()
    checks.kickoff()
    print("covered:", checks.state.covered, "- fraud:", checks.state.fraud)


if __name__ == "__main__":
    main()
