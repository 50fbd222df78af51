"""A new customer: welcome, onboarding, an account manager, a check-in."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from examples.customer_events import services
from flowkit import Flow, and_, event, listen, router, start

LARGE = 50
"""Seats from which a customer has an account manager."""


class SignupCompleted(BaseModel):
    """Somebody filled in the form."""

    account: str = Field(min_length=1)
    company: str
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    seats: int = Field(default=1, ge=1)


class SignupState(BaseModel):
    """What the run knows of the new customer."""

    account: str = ""
    company: str = ""
    email: str = ""
    seats: int = 1
    welcomed: bool = False
    tasks: list[int] = []
    manager: str = ""
    check_in: int = 0


class Signup(Flow[SignupState]):
    """Welcomes a customer; checks in once the address is confirmed."""

    @start(on=event("signup_completed", key="account"))
    def register(self, signup: SignupCompleted) -> None:
        """Keep what the form said."""
        self.state.account = signup.account
        self.state.company = signup.company
        self.state.email = signup.email
        self.state.seats = signup.seats

    @listen(register)
    async def welcome(self) -> None:
        """Send the welcome mail with the link to confirm."""
        await services.mail.send(self.state.email, f"Welcome, {self.state.company}")
        self.state.welcomed = True

    @listen(register)
    async def plan_onboarding(self) -> None:
        """Hand out the onboarding tasks."""
        for task in ("import data", "first training"):
            number = await services.desk.add(f"{task} for {self.state.company}")
            self.state.tasks.append(number)

    @router(register)
    def size(self) -> Literal["large", "small"]:
        """Large customers get a person, small ones the guide."""
        return "large" if self.state.seats >= LARGE else "small"

    @listen("large")
    async def assign_manager(self) -> None:
        """Name an account manager and tell the CRM."""
        self.state.manager = "Ada" if self.state.seats >= 10 * LARGE else "Grace"
        note = f"account manager: {self.state.manager}"
        await services.crm.note(self.state.account, note)

    @listen("small")
    async def send_guide(self) -> None:
        """Send the guide to help oneself."""
        await services.mail.send(self.state.email, "Your guide to the first week")

    @listen(and_(welcome, event("signup_confirmed", key="account")))
    async def plan_check_in(self) -> None:
        """Plan the call after the first week, once welcomed and confirmed."""
        self.state.check_in = await services.desk.add(f"call {self.state.company}")

    @listen(event("signup_cancelled", key="account", optional=True))
    async def say_goodbye(self) -> None:
        """Give up: nothing else of this run matters any more."""
        await services.mail.send(self.state.email, "Sorry to see you go")
        self.abort("the customer cancelled")
