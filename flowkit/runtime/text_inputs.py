"""Inputs that come as words: what a text means for a field of a flow's state."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, get_type_hints

from flowkit.core.faults import closest
from flowkit.errors import InputError
from flowkit.runtime.initial import has_id, is_model
from flowkit.runtime.kinds import known
from flowkit.runtime.launch import kickoff_payloads, new_run

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["dropped", "fitted", "inputs_from", "try_inputs"]


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


def dropped(flow: type, inputs: dict[str, Any]) -> dict[str, str | None]:
    """Inputs that a kickoff would leave out, and the field that may be meant by each.

    A typed state takes its fields and no more, unless it allows others, or a step
    is handed all inputs.
    """
    model = _model(flow)
    starts = known[flow].compiled.net.kickoff_starts()
    if (
        model is None
        or model.model_config.get("extra") == "allow"
        or any(each.step.begins_runs for each in starts)
    ):
        return {}
    fields = frozenset({*model.model_fields, *_fields(flow), "id"})
    return {name: closest(name, fields) for name in inputs if name not in fields}


def try_inputs(flow: Any, inputs: dict[str, Any]) -> None:
    """Refuse what a kickoff of a new flow object would refuse, without its store.

    Raises:
        InputError: the inputs do not fit.
    """
    if not has_id(inputs):
        kickoff_payloads(flow, new_run(flow, inputs))
        flow._flowkit.run = None


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
    return {
        info.alias or name: info.annotation
        for name, info in _model_fields(flow).items()
    }


def _model_fields(flow: type) -> dict[str, Any]:
    model = _model(flow)
    return {} if model is None else model.model_fields


def _model(flow: type) -> Any:
    declared = flow.__dict__.get("initial_state") or known[flow].state
    kind = declared if isinstance(declared, type) else type(declared)
    return kind if is_model(kind) else None


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
