"""Reads the JSON that a verb is given: in place, from a file, or from stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from flowkit.cli import output
from flowkit.cli.exits import NOT_FOUND, USAGE, Refused
from flowkit.runtime.opening import class_of
from flowkit.runtime.text_inputs import dropped, fitted, inputs_from

__all__ = ["inputs_of", "read_json", "state_of"]


def read_json(given: str | None) -> Any:
    """What ``-d`` says: JSON, ``@file``, or ``-`` for stdin; None if nothing.

    Raises:
        Refused: there is no such file, or it is no JSON.
    """
    if given is None:
        return None
    text, place = given, "-d"
    if given == "-":
        text, place = sys.stdin.read(), "stdin"
    elif given.startswith("@"):
        place = given[1:]
        try:
            text = Path(place).read_text("utf-8")
        except OSError as error:
            why = error.strerror or error
            text = f"The file {place!r} of -d cannot be read: {why}."
            raise Refused(NOT_FOUND, text) from error
    try:
        return json.loads(text)
    except ValueError as error:
        cure = f" A text is written -d '\"{text}\"'." if place == "-d" else ""
        text = f"What {place} gives is no JSON: {error}.{cure}"
        raise Refused(USAGE, text) from error


def inputs_of(flow: type, words: list[str] | None, given: str | None) -> dict[str, Any]:
    """The inputs from ``-d`` with those of ``-i`` over them.

    Raises:
        Refused: what ``-d`` gives is no JSON object.
        InputError: a word of ``-i`` without ``=``.
    """
    data = read_json(given)
    if data is not None and not isinstance(data, dict):
        text = f"Inputs are a JSON object, not {json.dumps(data)[:40]}."
        raise Refused(USAGE, f"{text} Write -d '{{\"pieces\": 3}}'.")
    inputs = {**(data or {}), **inputs_from(flow, words or [])}
    for name, guess in dropped(flow, inputs).items():
        hint = f" Did you mean {guess!r}?" if guess else ""
        text = f"{flow.__name__} has no field {name!r}: this input is left out.{hint}"
        output.say(f"{output.paint('warning:', 'yellow', sys.stderr)} {text}")
    return fitted(flow, inputs)


def state_of(flow: str, words: list[str] | None) -> dict[str, Any] | None:
    """Fields of the state of a stored run's flow, from the words of ``-s``."""
    return inputs_from(class_of(flow), words) if words else None
