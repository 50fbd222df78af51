"""Writers of classes, made when a class is first met."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from dataclasses import fields as fields_of
from datetime import date, datetime
from enum import Enum, Flag
from typing import TYPE_CHECKING, Any

from flowkit.errors import CURE
from flowkit.journal.codec.failures import write_error
from flowkit.journal.codec.names import TZINFO, Refused, label_of, name_of, noun
from flowkit.journal.codec.values import (
    WRITERS,
    field_trees,
    tagged,
    tree_of,
    write_dict,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BASES",
    "is_model",
    "own_of",
    "writer_for",
]

_STANDS_FOR: dict[str, type] = {
    "flowkit.runtime.changes:StateDict": dict,
    "freezegun.api:FakeDatetime": datetime,
    "freezegun.api:FakeDate": date,
}

BASES: tuple[type, ...] = (str, int, float, bytes, list, dict, set, frozenset)


def writer_for(kind: type) -> Callable[[Any, int], Any]:
    """The writer of a class; refused if its values cannot be read again."""
    stand_in = _STANDS_FOR.get(label_of(kind))
    if stand_in is not None:
        return WRITERS[stand_in]
    for is_sort, make in _SORTS:
        if is_sort(kind):
            found: Callable[[Any, int], Any] = make(kind)
            return found
    raise _refusal(kind)


def is_model(kind: Any) -> bool:
    """Whether it is a class of pydantic models, found without pydantic."""
    return hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_fields")


def _is_url(kind: type) -> bool:
    return kind.__module__ == "pydantic.networks" and hasattr(kind, "unicode_string")


def _is_derived(kind: type) -> bool:
    known = (Counter, OrderedDict, defaultdict)
    return issubclass(kind, BASES) and not issubclass(kind, known)


def _refusal(kind: type) -> Refused:
    label, cure = label_of(kind), CURE
    if issubclass(kind, type):
        cure = "Store the class's name, or an enum member that stands for it."
    elif kind.__name__ in {"function", "builtin_function_or_method", "method"}:
        cure = "Store a name and look the function up in a table."
    elif kind.__name__ in {"generator", "coroutine", "async_generator"}:
        cure = "Store what it yields: list(..), or the awaited result."
    elif label.startswith("pydantic.types:Secret"):
        why = "is not written in clear text unasked"
        cure = (
            "Keep it on the flow object (self.token), read it where it is used, or "
            "store .get_secret_value() to have it in the store as it is."
        )
        return Refused(noun(kind), why, cure)
    elif label.startswith(("numpy", "pandas")):
        cure = "Store its .tolist() or .to_dict(), or keep it in a file."
    return Refused(noun(kind), "cannot be stored", cure)


def _enum_writer(kind: type[Enum]) -> Callable[[Any, int], Any]:
    name = name_of(kind)
    if issubclass(kind, Flag):
        return lambda value, depth: {"!flag": [name, tree_of(value.value, depth)]}
    return lambda value, _: {"!enum": [name, value._name_]}


def _named_writer(kind: type) -> Callable[[Any, int], Any]:
    name, fields = name_of(kind), kind._fields  # type: ignore[attr-defined]  # asked above

    def named(value: Any, depth: int) -> Any:
        parts = field_trees(dict(zip(fields, value, strict=True)), depth)
        return {"!named": [name, list(parts.values())]}

    return named


def _data_writer(kind: Any) -> Callable[[Any, int], Any]:
    name = name_of(kind)
    names = tuple(each.name for each in fields_of(kind))
    try:
        object.__new__(kind)
    except TypeError:
        why = "is a dataclass and a built-in container in one"
        raise Refused(noun(kind), why, "Keep the container in a field.") from None
    known = frozenset(names)

    def data(value: Any, depth: int) -> Any:
        held = {n: getattr(value, n) for n in names if hasattr(value, n)}
        body = [name, field_trees(held, depth)]
        more = {k: v for k, v in own_of(value).items() if k not in known}
        if more:
            more = {k: v for k, v in more.items() if not _is_cache(kind, k)}
        return {"!data": [*body, write_dict(more, depth)] if more else body}

    return data


def own_of(value: Any) -> dict[str, Any]:
    """The attributes of the object itself."""
    found: dict[str, Any] = getattr(value, "__dict__", None) or {}
    return found


def _is_cache(kind: type, name: str) -> bool:
    made = getattr(kind, name, None)
    return type(made).__name__ == "cached_property" or name.startswith("__")


def _model_writer(kind: Any) -> Callable[[Any, int], Any]:
    name = name_of(kind)
    names = kind.model_fields.keys()

    def model(value: Any, depth: int) -> Any:
        held = value.__dict__
        if held.keys() != names:
            held = {key: each for key, each in held.items() if key in names}
        body = [name, field_trees(held, depth)]
        given = value.__pydantic_fields_set__
        extra = value.__pydantic_extra__
        if extra or given != held.keys():
            body.append(sorted(given))
        if extra:
            body.append(write_dict(extra, depth))
        return {"!model": body}

    return model


def _url_writer(kind: type) -> Callable[[Any, int], Any]:
    name = label_of(kind)
    return lambda value, _: {"!url": [name, str(value)]}


def _tzinfo_writer(kind: type) -> Callable[[Any, int], Any]:
    return tagged("!tzinfo", lambda zone: zone.utcoffset(None).total_seconds())


def _derived_writer(kind: type) -> Callable[[Any, int], Any]:
    base = next(each for each in BASES if issubclass(kind, each))
    name, write_base = name_of(kind), WRITERS[base]
    make: Any = list if base is list else base

    def derived(value: Any, depth: int) -> Any:
        if own_of(value) or _slots(kind):
            why = f"has attributes beside its {base.__name__}"
            raise Refused(noun(kind), why, "Make it a dataclass or a model.")
        inner = dict(dict.items(value)) if base is dict else _bare(make, value)
        return {"!derived": [name, base.__name__, write_base(inner, depth)]}

    return derived


def _bare(base: Any, value: Any) -> Any:
    """The built-in value in a derived one, past all that its class overrides."""
    if base is list:
        return list.copy(value)
    if base is set or base is frozenset:
        return base(base.__iter__(value))
    if base is str:
        return str.__str__(value)[:]
    if base is bytes:
        return bytes.__getitem__(value, slice(None))
    return base.__pos__(value)


def _slots(kind: type) -> bool:
    return any(each.__dict__.get("__slots__") for each in kind.__mro__)


_SORTS: tuple[tuple[Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (lambda kind: issubclass(kind, Enum), _enum_writer),
    (lambda kind: issubclass(kind, BaseException), lambda _: write_error),
    (is_model, _model_writer),
    (lambda kind: hasattr(kind, "__dataclass_fields__"), _data_writer),
    (lambda kind: issubclass(kind, tuple) and hasattr(kind, "_fields"), _named_writer),
    (_is_url, _url_writer),
    (lambda kind: label_of(kind) == TZINFO, _tzinfo_writer),
    (_is_derived, _derived_writer),
)
