"""Tasks for people: the questions that flows wait with, found and answered.

A step asks with :meth:`Flow.ask_async`, or pauses for ``@human_feedback``; a web
page, a chat or a script finds the task here and answers it by its token::

    from flowkit import tasks

    for task in tasks.list(role="manager"):
        print(task.message, task.proposal)
        tasks.approve(task.token, by="ann")

Without ``store=`` the tasks of this process are meant, those of its stores, and
those of the default store (``FLOWKIT_STORE``).

An answer is checked first: a bad one is refused and saves nothing. With a store it
is durable when the call returns. A run that nobody drives goes on in the caller's
thread, as with :meth:`Flow.send`, if this process has it; else a bus on the store, or
the next resume, takes the answer up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.runtime import tasks as _tasks
from flowkit.runtime.answers import Decision
from flowkit.runtime.tasks import Task

if TYPE_CHECKING:
    import builtins

__all__ = [
    "Decision",
    "Task",
    "answer",
    "approve",
    "claim",
    "edit",
    "get",
    "list",
    "reject",
    "release",
]


def list(  # noqa: A001 - reads as tasks.list
    *,
    role: str | None = None,
    flow: type | str | None = None,
    run: Any = None,
    store: Any = None,
) -> builtins.list[Task]:
    """Open tasks, oldest first.

    Args:
        role: only those for this role.
        flow: only those of a flow class, or of one of this name.
        run: only those of a run, or of the run of this id.
        store: where to look: a URL or a store.
    """
    return _tasks.listed(role, flow, run, store)


def get(token: str, *, store: Any = None) -> Task:
    """The open task of this token.

    Raises:
        NotFoundError: there is none.
        RunError: it is over.
    """
    return _tasks.get(token, store)


def claim(token: str, by: str, *, store: Any = None) -> Task:
    """Take a task for somebody: nobody else can answer it until it is released.

    The same person may claim it again.

    Raises:
        RunError: somebody else has it, it is over, or ``by`` has requested it and it
            needs four eyes.
    """
    return _tasks.claim(token, by, store)


def release(token: str, by: str | None = None, *, store: Any = None) -> Task:
    """Give a claimed task back to all.

    Args:
        token: of the task.
        by: only if it is this person's; None whoever has it.
        store: where it is kept.

    Raises:
        RunError: somebody else has it, or it is over.
    """
    return _tasks.release(token, by, store)


def answer(
    token: str,
    value: Any,
    by: str | None = None,
    comment: str = "",
    *,
    store: Any = None,
) -> None:
    """Answer a task; for a proposal the same as :func:`edit`.

    Args:
        token: of the task.
        value: the answer, also as JSON has it: it becomes what the step asked for.
        by: who answers; needed if the task is claimed, or needs four eyes.
        comment: what is said with it.
        store: where it is kept.

    Raises:
        InputError: the value does not fit; all its faults, and nothing was saved.
        FeedbackError: the feedback means none of the outcomes.
        RunError: the task is over, claimed by somebody else, or needs other eyes.
        Exception: whatever a step raised, if the run went on in this thread.
    """
    _tasks.answer(token, "answer", value, by, comment, store=store)


def approve(
    token: str, by: str | None = None, comment: str = "", *, store: Any = None
) -> None:
    """Approve a proposal, a review, or a question with an option that does.

    Raises:
        RunError: as for :func:`answer`, or nothing of the task means approval.
    """
    _tasks.answer(token, "approve", None, by, comment, store=store)


def reject(
    token: str, by: str | None = None, comment: str = "", *, store: Any = None
) -> None:
    """Reject a proposal, a review, or a question with an option that does.

    Raises:
        RunError: as for :func:`answer`, or nothing of the task means rejection.
    """
    _tasks.answer(token, "reject", None, by, comment, store=store)


def edit(
    token: str,
    value: Any,
    by: str | None = None,
    comment: str = "",
    *,
    store: Any = None,
) -> None:
    """Approve a proposal with another value.

    Raises:
        InputError: the value does not fit.
        RunError: as for :func:`answer`, or there is no proposal.
    """
    _tasks.answer(token, "edit", value, by, comment, store=store)
