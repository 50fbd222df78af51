"""Each command is a process of its own; what waits is in ``expenses.db``.

    python -m examples.approval claim ann 120 "a chair"
    python -m examples.approval tasks
    python -m examples.approval approve TOKEN bob
    python -m examples.approval work

``work`` goes on with what was answered or is due, as a service would.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from examples.approval.expense import Expense
from flowkit import FlowkitError, Run, tasks

if TYPE_CHECKING:
    from collections.abc import Callable

STORE = "sqlite:///expenses.db"


def claim(who: str, euros: str, purpose: str) -> None:
    """File an expense."""
    inputs = {"requested_by": who, "euros": int(euros), "purpose": purpose}
    outcome = Expense(store=STORE).kickoff(inputs)
    print("waiting for an answer" if isinstance(outcome, Run) else outcome)


def show() -> None:
    """What is open."""
    for task in tasks.list(store=STORE):
        print(f"{task.token}  {task.role}: {task.message}")


def approve(token: str, who: str) -> None:
    """Approve as it is."""
    tasks.approve(token, by=who, store=STORE)


def pay_less(token: str, who: str, euros: str) -> None:
    """Approve with another sum."""
    payment = {**tasks.get(token, store=STORE).proposal, "euros": euros}
    tasks.edit(token, payment, by=who, store=STORE)


def reject(token: str, who: str, why: str) -> None:
    """Refuse, and say why."""
    tasks.reject(token, by=who, comment=why, store=STORE)


def work() -> None:
    """Go on with whatever can."""
    for run in Expense.resume_all(STORE):
        print("waiting for an answer" if run.status == "waiting" else run.result)


COMMANDS: dict[str, Callable[..., None]] = {
    "claim": claim,
    "tasks": show,
    "approve": approve,
    "pay-less": pay_less,
    "reject": reject,
    "work": work,
}


def main(words: list[str]) -> int:
    """Carry out one command; 0 if it could be."""
    if not words or words[0] not in COMMANDS:
        print(__doc__)
        return 2
    try:
        COMMANDS[words[0]](*words[1:])
    except FlowkitError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
