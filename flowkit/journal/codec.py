"""Values as JSON text and back, exactly.

What goes in comes back equal and of the same types, or is refused with its place,
its type and a cure. Five rules of this file:

1. What JSON has is written as it is. Anything else is an object with one key that
   begins with ``!`` (``{"!tuple": [1, 2]}``); a dictionary whose own keys would
   look like that, or are not text, is written as ``!dict``.
2. A class is written as ``module:Name`` and must be found under that name at once;
   :func:`alias` tells where a renamed one is.
3. Reading makes values of the built-in types above, dataclasses, enum members,
   pydantic models, named tuples and exceptions, and nothing else, without a call to
   ``__init__``, a validator or ``__reduce__``. It imports the module that a class's
   name says, so a store is trusted as much as the path modules are found on. A field
   that a class has gained takes its default; one it has lost is left out.
4. An exception can always be written: what it holds and cannot be stored is left
   out, and a class that cannot be found again comes back as :class:`RestoredError`.
5. Equal sets give equal text. Shared objects come back as separate ones; private
   attributes of models, caches and tracebacks are not kept; a time zone that is
   neither fixed nor a ``ZoneInfo`` comes back as its offset at that moment.
"""

from __future__ import annotations

import json
import re
import sys
from base64 import b64decode, b64encode
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields as fields_of
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from functools import reduce
from importlib import import_module
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from json.encoder import encode_basestring_ascii
from math import isfinite
from operator import or_
from pathlib import (
    Path,
    PosixPath,
    PurePath,
    PurePosixPath,
    PureWindowsPath,
    WindowsPath,
)
from threading import local
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID
from zoneinfo import ZoneInfo

from flowkit.errors import RunError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "Lost",
    "RestoredError",
    "UnreadableError",
    "UnstorableError",
    "alias",
    "aliased",
    "decode",
    "decode_loosely",
    "encode",
    "former_names",
    "from_plain",
    "keyed",
    "name_of",
    "named",
    "roundtrip",
    "to_plain",
    "widen_by",
    "write",
]

MARK = "!"
NEXT = '"'  # what begins with the mark sorts before
DEEPEST = 100  # levels of nesting; JSON readers bound theirs, too
LARGE = 1 << 2000  # larger integers are written in hex: their decimal text is bounded
SHORT = 16  # values up to which one loop beats several fast passes

TZINFO = "pydantic_core._pydantic_core:TzInfo"

CURE = (
    "Keep what cannot be stored on the flow object (self.client), not in its state, "
    "or store what it can be made from again: text, numbers, a dataclass, a model."
)
RENAMED = (
    "If it was moved or renamed, say so before runs are read: "
    "flowkit.journal.codec.alias({name!r}, TheClass)."
)


class UnstorableError(RunError, TypeError):
    """A value that cannot be written and read back as itself.

    Attributes:
        where: its place, such as ``state.items[3].lock``.
        what: the value as a noun, such as ``a _thread.lock``.
        why: what is wrong with it, such as ``cannot be stored``.
        cure: what to do, one sentence or two.
        step: the step that left it there, or "".
    """

    def __init__(
        self, where: str, what: str, why: str, cure: str = CURE, step: str = ""
    ) -> None:
        self.where: str = where
        self.what: str = what
        self.why: str = why
        self.cure: str = cure
        self.step: str = step
        begin = f"{step} left {where} as" if step else f"{where} is"
        super().__init__(f"{begin} {what}, which {why}. {cure}")

    def at(self, step: str) -> UnstorableError:
        """The same error, telling which step left the value (``Orders.charge``)."""
        return UnstorableError(self.where, self.what, self.why, self.cure, step)


class UnreadableError(StoreError, ValueError):
    """Stored text that this program cannot turn into values again."""


class RestoredError(RunError):
    """Stands for a stored exception whose class cannot be rebuilt.

    Attributes:
        kind: the name of its class; the text begins with it.
    """

    def __init__(self, text: str, *, kind: str = "") -> None:
        self.kind: str = kind
        super().__init__(text)


class _Refused(Exception):  # noqa: N818 - becomes an UnstorableError with its place
    """On its way out of the value; each container adds its part of the place."""

    def __init__(self, what: str, why: str, cure: str = CURE) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.cure = cure
        self.path: list[str] = []

    def at(self, where: str) -> UnstorableError:
        place = where + "".join(reversed(self.path))
        return UnstorableError(place, self.what, self.why, self.cure)


# The way out: values to trees of what JSON has, trees to text.

