"""What the company's flows talk to: mail, CRM, tasks, warehouse, books, pager.

Each is a small class that keeps what it was asked to do. A flow calls
``services.mail.send(..)``; put a client of a real service in its place and no flow
changes. Methods are coroutines, as those of a network client are, and let other
steps run while they are at work.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from anyio.lowlevel import checkpoint


class Mail(NamedTuple):
    """A mail that was sent."""

    to: str
    subject: str


class Outbox:
    """Sends mail and keeps a copy."""

    def __init__(self) -> None:
        self.sent: list[Mail] = []

    async def send(self, to: str, subject: str) -> None:
        """Send one mail."""
        await checkpoint()
        self.sent.append(Mail(to, subject))


class Crm:
    """What is known of customers: a list of notes for each."""

    def __init__(self) -> None:
        self.notes: dict[str, list[str]] = defaultdict(list)

    async def note(self, customer: str, text: str) -> None:
        """Add a note to a customer."""
        await checkpoint()
        self.notes[customer].append(text)


class Desk:
    """Tasks for people, numbered from 1, in the order they were handed out."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.finished: set[int] = set()

    async def add(self, task: str) -> int:
        """Hand out a task; gives its number."""
        await checkpoint()
        self.tasks.append(task)
        return len(self.tasks)

    async def finish(self, number: int) -> None:
        """Take a task off the list."""
        await checkpoint()
        self.finished.add(number)


class OutOfStockError(Exception):
    """The warehouse does not have what was ordered."""


class Warehouse:
    """Ships what it has: every article but those in ``missing``."""

    def __init__(self, missing: frozenset[str] = frozenset()) -> None:
        self.missing = missing
        self.shipped: dict[str, list[str]] = {}

    async def ship(self, order: str, articles: list[str]) -> None:
        """Send an order off.

        Raises:
            OutOfStockError: names what is missing.
        """
        await checkpoint()
        lacking = [article for article in articles if article in self.missing]
        if lacking:
            raise OutOfStockError(f"{', '.join(lacking)} cannot be delivered")
        self.shipped[order] = articles


class Books:
    """Sums of cents by account: ``sold``, ``paid``, ``refunded``."""

    def __init__(self) -> None:
        self.sums: dict[str, int] = defaultdict(int)

    async def enter(self, account: str, cents: int) -> None:
        """Add to an account."""
        await checkpoint()
        self.sums[account] += cents


class Pager:
    """Wakes whoever is on call."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def page(self, text: str) -> None:
        """Call once."""
        await checkpoint()
        self.calls.append(text)


mail = Outbox()
crm = Crm()
desk = Desk()
warehouse = Warehouse(missing=frozenset({"lamp-discontinued"}))
books = Books()
pager = Pager()
