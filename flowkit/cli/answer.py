"""``flowkit answer``."""

from __future__ import annotations

import json as parser
from typing import Annotated, Any

from cyclopts import Parameter

from flowkit import tasks
from flowkit.cli import options
from flowkit.cli.people import answered
from flowkit.errors import InputError

__all__ = ["answer"]


def answer(
    run: options.RunId,
    value: str,
    /,
    *,
    by: options.By = None,
    comment: options.Comment = "",
    task: options.Task = None,
    later: Annotated[bool, Parameter(name="--later")] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Answer a question that a run waits for.

    The run then goes on here, and the exit code says how it stands.

    Args:
        value: The answer: text, or JSON where the question asks for more.
        later: Hand the answer in only; who resumes the run finds it.
    """

    def give(token: str, place: Any) -> None:
        try:
            tasks.answer(token, value, by, comment, store=place)
        except InputError:
            read = _read(value)
            if read == value:
                raise
            tasks.answer(token, read, by, comment, store=place)

    return answered(run, task, give, store=store, resume=not later, as_json=json)


def _read(text: str) -> Any:
    try:
        return parser.loads(text)
    except ValueError:
        return text
