"""A claim is decided once, when both of its checks are there.

python -m examples.patterns.wcp03_synchronization
"""

import anyio
from pydantic import BaseModel

from flowkit import Flow, and_, listen, start

SECONDS = {"policy": 0.002, "fraud": 0.02}


class Claim(BaseModel):
    """What somebody asks to be paid for."""

    policy: str = "P-7"
    euros: int = 900


async def policy_covers(claim: Claim) -> bool:
    """Stands for a question to the policy system."""
    await anyio.sleep(SECONDS["policy"])
    return claim.euros < 10_000


async def fraud_score(claim: Claim) -> float:
    """Stands for a call of a model, which takes longer."""
    await anyio.sleep(SECONDS["fraud"])
    return 0.1 if claim.policy.startswith("P-") else 0.9


class Decision(Flow):
    """``decide`` waits for both branches and is handed what each of them gave."""

    @start()
    async def triage(self) -> Claim:
        return Claim()

    @listen(triage)
    async def check_policy(self, claim: Claim) -> bool:
        return await policy_covers(claim)

    @listen(triage)
    async def score_fraud(self, claim: Claim) -> float:
        return await fraud_score(claim)

    @listen(and_(check_policy, score_fraud))
    async def decide(self, check_policy: bool, score_fraud: float) -> str:
        verdict = "pay" if check_policy and score_fraud < 0.3 else "refuse"
        return f"{verdict} (covered: {check_policy}, fraud: {score_fraud})"


def main():
    """Decide on one claim."""
    print(Decision().kickoff())


if __name__ == "__main__":
    main()
