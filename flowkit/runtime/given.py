"""Inputs that come as words: what a text means for a field of a flow's state."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, get_type_hints

from flowkit.errors import InputError
from flowkit.runtime.initial import is_model
from flowkit.runtime.launch import known

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["fitted", "inputs_from"]


def inputs_from(flow: type, words: Iterable[str]) -> dict[str, Any]:
    """The inputs of a flow from words such as ``pieces=3``.

    Where the state's model types the field, the text is handed to it if it takes
    text (``zip=01067`` stays text for a ``str``); else it is read as JSON, and is text
    if it is none. Whether it fits is the kickoff's to say.

    Raises:
        InputError: a word without ``=``.
    """
    fields = _fields(flow)
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            msg = f"{word!r} is no input. Write name=value, such as pieces=3."
            raise InputError(msg)
        found[name] = _value(text, fields.get(name))
    return found


def fitted(flow: type, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a function flow as its annotations take them; of others as given.

    Raises:
        InputError: they do not fit, all values that do not named.
    """
    arguments = _arguments(flow)
    if arguments is None:
        return inputs
    bound: dict[str, Any] = arguments.bound((), inputs)
    return bound


def _arguments(flow: type) -> Any:
    """The parameters of the function that a flow is made of, None for a class."""
    made: Any = getattr(sys.modules.get(flow.__module__), flow.__qualname__, None)
    behind = getattr(made, "__flowkit_class__", None)
    return made.arguments if behind is flow else None


def _fields(flow: type) -> dict[str, Any]:
    arguments = _arguments(flow)
    if arguments is not None:
        try:
            return get_type_hints(arguments.function, include_extras=True)
        except Exception:  # noqa: BLE001 - an annotation may be anything
            return {}
    declared = flow.__dict__.get("initial_state") or known[flow].state
    kind = declared if isinstance(declared, type) else type(declared)
    if not is_model(kind):
        return {}
    return {
        info.alias or name: info.annotation
        for name, info in kind.model_fields.items()  # type: ignore[attr-defined]  # is_model
    }


def _value(text: str, kind: Any) -> Any:
    if kind is not None and kind is not Any:
        from pydantic import TypeAdapter, ValidationError  # only typed states pay

        try:
            TypeAdapter(kind).validate_python(text)
        except ValidationError:
            pass
        except Exception:  # noqa: BLE001 - a type that pydantic cannot judge alone
            return _read(text)
        else:
            return text
    return _read(text)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
