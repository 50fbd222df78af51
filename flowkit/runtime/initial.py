"""Where a run's state comes from: type, initial value, inputs, assignment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, get_origin

from flowkit.errors import InputError, StateError
from flowkit.runtime.changes import StateDict, raw_fields
from flowkit.runtime.ids import random_id
from flowkit.runtime.state import StateBox

__all__ = [
    "box",
    "declared",
    "has_id",
    "merge_inputs",
    "replacement",
    "state_id",
    "unshared",
]


def declared(value: Any, parameter: Any) -> Any:
    """What a class says of its state: a model class, an instance, a dict, or None."""
    if is_model(value) or isinstance(value, dict) or is_model(type(value)):
        return value
    if value is dict or get_origin(value) is dict:
        return None
    return parameter if is_model(parameter) else None


def is_model(kind: Any) -> bool:
    """Whether this is a pydantic model class, without importing pydantic."""
    return (
        isinstance(kind, type)
        and hasattr(kind, "__pydantic_validator__")
        and (hasattr(kind, "model_fields"))
    )


def box(kind: Any, name: str) -> StateBox:
    """A fresh state for one flow object; what is given is copied, not shared."""
    if kind is None or isinstance(kind, dict):
        state = StateDict(unshared(kind) if kind else {})
        if not dict.get(state, "id"):
            state["id"] = random_id()
        return StateBox(state, None, name)
    if not isinstance(kind, type):
        return StateBox(_identified(unshared(kind)), type(kind), name)
    from flowkit.runtime.models import with_id

    model = with_id(kind)
    if not _has_required(model):
        return StateBox(model(), kind, name)
    made = StateBox(model.model_construct(), kind, name)
    made.incomplete = True
    return made


@cache
def _has_required(model: Any) -> bool:
    return any(info.is_required() for info in model.model_fields.values())


def unshared(value: Any) -> Any:
    """A deep copy; what cannot be copied is shared."""
    from copy import deepcopy  # only where an initial value is given

    from flowkit.runtime.values import snapshot

    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001 - a lock, a client: share what can't be copied
        return snapshot(value)


def _identified(state: Any) -> Any:
    """The instance, or one with an id that holds the very same values."""
    from flowkit.runtime.models import with_id

    kind: Any = type(state)
    model = with_id(kind)
    if model is kind:
        return state
    made = model.model_construct(_fields_set=set(state.model_fields_set))
    made.__dict__.update(state.__dict__)
    for slot in ("__pydantic_extra__", "__pydantic_private__"):
        held = getattr(state, slot)
        object.__setattr__(made, slot, None if held is None else dict(held))
    return made


def state_id(state: Any) -> str:
    """The id of a state, as text."""
    return str(dict.get(raw_fields(state), "id", ""))


def has_id(inputs: Any) -> bool:
    """Whether a kickoff's inputs say whose state they are for."""
    if isinstance(inputs, Mapping):
        return "id" in inputs
    return is_model(type(inputs)) and hasattr(inputs, "id")


def merge_inputs(holder: StateBox, inputs: Any, name: str) -> dict[str, Any] | None:
    """Lay a kickoff's inputs over the state.

    Keys a model does not have are dropped.

    Raises:
        InputError: all values a model refuses and all required fields that lack.
    """
    if inputs is not None and not isinstance(inputs, Mapping):
        if not is_model(type(inputs)):
            given = type(inputs).__name__
            msg = f"{name}.kickoff(inputs) takes a dictionary, not {given}."
            raise InputError(msg)
        inputs = dict(inputs)
    state = holder.live
    if isinstance(state, dict):
        if inputs:
            state.update(inputs)
    elif inputs or holder.incomplete:
        _merge_model(holder, inputs or {}, name)
    return dict(inputs) if inputs else None


def _merge_model(holder: StateBox, inputs: Mapping[str, Any], name: str) -> None:
    from pydantic import ValidationError

    from flowkit.runtime.models import faults_in

    state = holder.live
    model = type(state)
    given = {
        field: _keys(field, info.validation_alias or info.alias, inputs)
        for field, info in model.model_fields.items()
    }
    values = {
        given[field][0] if field in given else field: value
        for field, value in state.__dict__.items()
    }
    named = {field: keys[0] for field, keys in given.items()}
    closed = model.model_config.get("extra") == "forbid"
    taken = {key for keys in given.values() for key in keys}
    for key, value in inputs.items():
        if not closed or key in named or key in taken:
            values[named.get(key, key)] = value
    try:
        checked = model.model_validate(values)
    except ValidationError as error:
        text = (
            f"Invalid inputs for structured state: {name} does not take them as "
            f"{model.__name__}: {faults_in(error)}"
        )
        raise InputError(text) from None
    for field, keys in given.items():
        if field in inputs or holder.incomplete or not inputs.keys().isdisjoint(keys):
            state.__dict__[field] = checked.__dict__[field]
            state.__pydantic_fields_set__.add(field)
    if checked.__pydantic_extra__:
        state.__pydantic_extra__.update(checked.__pydantic_extra__)
    holder.incomplete = False


def _keys(field: str, alias: Any, inputs: Mapping[str, Any]) -> list[str]:
    """The keys a field is validated from, one that the inputs have first."""
    choices = getattr(alias, "choices", None) or [alias]
    keys = [each for each in choices if isinstance(each, str)] or [field]
    return sorted(keys, key=lambda key: key not in inputs)


def replacement(holder: StateBox, value: Any, name: str) -> Any:
    """What ``self.state = value`` stands for.

    Raises:
        StateError: the value is no state of the declared type.
    """
    kind: Any = holder.kind
    given: Any = type(value)
    if kind is None:
        if isinstance(value, dict):
            value.setdefault("id", state_id(holder.live) or random_id())
            return value
        if is_model(given):
            return _identified(value)
    elif isinstance(value, kind):
        if is_model(given) and "id" in given.model_fields:
            return value
        made = _identified(value)
        made.__dict__["id"] = state_id(holder.live) or made.__dict__["id"]
        return made
    elif isinstance(value, dict):
        return _validated(holder, value, name)
    wanted = "a dictionary or a pydantic model" if kind is None else kind.__name__
    msg = (
        f"{name}.state was assigned {type(value).__name__}: {value!r:.60}. Its type is "
        f"{wanted}; assign one, or change single fields."
    )
    raise StateError(msg)


def _validated(holder: StateBox, value: dict[str, Any], name: str) -> Any:
    from pydantic import ValidationError

    from flowkit.runtime.models import faults_in, with_id

    model = with_id(holder.kind)
    try:
        return model.model_validate({"id": state_id(holder.live), **value})
    except ValidationError as error:
        msg = f"{name}.state was assigned a dictionary that does not fit: "
        raise StateError(msg + faults_in(error)) from None
