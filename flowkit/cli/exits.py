"""How a verb ends: its exit code, and one sentence if it was refused."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CANCELLED",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "NOT_FOUND",
    "USAGE",
    "WAITING",
    "Refused",
    "code_of",
]

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
WAITING: Final = 3
CANCELLED: Final = 4
NOT_FOUND: Final = 5
INTERRUPTED: Final = 130

_CODES: Final = {
    "completed": DONE,
    "failed": FAILED,
    "compensated": FAILED,
    "expired": FAILED,
    "running": WAITING,
    "waiting": WAITING,
    "cancelled": CANCELLED,
}


def code_of(status: str) -> int:
    """The exit code that says how a run stands."""
    return _CODES[status]


class Refused(Exception):  # noqa: N818 - an answer to the user, not a fault of ours
    """A verb that cannot be done: the code, and one sentence with its cure."""

    def __init__(self, code: int, text: str) -> None:
        self.code: int = code
        super().__init__(text)
