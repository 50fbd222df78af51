"""The task of a run that a person answers from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit import runs, tasks
from flowkit.cli import output
from flowkit.cli.exits import DONE, NOT_FOUND, USAGE, Refused
from flowkit.cli.project import existing, on_path
from flowkit.cli.resume import resumed
from flowkit.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.tasks import Task

__all__ = ["answered"]


def answered(
    run: str,
    token: str | None,
    give: Callable[[str, Any], None],
    *,
    store: str | None,
    resume: bool,
    as_json: bool,
) -> int:
    """Give an answer to a run's open task, and go on with the run.

    Args:
        run: id of the run, or the beginning of it.
        token: of the task, where several are open.
        give: hands the answer in, given the token and the store.
        store: as ``--store`` says.
        resume: whether to go on here.
        as_json: print JSON.
    """
    on_path()
    place = existing(store)
    task = _task(runs.get(run, place), token, place)
    give(task.token, place)
    output.say(f"answered: {task.message}")
    if not resume:
        return DONE
    try:
        return resumed(task.run, place, as_json=as_json)
    except BusyError:
        output.say("the process that moves the run goes on with it")
        return DONE


def _task(run: runs.RunInfo, token: str | None, store: Any) -> Task:
    if token is not None:
        return tasks.get(token, store=store)
    found = tasks.list(run=run.id, store=store)
    if len(found) == 1:
        return found[0]
    if not found:
        text = f"Run {run.id!r} asks nobody: it is {run.status}, without an open task."
        raise Refused(NOT_FOUND, text)
    lines = [f"  --task {task.token}  {task.step}: {task.message}" for task in found]
    text = f"Run {run.id!r} asks several things. Say which:\n" + "\n".join(lines)
    raise Refused(USAGE, text)
