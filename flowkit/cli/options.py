"""The options that many verbs share."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

__all__ = [
    "By",
    "Comment",
    "Data",
    "Inputs",
    "Json",
    "RunId",
    "State",
    "Store",
    "Tags",
    "Task",
]

Store = Annotated[
    str | None,
    Parameter(
        name="--store",
        help="Where runs are: a URL such as sqlite:///app.db. FLOWKIT_STORE, "
        "or .flowkit/journal.db of the project, if not given.",
    ),
]
Json = Annotated[bool, Parameter(name="--json", help="Print JSON.")]
RunId = Annotated[
    str,
    Parameter(help="Id of the run, cut short as long as it stays unique."),
]
Inputs = Annotated[
    list[str] | None,
    Parameter(
        name=["--input", "-i"],
        help="A field of the inputs, name=value; may be repeated.",
    ),
]
Data = Annotated[
    str | None,
    Parameter(
        name=["--data", "-d"],
        help="JSON, @file with JSON, or - for JSON from stdin.",
        allow_leading_hyphen=True,
    ),
]
Tags = Annotated[
    list[str] | None,
    Parameter(
        name="--tag",
        help="A short word to find the run by; may be repeated.",
    ),
]
By = Annotated[str | None, Parameter(name="--by", help="Who answers.")]
Comment = Annotated[str, Parameter(name="--comment", help="What is said with it.")]
Task = Annotated[
    str | None,
    Parameter(name="--task", help="Token of the task, if the run has several."),
]
State = Annotated[
    list[str] | None,
    Parameter(
        name=["--state", "-s"],
        help="A field of the state to change first, name=value; may be repeated.",
    ),
]
