"""Pydantic state: tracking without a copy, identifiers, validation of fields.

While a run goes on, the user's own object is an instance of a generated subclass:
its values stay in ``__dict__``, reads of scalar fields stay native, assignments
and reads of mutable fields are noted. The link to the notes sits in the private
slot that pydantic gives every model. Afterwards the object has its own class back.
"""

from __future__ import annotations

import warnings
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import (
    BaseModel,
    Field,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)

from flowkit.runtime.ids import random_id
from flowkit.runtime.values import ATOMS, MISSING, same

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowkit.runtime.changes import Changes

ATOMS.update((date, datetime, time, timedelta, Decimal, UUID))

__all__ = [
    "FlowState",
    "adapter_for",
    "faults_in",
    "invalid_fields",
    "link",
    "native_types",
    "reducers_of",
    "shell",
    "twin",
    "unlink",
    "with_id",
]

_put = object.__setattr__


class FlowState(BaseModel):
    """A state model with an ``id``, to subclass.

    Attributes:
        id: 36 characters, a random UUID unless given.
    """

    id: str = Field(default_factory=random_id)


_new = object.__new__


class _Link(dict[str, Any]):
    """A model's private values, and the changes of the step that uses it."""

    __slots__ = ("changes",)
    changes: Changes


@cache
def with_id(model: type[BaseModel]) -> type[BaseModel]:
    """The model itself if it has an ``id`` field, else a subclass with one."""
    if "id" in model.model_fields:
        return model
    body = {
        "__module__": model.__module__,
        "__qualname__": model.__qualname__,
        "__doc__": model.__doc__,
        "__annotations__": {"id": str},
        "id": Field(default_factory=random_id),
        "__reduce_ex__": _reduced_with_id,
    }
    with warnings.catch_warnings():  # the model's own class statement has warned
        warnings.simplefilter("ignore")
        metaclass: Any = type(model)
        made: type[BaseModel] = metaclass(model.__name__, (model,), body)
    return made


def _reduced_with_id(self: Any, protocol: Any) -> Any:
    return _new_with_id, (type(self).__base__,), self.__getstate__()


def _new_with_id(model: type[BaseModel]) -> Any:
    kind = with_id(model)
    return kind.__new__(kind)


def link(state: Any, changes: Changes) -> None:
    """Note what a step does to this object in ``changes``."""
    private = _Link(state.__pydantic_private__ or ())
    private.changes = changes
    _put(state, "__pydantic_private__", private)
    kind: Any = type(state)
    if _MARK not in kind.__dict__:
        _put(state, "__class__", _tracked(kind))


def unlink(state: Any) -> None:
    """Give the object its own class back."""
    marked = type(state).__dict__.get(_MARK)
    if marked is not None:
        kind, has_private = marked
        _put(state, "__class__", kind)
        private = state.__pydantic_private__
        empty: dict[str, Any] | None = {} if has_private else None
        _put(state, "__pydantic_private__", dict(private) if private else empty)


def twin(state: Any, fields: dict[str, Any]) -> Any:
    """An object of the same class with these fields."""
    kind: Any = type(state)
    new = kind.__new__(kind)
    _put(new, "__dict__", fields)
    extra = state.__pydantic_extra__
    _put(new, "__pydantic_extra__", None if extra is None else dict(extra))
    _put(new, "__pydantic_fields_set__", set(state.__pydantic_fields_set__))
    _put(new, "__pydantic_private__", state.__pydantic_private__)
    return new


def shell(state: Any) -> Any:
    """A twin without fields, with what of its private values can be pickled."""
    import pickle  # only steps that run elsewhere

    new = twin(state, {})
    unlink(new)
    kept = {}
    for name, value in (new.__pydantic_private__ or {}).items():
        try:
            pickle.dumps(value)
        except Exception:  # noqa: BLE001, S112 - the user's values
            continue
        kept[name] = value
    if new.__pydantic_private__ is not None:
        _put(new, "__pydantic_private__", kept)
    return new


def view(live: Any, fields: dict[str, Any], changes: Changes) -> Any:
    """A twin with these fields whose changes are noted; :func:`link` in one go."""
    kind: Any = type(live)
    if _MARK not in kind.__dict__:
        kind = _tracked(kind)
    new = _new(kind)
    held = live.__pydantic_private__
    private = _Link(held) if held else _Link()
    private.changes = changes
    extra = live.__pydantic_extra__
    _put(new, "__dict__", fields)
    _put(new, "__pydantic_extra__", None if extra is None else dict(extra))
    _put(new, "__pydantic_fields_set__", live.__pydantic_fields_set__)
    _put(new, "__pydantic_private__", private)
    return new


