"""A support ticket: triage, then answers until the customer is content."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from examples.customer_events import services
from flowkit import Flow, and_, event, listen, or_, router, start

MOST_ANSWERS = 3
"""Answers after which a person takes over."""

URGENT = ("down", "outage", "data loss", "security")
CONTENT = ("thank", "solved", "works now")


class SupportRequested(BaseModel):
    """A customer needs help, or says more about an open ticket."""

    ticket: str = Field(min_length=1)
    customer: str
    subject: str = Field(min_length=1)


class CustomerReply(BaseModel):
    """The customer answered our answer."""

    ticket: str
    text: str


class SupportState(BaseModel):
    """What the run knows of the ticket."""

    ticket: str = ""
    customer: str = ""
    subject: str = ""
    requests: int = 0
    answers: int = 0
    replies: list[str] = []
    solved: bool = False


class Support(Flow[SupportState]):
    """Answers a ticket at most three times, then hands it to a person."""

    @start(on=event("support_requested", key="ticket"))
    def receive(self, request: SupportRequested) -> None:
        """Keep the ticket."""
        self.state.ticket = request.ticket
        self.state.customer = request.customer
        self.state.subject = request.subject
        self.state.requests = 1

    @listen(event("support_requested", key="ticket", optional=True))
    def add(self, request: SupportRequested) -> None:
        """Count a further request for the open ticket; its subject is newer."""
        self.state.requests += 1
        self.state.subject = request.subject

    @router(receive)
    def triage(self) -> Literal["question", "urgent"]:
        """Urgent ones go to a person at once."""
        subject = self.state.subject.lower()
        return "urgent" if any(word in subject for word in URGENT) else "question"

    @listen(or_("question", "again"))
    async def answer(self) -> int:
        """Send the next answer; gives its number."""
        self.state.answers += 1
        subject = f"Re: {self.state.subject} ({self.state.answers})"
        await services.mail.send(self.state.customer, subject)
        return self.state.answers

    @router(and_(answer, event("customer_reply", key="ticket")))
    def check(
        self, answer: int, customer_reply: CustomerReply
    ) -> Literal["content", "again", "stuck"]:
        """Join the k-th answer with the k-th reply: content, or once more?"""
        self.state.replies.append(customer_reply.text)
        text = customer_reply.text.lower()
        if any(word in text for word in CONTENT):
            return "content"
        return "again" if answer < MOST_ANSWERS else "stuck"

    @listen("content")
    async def close(self) -> None:
        """Close the ticket; what else the customer wrote needs no answer."""
        self.state.solved = True
        await services.crm.note(self.state.customer, f"solved {self.state.ticket}")
        self.stop("solved")

    @listen(or_("urgent", "stuck"))
    async def escalate(self) -> None:
        """Hand the ticket to a person, with everything that is to come."""
        await services.desk.add(f"take over {self.state.ticket}")
        self.stop("escalated")
