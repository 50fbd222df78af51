"""Values of classes made again, without a call to what a class defines."""

from __future__ import annotations

from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields as fields_of
from enum import Enum, Flag
from typing import TYPE_CHECKING, Any, Final

from flowkit.errors import RestoredError, UnreadableError
from flowkit.journal.codec.classes import BASES, is_model
from flowkit.journal.codec.failures import rebuilt
from flowkit.journal.codec.names import RENAMED, class_of, made_readers
from flowkit.journal.codec.text import write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "CLASS_READERS",
]


def _of_class(make: Callable[[Any, str], Callable[..., Any]]) -> Callable[[Any], Any]:
    """A reader of values whose body begins with a class; one maker a class."""
    readers: dict[str, Callable[..., Any]] = {}
    made_readers.append(readers)

    def read(body: list[Any]) -> Any:
        name = body[0]
        key = name if type(name) is str else write(name)
        reader = readers.get(key)
        if reader is None:
            reader = readers[key] = make(class_of(name), key)
        return reader(*body[1:])

    return read


def _wrong_sort(name: str, sort: str) -> UnreadableError:
    return UnreadableError(
        f"A stored value is of the class {name}, which is not {sort} here. "
        f"{RENAMED.format(name=name)}"
    )


def _is_class(found: Any, base: type) -> bool:
    return isinstance(found, type) and issubclass(found, base)


def _lost(name: str, field: str, cure: str) -> UnreadableError:
    return UnreadableError(
        f"A stored {name} has no value for {field!r}, which has no default. {cure}"
    )


def _enum_reader(kind: Any, name: str) -> Callable[..., Any]:
    if not _is_class(kind, Enum):
        raise _wrong_sort(name, "an enum")

    def member(value: str) -> Any:
        found = kind.__members__.get(value)
        if found is None:
            cure = f"Keep it as another name of the member that took its place: {value}"
            raise UnreadableError(
                f"A stored value is {name}.{value}, which the enum no longer has. "
                f"{cure} = .."
            )
        return found

    return member


def _flag_reader(kind: Any, name: str) -> Callable[..., Any]:
    if not _is_class(kind, Flag):
        raise _wrong_sort(name, "a flag")
    flag: Callable[..., Any] = kind
    return flag


def _named_reader(kind: Any, name: str) -> Callable[..., Any]:
    if not (_is_class(kind, tuple) and hasattr(kind, "_fields")):
        raise _wrong_sort(name, "a named tuple")

    def named(values: list[Any]) -> Any:
        for field in kind._fields[len(values) :]:
            if field not in kind._field_defaults:
                raise _lost(name, field, "Give the field a default.")
            values.append(kind._field_defaults[field])
        return tuple.__new__(kind, values[: len(kind._fields)])

    return named


_put = object.__setattr__


def _data_reader(kind: Any, name: str) -> Callable[..., Any]:
    if not (isinstance(kind, type) and hasattr(kind, "__dataclass_fields__")):
        raise _wrong_sort(name, "a dataclass")
    fields = fields_of(kind)

    def data(held: dict[str, Any], more: dict[str, Any] | None = None) -> Any:
        new: Any = object.__new__(kind)
        for field in fields:
            if field.name in held:
                _put(new, field.name, held[field.name])
            elif field.default is not NO_DEFAULT:
                _put(new, field.name, field.default)
            elif field.default_factory is not NO_DEFAULT:
                _put(new, field.name, field.default_factory())
            elif field.init:
                raise _lost(name, field.name, "Give the field a default.")
        if more:
            new.__dict__.update(more)
        return new

    return data


def _model_reader(kind: Any, name: str) -> Callable[..., Any]:
    if not (isinstance(kind, type) and is_model(kind)):
        raise _wrong_sort(name, "a pydantic model")
    model: Any = kind
    names = model.model_fields.keys()
    private = model.__private_attributes__
    is_open = model.model_config.get("extra") == "allow"

    def restore(
        held: dict[str, Any],
        given: list[str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> Any:
        new: Any = object.__new__(model)
        found = set(held if given is None else given)
        if held.keys() != names:
            held = _completed(model, name, held)
        _put(new, "__dict__", held)
        _put(new, "__pydantic_fields_set__", found)
        _put(new, "__pydantic_extra__", (extra or {}) if is_open else None)
        own = _private(private, held) if private else None
        _put(new, "__pydantic_private__", own)
        return new

    return restore


def _private(attributes: Mapping[str, Any], held: dict[str, Any]) -> dict[str, Any]:
    """Private attributes as a new object of the model would have them."""
    from pydantic_core import PydanticUndefined  # with the first model that has some

    values = {name: _private_value(each, held) for name, each in attributes.items()}
    return {k: v for k, v in values.items() if v is not PydanticUndefined}


def _private_value(attribute: Any, held: dict[str, Any]) -> Any:
    if attribute.default_factory is None:
        return attribute.get_default()
    if getattr(attribute, "default_factory_takes_validated_data", False):
        return attribute.default_factory(held)
    return attribute.default_factory()


def _completed(model: Any, name: str, held: dict[str, Any]) -> dict[str, Any]:
    """Fields that the model has gained by their defaults; lost ones left out."""
    out = {key: each for key, each in held.items() if key in model.model_fields}
    for key, info in model.model_fields.items():
        if key not in out:
            if info.is_required():
                raise _lost(name, key, "Give the field a default.")
            out[key] = info.get_default(call_default_factory=True, validated_data=out)
    return out


def _derived_reader(kind: Any, name: str) -> Callable[..., Any]:
    def derived(base_name: str, value: Any) -> Any:
        base: Any = next(each for each in BASES if each.__name__ == base_name)
        if not _is_class(kind, base):
            raise _wrong_sort(name, f"derived from {base_name}")
        if base is list or base is dict or base is set:
            new: Any = base.__new__(kind)
            base.__init__(new, value)
            return new
        return base.__new__(kind, value)

    return derived


def _url_reader(kind: Any, name: str) -> Callable[..., Any]:
    if not name.startswith("pydantic.networks:") or not hasattr(kind, "unicode_string"):
        raise _wrong_sort(name, "a URL of pydantic")
    url: Callable[..., Any] = kind
    return url


def _error_reader(kind: Any, name: str) -> Callable[..., Any]:
    if not _is_class(kind, BaseException):
        raise _wrong_sort(name, "an exception")

    def error(args: list[Any], state: dict[str, Any], cause: Any = None) -> Any:
        try:
            new: Any = rebuilt(kind, tuple(args))
            BaseException.__setstate__(new, state)
        except Exception:  # noqa: BLE001 - its class has changed; what it said counts
            new = RestoredError(f"{name}: {', '.join(map(str, args))}", kind=name)
        new.__cause__ = cause if isinstance(cause, BaseException) else None
        return new

    return error


def _read_error(body: list[Any]) -> Any:
    """An exception is told even if its class is gone."""
    try:
        return _read_known_error(body)
    except UnreadableError:
        name, args, *_ = body
        return RestoredError(f"{name}: {', '.join(map(str, args))}", kind=str(name))


_read_known_error = _of_class(_error_reader)

CLASS_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "!enum": _of_class(_enum_reader),
    "!flag": _of_class(_flag_reader),
    "!named": _of_class(_named_reader),
    "!data": _of_class(_data_reader),
    "!model": _of_class(_model_reader),
    "!derived": _of_class(_derived_reader),
    "!url": _of_class(_url_reader),
    "!error": _read_error,
}
