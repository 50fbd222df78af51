"""The flow: small sums are paid at once, others once somebody has approved them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from flowkit import Decision, Flow, listen, router, start

SMALL = 50


class Payment(BaseModel):
    """What is to be paid; a manager may edit it, within its rules."""

    euros: int = Field(gt=0, le=10_000)
    purpose: str


class Claim(BaseModel):
    """The state of a run: who wants what, and what came of it."""

    requested_by: str = ""
    euros: int = 0
    purpose: str = ""
    paid: int = 0
    reason: str = ""


class Expense(Flow[Claim], evict_after=0):
    """One expense. It holds no memory while people think."""

    @start()
    def claim(self) -> Payment:
        """Check what is asked for."""
        return Payment(euros=self.state.euros, purpose=self.state.purpose)

    @router(claim, emit=["granted", "refused"])
    async def review(self, payment: Payment) -> str:
        """Ask the team lead, and the manager if he does not find the time."""
        if payment.euros <= SMALL:
            self.state.paid = payment.euros
            return "granted"
        decision: Decision = await self.ask_async(
            f"Pay {payment.euros} euros for {payment.purpose}?",
            proposal=payment,
            role=[("team lead", "4h"), ("manager", "2d")],
            four_eyes=True,
            default="rejected",
        )
        if not decision.approved:
            self.state.reason = decision.comment or "nobody had time"
            return "refused"
        self.state.paid = decision.value.euros
        self.state.reason = f"{decision.verdict} by {decision.by}"
        return "granted"

    @listen("granted")
    def pay(self) -> str:
        """Here the money would go out, once: ``self.idempotency_key`` names it."""
        by = f", {self.state.reason}" if self.state.reason else ""
        return f"paid {self.state.paid} euros to {self.state.requested_by}{by}"

    @listen("refused")
    def refuse(self) -> str:
        """Tell why."""
        return f"refused to {self.state.requested_by}: {self.state.reason}"
