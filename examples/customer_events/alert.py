"""A system alert: one run for all alerts of one cause, until it is resolved."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from examples.customer_events import services
from flowkit import Flow, and_, event, listen, or_, router, start

Severity = Literal["low", "medium", "high", "critical"]

TOO_OFTEN = 3
"""Repeats of a harmless alert that make it worth a call."""


class AlertRaised(BaseModel):
    """A system reports a fault; the same cause gives the same fingerprint."""

    fingerprint: str = Field(min_length=1)
    service: str
    severity: Severity
    title: str = ""


class AlertState(BaseModel):
    """What the run knows of the fault."""

    fingerprint: str = ""
    service: str = ""
    severity: Severity = "low"
    title: str = ""
    repeats: int = 0
    resolved: bool = False


class Alert(Flow[AlertState]):
    """Pages once for a cause, counts its repeats, closes when it is resolved."""

    @start(on=event("alert_raised", key="fingerprint"))
    def receive(self, alert: AlertRaised) -> None:
        """Keep the first alert of this cause."""
        self.state.fingerprint = alert.fingerprint
        self.state.service = alert.service
        self.state.severity = alert.severity
        self.state.title = alert.title

    @router(receive)
    def rate(self) -> Literal["urgent", "harmless"]:
        """Wake somebody, or leave it for the morning."""
        return "urgent" if self.state.severity in {"high", "critical"} else "harmless"

    @listen("urgent")
    async def page(self) -> None:
        """Call whoever is on duty."""
        await services.pager.page(f"{self.state.service}: {self.state.title}")

    @listen("harmless")
    async def note(self) -> None:
        """Leave a task for the morning."""
        await services.desk.add(f"look at {self.state.service}: {self.state.title}")

    @router(event("alert_raised", key="fingerprint", optional=True))
    def repeat(self, alert: AlertRaised) -> Literal["too_often"] | None:
        """Swallow a repeat; the third of a harmless one is no longer harmless."""
        self.state.repeats += 1
        self.state.title = alert.title
        harmless = self.state.severity in {"low", "medium"}
        return "too_often" if harmless and self.state.repeats == TOO_OFTEN else None

    @listen("too_often")
    async def page_after_all(self) -> None:
        """Call for something that was left for the morning."""
        await services.pager.page(f"{self.state.service}: again and again")

    @listen(and_(or_(page, note), event("alert_resolved", key="fingerprint")))
    async def close(self) -> None:
        """Tell the CRM's status page, once paged or noted and resolved."""
        self.state.resolved = True
        await services.crm.note(self.state.service, f"resolved: {self.state.title}")