_make: Any = getattr(json.encoder, "c_make_encoder", None)  # not on every Python
_slow = json.JSONEncoder(allow_nan=False, separators=(",", ":"), check_circular=False)
_chunks: Any = _make and _make(
    None,
    _slow.default,
    encode_basestring_ascii,
    None,
    ":",
    ",",
    False,  # noqa: FBT003 - sort_keys, skipkeys, allow_nan: positional only
    False,  # noqa: FBT003
    False,  # noqa: FBT003
)


def write(plain: Any) -> str:
    """The text of a tree of what JSON has, such as :func:`to_plain` gives."""
    return "".join(_chunks(plain, 0)) if _chunks else _slow.encode(plain)


def encode(value: Any, where: str) -> str:
    """A value as JSON text, in ASCII.

    Args:
        value: anything that can come back as itself.
        where: its place, for the error: ``state.items``.

    Raises:
        UnstorableError: it holds something that cannot be stored.
    """
    kind = type(value)
    if kind is str:
        text: str = encode_basestring_ascii(value)
        if "\\ud" not in text:
            return text
    elif kind is int and -LARGE < value < LARGE:
        return repr(value)
    elif value is None or kind is bool:
        return "null" if value is None else "true" if value else "false"
    elif kind is dict or kind is list:
        quick = _quick(value, kind)
        if quick:
            return quick
    try:
        return write(_plain(value, 0))
    except _Refused as fault:
        raise _explained(fault, value, where) from None


def _quick(value: Any, kind: type) -> str:
    """The text of a flat list or dictionary; "" if it is not, or may be none."""
    if kind is dict:
        keys = set(map(type, value))
        if keys != _TEXT or min(value) < NEXT:
            return ""
        kinds = set(map(type, value.values()))
    else:
        kinds = set(map(type, value))
    if not kinds <= _ATOMS:
        return ""
    try:
        text = write(value)
    except ValueError:  # not a finite number, or too long a one
        return ""
    return "" if "\\ud" in text else text


def to_plain(value: Any, where: str) -> Any:
    """A value as a part of a bigger document: a tree of what JSON has.

    It may share lists and dictionaries with the value: :func:`write` it before the
    value can change.

    Raises:
        UnstorableError: it holds something that cannot be stored.
    """
    try:
        return _plain(value, 0)
    except _Refused as fault:
        raise _explained(fault, value, where) from None


def keyed(plains: Mapping[str, Any]) -> Any:
    """One tree of several: a dictionary whose values are trees already."""
    if _open_keys(plains):
        return plains
    return {"!dict": [[_plain(key, 0), each] for key, each in plains.items()]}


def roundtrip(value: Any, where: str) -> Any:
    """What reading the written value would give; itself if it cannot change.

    Raises:
        UnstorableError: it holds something that cannot be stored.
    """
    kind = type(value)
    if kind in _FIXED or (kind is tuple and _FIXED.issuperset(map(type, value))):
        return value
    if kind is list and _FIXED.issuperset(map(type, value)):
        return value[:]
    return decode(encode(value, where))


_FIXED = {NoneType, bool, int, float, complex, str, bytes, Decimal, UUID, timedelta}
_ATOMS = {NoneType, bool, int, float, str}
_TEXT = {str}


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    writer = _WRITERS.get(kind)
    if writer is None:
        writer = _WRITERS[kind] = _writer_for(kind)
    return writer(value, depth + 1)


_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def _unsplit(values: Iterable[str]) -> bool:
    """No halves of a character beside each other, which JSON would join."""
    joined = "".join(values)
    return joined.isascii() or not _PAIR.search(joined)


def _always(values: Any) -> bool:
    return True


_BULK: dict[type, Callable[[Any], bool]] = {
    NoneType: _always,
    bool: _always,
    int: lambda values: max(values) < LARGE and min(values) > -LARGE,
    float: lambda values: all(map(isfinite, values)),
    str: _unsplit,
}


def _flat(values: Any) -> bool:
    """Whether JSON has each of these values as it is."""
    if len(values) <= SHORT:
        return all(map(_is_flat, values))
    kinds = set(map(type, values))
    if len(kinds) == 1 and kinds <= _ATOMS:
        return _BULK[kinds.pop()](values)
    return kinds <= _ATOMS and all(
        _BULK[kind]([each for each in values if type(each) is kind]) for kind in kinds
    )


def _is_flat(value: Any) -> bool:
    kind = type(value)
    if kind is str:
        return value.isascii() or not _PAIR.search(value)
    if kind is int:
        return bool(-LARGE < value < LARGE)
    if kind is float:
        return isfinite(value)
    return kind is bool or value is None


def _open_keys(value: Mapping[Any, Any]) -> bool:
    """Whether a dictionary's keys can be those of a JSON object."""
    if not value:
        return True
    if set(map(type, value)) != {str} or not _unsplit(value):
        return False
    return min(value) >= NEXT or not any(key[:1] == MARK for key in value)


