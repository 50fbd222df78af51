"""A recorded help-desk ticket: one run per case, awake for each of its activities."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from flowkit import Flow, event, listen, merge, router, start

Outcome = Literal["resolved", "closed"]

_OUTCOMES: dict[str, Outcome] = {"Resolve ticket": "resolved", "Closed": "closed"}


class TicketActivity(BaseModel):
    """Something was done about a ticket; ``line`` is its place in the recording."""

    case: str = Field(min_length=1)
    activity: str = Field(min_length=1)
    time: str
    line: int


class TicketState(BaseModel):
    """What the run knows of the ticket."""

    case: str = ""
    lines: list[int] = []
    latest: str = ""
    resolved: bool = False
    closed: bool = False


class Ticket(Flow[TicketState]):
    """Any activity opens a ticket; those after it wake the run of their case."""

    @start(on=event("ticket_activity", key="case"))
    async def begin(self, activity: TicketActivity) -> str:
        """Note the first activity, whichever it is."""
        self.state.case = activity.case
        return self._note(activity)

    @listen(event("ticket_activity", key="case"))
    async def go_on(self, activity: TicketActivity) -> str:
        """Note a later activity."""
        return self._note(activity)

    @router(merge(begin, go_on))
    async def sort(self, activity: str) -> Outcome | None:
        """Pick the activities that change how the ticket stands."""
        return _OUTCOMES.get(activity)

    @listen("resolved")
    async def resolve(self) -> None:
        """Somebody solved it."""
        self.state.resolved = True

    @listen("closed")
    async def close(self) -> None:
        """It is closed; a later activity may still come and does not reopen it."""
        self.state.closed = True

    def _note(self, activity: TicketActivity) -> str:
        self.state.lines.append(activity.line)
        self.state.latest = activity.activity
        return activity.activity
