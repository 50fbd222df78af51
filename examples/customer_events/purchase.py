"""An order: receipt and CRM side by side, review of the unusual, then shipping."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from examples.customer_events import services
from flowkit import Flow, and_, event, listen, or_, router, start

UNUSUAL = 500_000
"""Cents from which a person looks at an order."""


class PurchaseCompleted(BaseModel):
    """The shop has taken an order."""

    order: str = Field(min_length=1)
    customer: str
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    cents: int = Field(ge=0)
    articles: list[str] = Field(min_length=1)


class ReviewDecided(BaseModel):
    """A person has looked at an unusual order."""

    order: str
    approved: bool


class PaymentSettled(BaseModel):
    """The bank has the money."""

    order: str
    cents: int


class PurchaseState(BaseModel):
    """What the run knows of the order."""

    order: str = ""
    customer: str = ""
    email: str = ""
    cents: int = 0
    articles: list[str] = []
    refused: bool = False
    paid: int = 0


class Purchase(Flow[PurchaseState]):
    """Fulfils an order and closes its books when the payment is there."""

    @start(on=event("purchase_completed", key="order"))
    def receive(self, purchase: PurchaseCompleted) -> None:
        """Keep the order."""
        self.state.order = purchase.order
        self.state.customer = purchase.customer
        self.state.email = purchase.email
        self.state.cents = purchase.cents
        self.state.articles = purchase.articles

    @listen(receive)
    async def send_receipt(self) -> None:
        """Mail the receipt."""
        await services.mail.send(self.state.email, f"Receipt for {self.state.order}")

    @listen(receive)
    async def update_crm(self) -> None:
        """Tell the CRM what the customer bought."""
        articles = ", ".join(self.state.articles)
        await services.crm.note(self.state.customer, f"bought {articles}")

    @router(and_(send_receipt, update_crm))
    def check(self) -> Literal["review", "ship"]:
        """Send unusual orders to a person."""
        return "review" if self.state.cents >= UNUSUAL else "ship"

    @listen("review")
    async def ask_review(self) -> int:
        """Give a person the task; the run waits for the decision."""
        return await services.desk.add(f"review {self.state.order}")

    @router(and_(ask_review, event("review_decided", key="order")))
    async def decide(
        self, ask_review: int, review_decided: ReviewDecided
    ) -> Literal["ship", "refused"]:
        """Do what the person said; a join's inputs come by their names."""
        await services.desk.finish(ask_review)
        return "ship" if review_decided.approved else "refused"

    @listen("ship")
    async def fulfil(self) -> None:
        """Ship the order."""
        await services.warehouse.ship(self.state.order, self.state.articles)

    @listen("refused")
    async def refuse(self) -> None:
        """Tell the customer that nothing will be sent."""
        self.state.refused = True
        await services.mail.send(self.state.email, f"About {self.state.order}")

    @listen(or_(fulfil, refuse))
    async def record_analytics(self) -> str:
        """Count the sale, or the refusal."""
        account = "refused" if self.state.refused else "sold"
        await services.books.enter(account, self.state.cents)
        return account

    @listen(and_(record_analytics, event("payment_settled", key="order")))
    async def close_books(
        self, record_analytics: str, payment_settled: PaymentSettled
    ) -> None:
        """Book the payment; give it back if the order was refused."""
        self.state.paid = payment_settled.cents
        account = "paid" if record_analytics == "sold" else "refunded"
        await services.books.enter(account, payment_settled.cents)

    @listen(event("purchase_cancelled", key="order", optional=True))
    async def cancel(self) -> None:
        """Give up the order, whatever is under way."""
        await services.mail.send(self.state.email, f"{self.state.order} is cancelled")
        self.abort("the customer cancelled")