def _write_same(value: Any, depth: int) -> Any:
    return value


def _write_int(value: int, depth: int) -> Any:
    return value if -LARGE < value < LARGE else {"!int": hex(value)}


def _write_float(value: float, depth: int) -> Any:
    return value if isfinite(value) else {"!float": repr(value)}


def _write_str(value: str, depth: int) -> Any:
    if value.isascii() or not _PAIR.search(value):
        return value
    return {"!str": value.encode("utf-8", "surrogatepass").hex()}


def _write_list(value: list[Any], depth: int) -> Any:
    return value if _flat(value) else _items(value, depth)


def _items(values: Iterable[Any], depth: int) -> list[Any]:
    out: list[Any] = []
    _check_depth(depth)
    try:
        for each in values:
            out.append(_plain(each, depth))  # noqa: PERF401 - its length is the place
    except _Refused as fault:
        fault.path.append(f"[{len(out)}]")
        raise
    return out


def _check_depth(depth: int) -> None:
    if depth > DEEPEST:
        raise _Refused("", _DEEP)


_DEEP = "is nested too deep"


def _write_dict(value: dict[Any, Any], depth: int) -> Any:
    if not _open_keys(value):
        return {"!dict": _pairs(dict.items(value), depth)}
    return value if _flat(dict.values(value)) else _members(dict.items(value), depth)


def _members(pairs: Iterable[tuple[str, Any]], depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    key = ""
    _check_depth(depth)
    try:
        for key, each in pairs:
            out[key] = _plain(each, depth)
    except _Refused as fault:
        fault.path.append(f"[{key!r}]")
        raise
    return out


def _pairs(pairs: Iterable[tuple[Any, Any]], depth: int) -> list[list[Any]]:
    out: list[list[Any]] = []
    key: Any = None
    _check_depth(depth)
    try:
        for key, each in pairs:
            out.append([_plain(key, depth), _plain(each, depth)])
    except _Refused as fault:
        fault.path.append(f"[{_text_of(key, repr):.60}]")
        raise
    return out


def _fields(fields: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    if _flat(fields.values()):
        return fields
    out: dict[str, Any] = {}
    name = ""
    _check_depth(depth)
    try:
        for name, each in fields.items():
            out[name] = _plain(each, depth)
    except _Refused as fault:
        fault.path.append(f".{name}")
        raise
    return out


def _tagged(tag: str, text: Callable[[Any], Any]) -> Callable[[Any, int], Any]:
    """A writer of values that one text, or one flat list, says all about."""
    return lambda value, _: {tag: text(value)}


def _nested(tag: str, parts: Callable[[Any], Any]) -> Callable[[Any, int], Any]:
    """A writer of values that a list of other values says all about."""
    return lambda value, depth: {tag: _items(parts(value), depth)}


def _write_tuple(value: tuple[Any, ...], depth: int) -> Any:
    return {"!tuple": list(value) if _flat(value) else _items(value, depth)}


def _sorted(value: Any, depth: int) -> list[Any]:
    kinds = set(map(type, value))
    if kinds in ({str}, {int}) and _flat(value):
        return sorted(value)
    _check_depth(depth)
    try:
        return sorted((_plain(each, depth) for each in value), key=write)
    except _Refused as fault:
        fault.path.append("{..}")
        raise


def _write_set(value: set[Any], depth: int) -> Any:
    return {"!set": _sorted(value, depth)}


def _write_frozenset(value: frozenset[Any], depth: int) -> Any:
    return {"!frozenset": _sorted(value, depth)}


def _write_bytes(value: bytes, depth: int) -> Any:
    return {"!bytes": b64encode(value).decode()}


def _write_zoned(tag: str, value: Any, depth: int) -> Any:
    """A date with a time, or a time: its text, and the zone if text has none."""
    zone = value.tzinfo
    if zone is not None and type(zone) not in {timezone, ZoneInfo}:
        zone = _kept_zone(value)
    unnamed = type(zone) is timezone and _is_unnamed(zone)
    bare = value.replace(tzinfo=None, fold=0)
    if not value.fold and (zone is None or unnamed):
        return {tag: bare.replace(tzinfo=zone).isoformat()}
    return {tag: [bare.isoformat(), value.fold, _plain(zone, depth)]}


def _is_unnamed(zone: Any) -> bool:
    return len(zone.__getinitargs__()) == 1  # what pickle asks: offset, and a name


def _kept_zone(value: Any) -> Any:
    """The zone itself if it can be made again, else its offset at that moment."""
    zone = value.tzinfo
    if _label(type(zone)) == TZINFO:
        return zone
    offset = value.utcoffset()
    if offset is None:
        cure = "Use a zoneinfo.ZoneInfo."
        raise _Refused(_a(type(zone)), "has no offset by itself", cure)
    return timezone(offset)


def _write_datetime(value: datetime, depth: int) -> Any:
    return _write_zoned("!datetime", value, depth)


def _write_time(value: time, depth: int) -> Any:
    return _write_zoned("!time", value, depth)


def _write_zone(value: ZoneInfo, depth: int) -> Any:
    key: str | None = value.key
    if key is None:
        cure = "Make it with ZoneInfo('Europe/Berlin')."
        raise _Refused("a ZoneInfo read from a file", "has no name", cure)
    return {"!zone": key}


def _write_default(value: defaultdict[Any, Any], depth: int) -> Any:
    factory = value.default_factory
    if factory is not None and factory not in _FACTORIES.values():
        cure = f"Use one of {', '.join(_FACTORIES)}, or a plain dict with setdefault."
        what = f"a defaultdict of {getattr(factory, '__qualname__', factory)}"
        raise _Refused(what, "cannot be made again", cure)
    name = None if factory is None else factory.__name__
    return {"!default": [name, _pairs(value.items(), depth)]}


_FACTORIES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (list, dict, set, int, float, str, bool, tuple, Counter, deque)
}


def _write_deque(value: deque[Any], depth: int) -> Any:
    return {"!deque": [_items(value, depth), value.maxlen]}


_WRITERS: dict[type, Callable[[Any, int], Any]] = {
    NoneType: _write_same,
    bool: _write_same,
    int: _write_int,
    float: _write_float,
    str: _write_str,
    list: _write_list,
    dict: _write_dict,
    tuple: _write_tuple,
    set: _write_set,
    frozenset: _write_frozenset,
    bytes: _write_bytes,
    bytearray: _tagged("!bytearray", lambda value: b64encode(value).decode()),
    complex: _nested("!complex", lambda value: (value.real, value.imag)),
    deque: _write_deque,
    OrderedDict: lambda value, depth: {"!ordered": _pairs(value.items(), depth)},
    Counter: lambda value, depth: {"!counter": _pairs(value.items(), depth)},
    defaultdict: _write_default,
    range: _nested("!range", lambda value: (value.start, value.stop, value.step)),
    date: _tagged("!date", date.isoformat),
    datetime: _write_datetime,
    time: _write_time,
    timedelta: _tagged("!timedelta", lambda v: [v.days, v.seconds, v.microseconds]),
    timezone: _nested("!timezone", lambda value: value.__getinitargs__()),
    ZoneInfo: _write_zone,
    Decimal: _tagged("!decimal", str),
    Fraction: _nested("!fraction", lambda value: (value.numerator, value.denominator)),
    UUID: _tagged("!uuid", str),
    re.Pattern: _nested("!pattern", lambda value: (value.pattern, value.flags)),
}

_IPS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        IPv4Address,
        IPv4Interface,
        IPv4Network,
        IPv6Address,
        IPv6Interface,
        IPv6Network,
    )
}
_PATHS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (PosixPath, WindowsPath, PurePosixPath, PureWindowsPath)
}