def _own(state: Any) -> Any:
    """A shallow copy of a tracked object with the user's own class."""
    if _MARK not in type(state).__dict__:
        return state
    new = twin(state, dict(state.__dict__))
    unlink(new)
    return new


def _equal(self: Any, other: object) -> Any:
    if not isinstance(other, BaseModel):
        return NotImplemented
    return _own(self) == _own(other)


def _reduced(self: Any, protocol: Any) -> Any:
    return _itself, (_own(self),)


def _itself(value: Any) -> Any:
    """Pickle insists that a state's class is what is rebuilt; this is what is."""
    return value


def _touch_all(state: Any) -> None:
    """Note every mutable field: what is made now shares their values."""
    changes = state.__pydantic_private__.changes
    for name, value in list(state.__dict__.items()):
        if type(value) not in ATOMS:
            changes.touch(name, value)


def _copied(self: Any) -> Any:
    _touch_all(self)
    return _own(self)


def _iterated(self: Any) -> Any:
    _touch_all(self)
    return iter(_own(self))


def _deep_copied(self: Any, memo: dict[int, Any] | None = None) -> Any:
    from copy import deepcopy  # loaded when used

    return deepcopy(_own(self), memo)


def _model_copied(self: Any, **options: Any) -> Any:
    _touch_all(self)
    return _own(self).model_copy(**options)


class _Touch:
    """A mutable field: what a step is about to hold is noted first."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, state: Any, owner: Any = None) -> Any:
        if state is None:
            raise AttributeError(self.name)
        try:
            value = state.__dict__[self.name]
        except KeyError:
            text = f"{type(state).__name__!r} object has no attribute {self.name!r}"
            raise AttributeError(text) from None
        if type(value) in ATOMS:
            return value
        return state.__pydantic_private__.changes.touch(self.name, value)

    def __set__(self, state: Any, value: Any) -> None:
        setattr_of: Any = type(state).__setattr__
        setattr_of(state, self.name, value)

    def __delete__(self, state: Any) -> None:
        try:
            del state.__dict__[self.name]
        except KeyError:
            raise AttributeError(self.name) from None


_MARK = "__flowkit_tracked__"


@cache
def _tracked(model: type[BaseModel]) -> type:
    """The subclass an object of this model is lent while a run goes on.

    Built past pydantic's metaclass: fields, validator and serializer stay the
    model's own.
    """
    body: dict[str, Any] = {
        _MARK: (model, bool(model.__private_attributes__)),
        "__slots__": (),
        "__module__": model.__module__,
        "__qualname__": model.__qualname__,
        "__doc__": model.__doc__,
        "__setattr__": _setter(model),
        "__delattr__": _deleter(model),
        "__eq__": _equal,
        "__hash__": model.__hash__,
        "__reduce_ex__": _reduced,
        "__copy__": _copied,
        "__iter__": _iterated,
        "__deepcopy__": _deep_copied,
        "model_copy": _model_copied,
    }
    for name, info in model.model_fields.items():
        if not _is_atomic(info.annotation):
            body[name] = _Touch(name)
    kind: type = type.__new__(type(model), model.__name__, (model,), body)
    return kind


def _setter(model: type[BaseModel]) -> Callable[[Any, str, Any], None]:
    """``__setattr__`` that notes the field first; plain fields past pydantic."""
    native: Any = model.__setattr__
    config = model.model_config
    fields = frozenset(model.model_fields)
    simple = not config.get("validate_assignment") and not config.get("frozen")
    own = native is BaseModel.__setattr__
    frozen = {name for name, info in model.model_fields.items() if info.frozen}
    plain = fields - frozen if simple and own else frozenset()
    private = frozenset(model.__private_attributes__)

    def assign(self: Any, name: str, value: Any) -> None:
        if name in plain:
            changes = self.__pydantic_private__.changes
            raw = changes.raw
            if name not in changes.before:
                changes.before[name] = raw.get(name, MISSING)
            raw[name] = value
            self.__pydantic_fields_set__.add(name)
            return
        changes = self.__pydantic_private__.changes
        if name in fields:
            changes.write(name)
        native(self, name, value)
        if self.__dict__ is not changes.raw:
            _taken_back(self, changes)
        if changes.view and name in private:  # not state: all views share them
            changes.box.live.__pydantic_private__[name] = value

    return assign


def _taken_back(state: Any, changes: Changes) -> None:
    """Validation of an assignment gave the object a new ``__dict__``: keep ours."""
    new, raw = state.__dict__, changes.raw
    for field, value in new.items():
        if raw.get(field, MISSING) is not value:
            changes.write(field)
            raw[field] = value
    _put(state, "__dict__", raw)


def _deleter(model: type[BaseModel]) -> Callable[[Any, str], None]:
    native: Any = model.__delattr__
    fields = frozenset(model.model_fields)

    def delete(self: Any, name: str) -> None:
        if name in fields:
            self.__pydantic_private__.changes.write(name)
        native(self, name)

    return delete


def _is_atomic(annotation: Any) -> bool:
    """Whether values of this annotation can't be changed in place."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation in ATOMS or issubclass(annotation, Enum | UUID)
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if origin is Union or isinstance(annotation, UnionType):
        return all(_is_atomic(each) for each in get_args(annotation))
    return annotation is None


