"""Built-in values as trees of what JSON has; one writer a type."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from math import isfinite
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from types import NoneType
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flowkit.journal.codec.names import TZINFO, Refused, label_of, noun
from flowkit.journal.codec.text import LARGE, SPLIT, all_flat, open_keys, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "DEEP",
    "DEEPEST",
    "FACTORIES",
    "FIXED",
    "IPS",
    "PATHS",
    "WRITERS",
    "check_depth",
    "field_trees",
    "keyed",
    "makers",
    "tagged",
    "text_of",
    "tree_of",
    "write_dict",
    "write_str",
]


makers: list[Callable[[type], Callable[[Any, int], Any]]] = []
"""Makes the writer of a class that is first met; given by the writers of classes."""

DEEPEST = 100  # levels of nesting; JSON readers bound theirs, too


def keyed(plains: Mapping[str, Any]) -> Any:
    """One tree of several: a dictionary whose values are trees already."""
    if open_keys(plains):
        return plains
    return {"!dict": [[tree_of(key, 0), each] for key, each in plains.items()]}


FIXED: set[Any] = {
    NoneType,
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    Decimal,
    UUID,
    timedelta,
}


def tree_of(value: Any, depth: int) -> Any:
    """A value as a tree of what JSON has; refused if it cannot be."""
    kind = type(value)
    writer = WRITERS.get(kind)
    if writer is None:
        writer = WRITERS[kind] = makers[0](kind)
    return writer(value, depth + 1)


def _write_same(value: Any, depth: int) -> Any:
    return value


def _write_int(value: int, depth: int) -> Any:
    return value if -LARGE < value < LARGE else {"!int": hex(value)}


def _write_float(value: float, depth: int) -> Any:
    return value if isfinite(value) else {"!float": repr(value)}


def write_str(value: str, depth: int) -> Any:
    """Text; in hex if JSON would join halves of characters in it."""
    if value.isascii() or not SPLIT.search(value):
        return value
    return {"!str": value.encode("utf-8", "surrogatepass").hex()}


def _write_list(value: list[Any], depth: int) -> Any:
    return value if all_flat(value) else trees_of(value, depth)


def trees_of(values: Iterable[Any], depth: int) -> list[Any]:
    """The trees of values; a refusal tells the index."""
    out: list[Any] = []
    check_depth(depth)
    try:
        for each in values:
            out.append(tree_of(each, depth))  # noqa: PERF401 - its length is the place
    except Refused as fault:
        fault.path.append(f"[{len(out)}]")
        raise
    return out


def check_depth(depth: int) -> None:
    """Refuse what a reader could not read again."""
    if depth > DEEPEST:
        raise Refused("", DEEP)


DEEP = "is nested too deep"


def write_dict(value: dict[Any, Any], depth: int) -> Any:
    """A dictionary, as an object if its keys can be those of one."""
    if not open_keys(value):
        return {"!dict": pair_trees(dict.items(value), depth)}
    return value if all_flat(dict.values(value)) else _members(dict.items(value), depth)


def _members(pairs: Iterable[tuple[str, Any]], depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    key = ""
    check_depth(depth)
    try:
        for key, each in pairs:
            out[key] = tree_of(each, depth)
    except Refused as fault:
        fault.path.append(f"[{key!r}]")
        raise
    return out


def pair_trees(pairs: Iterable[tuple[Any, Any]], depth: int) -> list[list[Any]]:
    """Keys and values as trees; a refusal tells the key."""
    out: list[list[Any]] = []
    key: Any = None
    check_depth(depth)
    try:
        for key, each in pairs:
            out.append([tree_of(key, depth), tree_of(each, depth)])
    except Refused as fault:
        fault.path.append(f"[{text_of(key, repr):.60}]")
        raise
    return out


def field_trees(fields: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    """The trees of fields by name; a refusal tells the field."""
    if all_flat(fields.values()):
        return fields
    out: dict[str, Any] = {}
    name = ""
    check_depth(depth)
    try:
        for name, each in fields.items():
            out[name] = tree_of(each, depth)
    except Refused as fault:
        fault.path.append(f".{name}")
        raise
    return out


def tagged(tag: str, text: Callable[[Any], Any]) -> Callable[[Any, int], Any]:
    """A writer of values that one text, or one flat list, says all about."""
    return lambda value, _: {tag: text(value)}


def _nested(tag: str, parts: Callable[[Any], Any]) -> Callable[[Any, int], Any]:
    """A writer of values that a list of other values says all about."""
    return lambda value, depth: {tag: trees_of(parts(value), depth)}


def _write_tuple(value: tuple[Any, ...], depth: int) -> Any:
    return {"!tuple": list(value) if all_flat(value) else trees_of(value, depth)}


def _sorted(value: Any, depth: int) -> list[Any]:
    kinds = set(map(type, value))
    if kinds in ({str}, {int}) and all_flat(value):
        return sorted(value)
    check_depth(depth)
    try:
        return sorted((tree_of(each, depth) for each in value), key=write)
    except Refused as fault:
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
    return {tag: [bare.isoformat(), value.fold, tree_of(zone, depth)]}


def _is_unnamed(zone: Any) -> bool:
    return len(zone.__getinitargs__()) == 1  # what pickle asks: offset, and a name


def _kept_zone(value: Any) -> Any:
    """The zone itself if it can be made again, else its offset at that moment."""
    zone = value.tzinfo
    if label_of(type(zone)) == TZINFO:
        return zone
    offset = value.utcoffset()
    if offset is None:
        cure = "Use a zoneinfo.ZoneInfo."
        raise Refused(noun(type(zone)), "has no offset by itself", cure)
    return timezone(offset)


def _write_datetime(value: datetime, depth: int) -> Any:
    return _write_zoned("!datetime", value, depth)


def _write_time(value: time, depth: int) -> Any:
    return _write_zoned("!time", value, depth)


def _write_zone(value: ZoneInfo, depth: int) -> Any:
    key: str | None = value.key
    if key is None:
        cure = "Make it with ZoneInfo('Europe/Berlin')."
        raise Refused("a ZoneInfo read from a file", "has no name", cure)
    return {"!zone": key}


def _write_default(value: defaultdict[Any, Any], depth: int) -> Any:
    factory = value.default_factory
    if factory is not None and factory not in FACTORIES.values():
        cure = f"Use one of {', '.join(FACTORIES)}, or a plain dict with setdefault."
        what = f"a defaultdict of {getattr(factory, '__qualname__', factory)}"
        raise Refused(what, "cannot be made again", cure)
    name = None if factory is None else factory.__name__
    return {"!default": [name, pair_trees(value.items(), depth)]}


FACTORIES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (list, dict, set, int, float, str, bool, tuple, Counter, deque)
}


def _write_deque(value: deque[Any], depth: int) -> Any:
    return {"!deque": [trees_of(value, depth), value.maxlen]}


WRITERS: dict[type, Callable[[Any, int], Any]] = {
    NoneType: _write_same,
    bool: _write_same,
    int: _write_int,
    float: _write_float,
    str: write_str,
    list: _write_list,
    dict: write_dict,
    tuple: _write_tuple,
    set: _write_set,
    frozenset: _write_frozenset,
    bytes: _write_bytes,
    bytearray: tagged("!bytearray", lambda value: b64encode(value).decode()),
    complex: _nested("!complex", lambda value: (value.real, value.imag)),
    deque: _write_deque,
    OrderedDict: lambda value, depth: {"!ordered": pair_trees(value.items(), depth)},
    Counter: lambda value, depth: {"!counter": pair_trees(value.items(), depth)},
    defaultdict: _write_default,
    range: _nested("!range", lambda value: (value.start, value.stop, value.step)),
    date: tagged("!date", date.isoformat),
    datetime: _write_datetime,
    time: _write_time,
    timedelta: tagged("!timedelta", lambda v: [v.days, v.seconds, v.microseconds]),
    timezone: _nested("!timezone", lambda value: value.__getinitargs__()),
    ZoneInfo: _write_zone,
    Decimal: tagged("!decimal", str),
    Fraction: _nested("!fraction", lambda value: (value.numerator, value.denominator)),
    UUID: tagged("!uuid", str),
    re.Pattern: _nested("!pattern", lambda value: (value.pattern, value.flags)),
}

IPS: dict[str, Any] = {
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

PATHS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (PosixPath, WindowsPath, PurePosixPath, PureWindowsPath)
}


def _write_path(value: PurePath, depth: int) -> Any:
    return {"!path": [type(value).__name__, tree_of(str(value), depth)]}


WRITERS.update(dict.fromkeys(PATHS.values(), _write_path))

WRITERS.update(
    dict.fromkeys(
        IPS.values(),
        tagged("!ip", lambda value: [type(value).__name__, str(value)]),
    )
)


def text_of(value: Any, text: Callable[[Any], str] = str) -> str:
    """What a value says of itself, whatever its class does."""
    try:
        return text(value)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the error
        return "(no text)"