def _write_path(value: PurePath, depth: int) -> Any:
    return {"!path": [type(value).__name__, _plain(str(value), depth)]}


_WRITERS.update(dict.fromkeys(_PATHS.values(), _write_path))
_WRITERS.update(
    dict.fromkeys(
        _IPS.values(),
        _tagged("!ip", lambda value: [type(value).__name__, str(value)]),
    )
)


# Classes by name.


def _label(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _a(kind: type) -> str:
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


_aliases: dict[str, type] = {}
_found: list[dict[str, Callable[..., Any]]] = []  # readers by class name, a sort each
_widen: list[Callable[[type], type]] = []


def alias(name: str, kind: type) -> None:
    """Read what was stored under a former class name as this class.

    Args:
        name: as it was: ``package.module:Class``.
        kind: the class that takes its values now.
    """
    _aliases[name] = kind
    for readers in _found:
        readers.clear()


def aliased(name: str) -> type | None:
    """The class that was said to stand for a former name, or None."""
    return _aliases.get(name)


def former_names(kind: type) -> list[str]:
    """The former names that a class was said to stand for."""
    return [name for name, each in _aliases.items() if each is kind]


def widen_by(make: Callable[[type], type]) -> None:
    """Tell how a state model without ``id`` gets the class that has one.

    The runtime makes those classes; under their name only the model is found.
    """
    _widen[:] = [make]


def _find(name: str) -> Any:
    """What a stored class name stands for."""
    known = _aliases.get(name)
    if known is not None:
        return known
    module, _, path = name.partition(":")
    try:
        first, *rest = path.split(".")
        found = getattr(import_module(module), first)
        for part in rest:
            found = vars(found)[part]
    except Exception as error:
        raise UnreadableError(
            f"A stored value is of the class {name}, which cannot be found here "
            f"({type(error).__name__}: {error}). {RENAMED.format(name=name)}"
        ) from error
    return found


def _name(kind: Any) -> Any:
    """A class as it is stored; refused if it would not be found again."""
    if "__flowkit_tracked__" in kind.__dict__:
        kind = kind.__base__
    generic = kind.__dict__.get("__pydantic_generic_metadata__")
    if generic and generic["origin"]:
        name: Any = [_name(generic["origin"]), *map(_hint_name, generic["args"])]
        if _class_of(name) is kind:
            return name
        raise _Refused(_a(kind), "cannot be made again from its parameters")
    label = _label(kind)
    if "<" in label:
        what = f"{_a(kind)}, a class defined inside a function"
        raise _Refused(what, "cannot be found again", "Move the class to module level.")
    module: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        module = getattr(module, part, None)
    if module is kind:
        return label
    if _widen and module is kind.__base__ and _widen[0](module) is kind:
        return ["+id", label]
    cure = "Keep the class under the name it was defined with, at module level."
    raise _Refused(_a(kind), f"is not what {label} names", cure)


def _hint_name(hint: Any) -> Any:
    """A parameter of a generic class as it is stored."""
    if hint is None or hint is NoneType:
        return "None"
    if hint is Any or hint is Ellipsis:
        return "Any" if hint is Any else "..."
    origin, args = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return ["|", *map(_hint_name, args)]
    if origin is Literal and all(type(each) in _ATOMS for each in args):
        return ["Literal", *args]
    if isinstance(origin, type):
        return [_name(origin), *map(_hint_name, args)]
    if isinstance(hint, type):
        return _name(hint)
    raise _Refused(f"a generic of {hint!r}", "has a parameter without a class")


def _class_of(name: Any) -> Any:
    """The class, or the parameter, that a stored name stands for."""
    if isinstance(name, str):
        simple = {"None": None, "Any": Any, "...": ...}
        return simple[name] if name in simple else _find(name)
    head, *rest = name
    if head == "Literal":
        return Literal[tuple(rest)]
    if head == "+id":
        return _widen[0](_class_of(rest[0]))
    args = tuple(map(_class_of, rest))
    return reduce(or_, args) if head == "|" else _class_of(head)[args]


def name_of(kind: Any) -> Any:
    """How a class, or a type made of classes, is stored.

    None if it would not be found again: defined in a function, or not made of
    classes alone.
    """
    try:
        return _hint_name(kind)
    except _Refused:
        return None


def named(name: Any) -> Any:
    """What :func:`name_of` named.

    Raises:
        UnreadableError: it cannot be found here.
    """
    return _class_of(name)


# Writers of classes, made when a class is first met.

_STANDS_FOR: dict[str, type] = {
    "flowkit.runtime.state:StateDict": dict,
    "freezegun.api:FakeDatetime": datetime,
    "freezegun.api:FakeDate": date,
}
_BASES: tuple[type, ...] = (str, int, float, bytes, list, dict, set, frozenset)


def _writer_for(kind: type) -> Callable[[Any, int], Any]:
    stand_in = _STANDS_FOR.get(_label(kind))
    if stand_in is not None:
        return _WRITERS[stand_in]
    for is_sort, make in _SORTS:
        if is_sort(kind):
            found: Callable[[Any, int], Any] = make(kind)
            return found
    raise _refusal(kind)


def _is_model(kind: Any) -> bool:
    return hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_fields")


def _is_url(kind: type) -> bool:
    return kind.__module__ == "pydantic.networks" and hasattr(kind, "unicode_string")


def _is_derived(kind: type) -> bool:
    known = (Counter, OrderedDict, defaultdict)
    return issubclass(kind, _BASES) and not issubclass(kind, known)


def _refusal(kind: type) -> _Refused:
    label, cure = _label(kind), CURE
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
        return _Refused(_a(kind), why, cure)
    elif label.startswith(("numpy", "pandas")):
        cure = "Store its .tolist() or .to_dict(), or keep it in a file."
    return _Refused(_a(kind), "cannot be stored", cure)


def _enum_writer(kind: type[Enum]) -> Callable[[Any, int], Any]:
    name = _name(kind)
    if issubclass(kind, Flag):
        return lambda value, depth: {"!flag": [name, _plain(value.value, depth)]}
    return lambda value, _: {"!enum": [name, value._name_]}


def _named_writer(kind: type) -> Callable[[Any, int], Any]:
    name, fields = _name(kind), kind._fields  # type: ignore[attr-defined]  # asked above

    def named(value: Any, depth: int) -> Any:
        parts = _fields(dict(zip(fields, value, strict=True)), depth)
        return {"!named": [name, list(parts.values())]}

    return named


def _data_writer(kind: Any) -> Callable[[Any, int], Any]:
    name = _name(kind)
    names = tuple(each.name for each in fields_of(kind))
    try:
        object.__new__(kind)
    except TypeError:
        why = "is a dataclass and a built-in container in one"
        raise _Refused(_a(kind), why, "Keep the container in a field.") from None
    known = frozenset(names)

    def data(value: Any, depth: int) -> Any:
        held = {n: getattr(value, n) for n in names if hasattr(value, n)}
        body = [name, _fields(held, depth)]
        more = {k: v for k, v in _own(value).items() if k not in known}
        if more:
            more = {k: v for k, v in more.items() if not _is_cache(kind, k)}
        return {"!data": [*body, _write_dict(more, depth)] if more else body}

    return data


def _own(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = getattr(value, "__dict__", None) or {}
    return found


def _is_cache(kind: type, name: str) -> bool:
    made = getattr(kind, name, None)
    return type(made).__name__ == "cached_property" or name.startswith("__")


def _model_writer(kind: Any) -> Callable[[Any, int], Any]:
    name = _name(kind)
    names = kind.model_fields.keys()

    def model(value: Any, depth: int) -> Any:
        held = value.__dict__
        if held.keys() != names:
            held = {key: each for key, each in held.items() if key in names}
        body = [name, _fields(held, depth)]
        given = value.__pydantic_fields_set__
        extra = value.__pydantic_extra__
        if extra or given != held.keys():
            body.append(sorted(given))
        if extra:
            body.append(_write_dict(extra, depth))
        return {"!model": body}

    return model


def _url_writer(kind: type) -> Callable[[Any, int], Any]:
    name = _label(kind)
    return lambda value, _: {"!url": [name, str(value)]}


def _tzinfo_writer(kind: type) -> Callable[[Any, int], Any]:
    return _tagged("!tzinfo", lambda zone: zone.utcoffset(None).total_seconds())


def _derived_writer(kind: type) -> Callable[[Any, int], Any]:
    base = next(each for each in _BASES if issubclass(kind, each))
    name, write_base = _name(kind), _WRITERS[base]
    make: Any = list if base is list else base

    def derived(value: Any, depth: int) -> Any:
        if _own(value) or _slots(kind):
            why = f"has attributes beside its {base.__name__}"
            raise _Refused(_a(kind), why, "Make it a dataclass or a model.")
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


# Exceptions: always written, by what the interpreter itself would pickle.


def _builtin_base(kind: type) -> Any:
    return next(each for each in kind.__mro__ if each.__module__ == "builtins")


_telling = local()  # exceptions under way: one may hold itself, or what holds it


def _write_error(error: BaseException, depth: int) -> Any:
    _check_depth(depth)
    told: set[int] = _telling.__dict__.setdefault("ids", set())
    if id(error) in told:
        raise _Refused(_a(type(error)), "holds itself")
    told.add(id(error))
    try:
        return {"!error": _error_body(error, depth)}
    finally:
        told.discard(id(error))


def _error_body(error: BaseException, depth: int) -> list[Any]:
    kind = type(error)
    try:
        name = _name(kind)
        _, args, *rest = _builtin_base(kind).__reduce__(error)
        _rebuilt(kind, args)
    except Exception:  # noqa: BLE001 - whatever its class does, the error is told
        kind_name = f"{kind.__module__}.{kind.__qualname__}"
        name, rest = _label(RestoredError), [{"kind": kind_name}]
        args = (f"{kind_name}: {_text_of(error)}",)
    state = _kept_state(rest[0] if rest and rest[0] else {}, depth)
    body: list[Any] = [name, [_kept(each, depth) for each in args], state]
    if error.__cause__ is not None:
        body.append(_kept(error.__cause__, depth))
    return body


def _text_of(value: Any, text: Callable[[Any], str] = str) -> str:
    try:
        return text(value)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the error
        return "(no text)"


def _kept(value: Any, depth: int) -> Any:
    """An argument of an exception, or its text if it cannot be stored."""
    try:
        return _plain(value, depth)
    except _Refused:
        return _write_str(_text_of(value, repr), depth)


def _kept_state(state: Mapping[str, Any], depth: int) -> Any:
    out = {}
    for key, each in state.items():
        try:
            out[key] = _plain(each, depth)
        except _Refused:
            continue
    return keyed(out)


def _rebuilt(kind: Any, args: tuple[Any, ...]) -> Any:
    """An exception without a call to what its class defines."""
    base = _builtin_base(kind)
    error = base.__new__(kind, *args)
    if not isinstance(error, BaseExceptionGroup):
        base.__init__(error, *args)
    return error


_SORTS: tuple[tuple[Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (lambda kind: issubclass(kind, Enum), _enum_writer),
    (lambda kind: issubclass(kind, BaseException), lambda _: _write_error),
    (_is_model, _model_writer),
    (lambda kind: hasattr(kind, "__dataclass_fields__"), _data_writer),
    (lambda kind: issubclass(kind, tuple) and hasattr(kind, "_fields"), _named_writer),
    (_is_url, _url_writer),
    (lambda kind: _label(kind) == TZINFO, _tzinfo_writer),
    (_is_derived, _derived_writer),
)


# Cycles and depth, told apart only when something is too deep.


def _explained(fault: _Refused, value: Any, where: str) -> UnstorableError:
    if fault.why is not _DEEP:
        return fault.at(where)
    found = _cycle(value, where)
    if found:
        place, first = found
        what = f"{first} again"
        cure = "Store what leads back as an id or a name, and look it up."
        return UnstorableError(place, what, "makes a circle that has no end", cure)
    cure = "Store a flat list whose items name their parents."
    what = f"nested more than {DEEPEST} levels deep"
    return UnstorableError(where, what, "is deeper than a store can read again", cure)


def _cycle(value: Any, where: str) -> tuple[str, str] | None:
    """The place that holds one of its own ancestors, and that ancestor's place."""
    above: dict[int, str] = {id(value): where}
    stack = [(id(value), where, _parts(value))]
    while stack:
        number, place, parts = stack[-1]
        for step, child in parts:
            if id(child) in above:
                return place + step, above[id(child)]
            if type(child) not in _FIXED and len(stack) <= DEEPEST:
                above[id(child)] = place + step
                stack.append((id(child), place + step, _parts(child)))
                break
        else:
            stack.pop()
            del above[number]
    return None


def _parts(value: Any) -> Any:
    if isinstance(value, dict):
        return iter(
            [(f"[{_text_of(key, repr):.60}]", each) for key, each in dict.items(value)]
        )
    if isinstance(value, list | tuple | deque):
        return iter([(f"[{index}]", each) for index, each in enumerate(value)])
    names = [*_own(value), *(getattr(value, "__dataclass_fields__", None) or ())]
    found = {name: getattr(value, name, None) for name in names}
    return iter([(f".{name}", each) for name, each in found.items()])


# The way back.


def decode(text: str) -> Any:
    """The value of a text that :func:`encode` or :func:`write` gave.

    Raises:
        UnreadableError: a class that cannot be found, a field without a value, or
            text that is none of ours.
    """
    scan = _tagged_scan if '{"!' in text else _plain_scan
    try:
        value, end = scan(text, 0)
    except (StopIteration, ValueError, RecursionError) as error:
        if isinstance(error, UnreadableError):
            raise
        raise _not_ours(text) from error
    if end != len(text):
        raise _not_ours(text)
    return value


class Lost:
    """Stands for a stored value whose class is not there; ``plain`` is its JSON."""

    __slots__ = ("plain",)

    def __init__(self, plain: Any) -> None:
        self.plain: Any = plain

    def __repr__(self) -> str:
        return f"<not readable here: {write(self.plain)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lost) and self.plain == other.plain

    def __hash__(self) -> int:
        return hash(write(self.plain))


def decode_loosely(text: str) -> Any:
    """As :func:`decode`, with a :class:`Lost` for what cannot be made again.

    Raises:
        UnreadableError: text that is none of ours.
    """
    try:
        return decode(text)
    except UnreadableError:
        try:
            return _loose.decode(text)
        except (ValueError, RecursionError) as error:
            raise _not_ours(text) from error


def _restored_loosely(found: dict[str, Any]) -> Any:
    try:
        return _restored(found)
    except UnreadableError:
        return Lost({tag: _bare_tree(body) for tag, body in found.items()})


def _bare_tree(body: Any) -> Any:
    """What is inside a lost value, as plain as it was stored."""
    if isinstance(body, list):
        return [_bare_tree(each) for each in body]
    if isinstance(body, dict):
        return {key: _bare_tree(each) for key, each in body.items()}
    if isinstance(body, Lost):
        return body.plain
    return body if type(body) in _ATOMS else to_plain(body, "a stored value")


def _not_ours(text: str) -> UnreadableError:
    return UnreadableError(
        f"Stored text is not JSON as flowkit writes it: {text[:60]!r}. It was changed "
        f"or cut off; restore the store from a backup, or remove the run."
    )


def from_plain(plain: Any) -> Any:
    """The value of a tree that :func:`to_plain` gave.

    Raises:
        UnreadableError: as :func:`decode`.
    """
    return plain if type(plain) in _ATOMS else decode(write(plain))


def _restored(found: dict[str, Any]) -> Any:
    if len(found) == 1:
        [(tag, body)] = found.items()
        if tag[:1] == MARK:
            reader = _READERS.get(tag)
            if reader is None:
                raise UnreadableError(
                    f"A stored value is marked {tag!r}, which this version of flowkit "
                    f"does not know. It was written by a newer one: upgrade flowkit."
                )
            try:
                return reader(body)
            except UnreadableError:
                raise
            except Exception as error:
                raise UnreadableError(
                    f"A stored value marked {tag!r} cannot be restored from "
                    f"{str(body)[:60]!r}: {type(error).__name__}: {error}. Restore "
                    f"the store from a backup, or remove the run."
                ) from error
    return found


_Scan = Any  # the reader in C, of which typeshed does not know
_tagged_scan: _Scan = vars(json.JSONDecoder(object_hook=_restored))["scan_once"]
_loose = json.JSONDecoder(object_hook=_restored_loosely)
_plain_scan: _Scan = vars(json.JSONDecoder())["scan_once"]


def _zoned(read: Callable[[str], Any]) -> Callable[[Any], Any]:
    def zoned(body: Any) -> Any:
        if isinstance(body, str):
            return read(body)
        text, fold, zone = body
        return read(text).replace(tzinfo=zone, fold=fold)

    return zoned


def _read_path(body: list[str]) -> PurePath:
    name, text = body
    kind = _PATHS[name]
    if issubclass(kind, Path) and kind is not type(Path()):
        kind = Path  # of another system: its own files are not here anyway
    path: PurePath = kind(text)
    return path


def _read_default(body: list[Any]) -> Any:
    name, pairs = body
    return defaultdict(None if name is None else _FACTORIES[name], pairs)


def _read_counter(pairs: list[Any]) -> Any:
    counter: Counter[Any] = Counter()
    dict.update(counter, pairs)
    return counter


def _read_tzinfo(seconds: float) -> Any:
    from pydantic_core import TzInfo  # with the values that use it

    return TzInfo(seconds)


def _of_class(make: Callable[[Any, str], Callable[..., Any]]) -> Callable[[Any], Any]:
    """A reader of values whose body begins with a class; one maker a class."""
    readers: dict[str, Callable[..., Any]] = {}
    _found.append(readers)

    def read(body: list[Any]) -> Any:
        name = body[0]
        key = name if type(name) is str else write(name)
        reader = readers.get(key)
        if reader is None:
            reader = readers[key] = make(_class_of(name), key)
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
    if not (isinstance(kind, type) and _is_model(kind)):
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
        base: Any = next(each for each in _BASES if each.__name__ == base_name)
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
            new: Any = _rebuilt(kind, tuple(args))
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

_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "!int": lambda body: int(body, 16),
    "!float": float,
    "!str": lambda body: bytes.fromhex(body).decode("utf-8", "surrogatepass"),
    "!dict": dict,
    "!tuple": tuple,
    "!set": set,
    "!frozenset": frozenset,
    "!bytes": b64decode,
    "!bytearray": lambda body: bytearray(b64decode(body)),
    "!complex": lambda body: complex(*body),
    "!deque": lambda body: deque(*body),
    "!ordered": OrderedDict,
    "!counter": _read_counter,
    "!default": _read_default,
    "!range": lambda body: range(*body),
    "!date": date.fromisoformat,
    "!datetime": _zoned(datetime.fromisoformat),
    "!time": _zoned(time.fromisoformat),
    "!timedelta": lambda body: timedelta(*body),
    "!timezone": lambda body: timezone(*body),
    "!tzinfo": _read_tzinfo,
    "!zone": ZoneInfo,
    "!decimal": Decimal,
    "!fraction": lambda body: Fraction(*body),
    "!uuid": UUID,
    "!pattern": lambda body: re.compile(*body),
    "!path": _read_path,
    "!ip": lambda body: _IPS[body[0]](body[1]),
    "!enum": _of_class(_enum_reader),
    "!flag": _of_class(_flag_reader),
    "!named": _of_class(_named_reader),
    "!data": _of_class(_data_reader),
    "!model": _of_class(_model_reader),
    "!derived": _of_class(_derived_reader),
    "!url": _of_class(_url_reader),
    "!error": _read_error,
}