@cache
def traits(
    model: type[BaseModel],
) -> tuple[Mapping[str, Callable[..., Any]], dict[str, type], bool]:
    """Reducers, fields checked by type alone, and whether any field is taken."""
    extra = model.model_config.get("extra") == "allow"
    return reducers_of(model), native_types(model), extra


@cache
def reducers_of(model: type[BaseModel]) -> Mapping[str, Callable[..., Any]]:
    """The reducer of each field that declares one by ``Annotated``."""
    found = {}
    for name, info in model.model_fields.items():
        for extra in info.metadata:
            if callable(extra) and not isinstance(extra, type):
                found[name] = extra
                break
    return found


@cache
def native_types(model: type[BaseModel]) -> dict[str, type]:
    """Fields whose whole check is the type of their value."""
    decorators = model.__pydantic_decorators__
    if decorators.field_validators or decorators.model_validators:
        return {}
    if decorators.validators or decorators.root_validators:
        return {}
    return {
        name: info.annotation
        for name, info in model.model_fields.items()
        if info.annotation in _NATIVE
        and all(callable(extra) for extra in info.metadata)
    }


_NATIVE = {int, str, bool, bytes}


def invalid_fields(state: Any, changed: list[str]) -> list[tuple[str, Any, str]]:
    """For each changed field its value as its type takes it, and a fault or "".

    Field by field and on a copy: the state itself is not touched. Validators of
    the field and of the model run, as for pydantic's ``validate_assignment``.
    """
    kind: Any = type(state)
    model = kind.__base__ if _MARK in kind.__dict__ else kind
    native = native_types(model)
    found: list[tuple[str, Any, str]] = []
    copy: Any = None
    for field in changed:
        value = state.__dict__.get(field, MISSING)
        if type(value) is native.get(field, MISSING):
            found.append((field, value, ""))
            continue
        if field not in model.model_fields:
            continue
        if value is MISSING:
            found.append((field, value, "the field was deleted"))
            continue
        copy = copy or _own(state)
        found.append(_checked(model, copy, field, value))
    return found


def _checked(
    model: type[BaseModel], copy: Any, field: str, value: Any
) -> tuple[str, Any, str]:
    try:
        model.__pydantic_validator__.validate_assignment(copy, field, value)
    except ValidationError as error:
        frozen = all(each["type"].startswith("frozen") for each in error.errors())
        return field, value, "" if frozen else faults_in(error)
    checked = copy.__dict__[field]
    return field, value if same(value, checked) else checked, ""


def adapter_for(kind: Any) -> TypeAdapter[Any] | None:
    """What validates values of a type; None for a type pydantic does not know."""
    try:
        return _adapter(kind)
    except TypeError:  # a type that can't be a dictionary's key
        return _new_adapter(kind)


def _new_adapter(kind: Any) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(kind)
    except PydanticUserError:
        return None


_adapter = cache(_new_adapter)


def faults_in(error: ValidationError) -> str:
    """All faults of a validation, each with its place and what was given."""
    parts = []
    for each in error.errors(include_url=False, include_context=False):
        place = ".".join(map(str, each["loc"]))
        given = "" if each["type"] == "missing" else f", got {each['input']!r:.60}"
        parts.append(f"{place or 'the value'}: {each['msg']}{given}")
    return "; ".join(parts)
