"""``flowkit reject``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from flowkit import tasks
from flowkit.cli import options
from flowkit.cli.people import answered

__all__ = ["reject"]


def reject(
    run: options.RunId,
    /,
    *,
    by: options.By = None,
    comment: options.Comment = "",
    task: options.Task = None,
    later: Annotated[bool, Parameter(name="--later")] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Reject what a run waits for.

    A proposal, a review, or a question with an option that means it.
    The run then goes on here, and the exit code says how it stands.

    Args:
        later: Hand the answer in only; who resumes the run finds it.
    """
    return answered(
        run,
        task,
        lambda token, place: tasks.reject(token, by, comment, store=place),
        store=store,
        resume=not later,
        as_json=json,
    )
