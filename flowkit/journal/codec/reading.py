"""The way back: text to values."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from flowkit.errors import UnreadableError
from flowkit.journal.codec.restoring import CLASS_READERS
from flowkit.journal.codec.text import ATOMS, MARK, write
from flowkit.journal.codec.values import FACTORIES, FIXED, IPS, PATHS
from flowkit.journal.codec.writing import encode

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "decode",
    "from_plain",
    "not_ours",
    "restored",
    "roundtrip",
]


def roundtrip(value: Any, where: str) -> Any:
    """What reading the written value would give; itself if it cannot change.

    Raises:
        UnstorableError: it holds something that cannot be stored.
    """
    kind = type(value)
    if kind in FIXED or (kind is tuple and FIXED.issuperset(map(type, value))):
        return value
    if kind is list and FIXED.issuperset(map(type, value)):
        return value[:]
    return decode(encode(value, where))


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
        raise not_ours(text) from error
    if end != len(text):
        raise not_ours(text)
    return value


def not_ours(text: str) -> UnreadableError:
    """The refusal of text that flowkit has not written."""
    return UnreadableError(
        f"Stored text is not JSON as flowkit writes it: {text[:60]!r}. It was changed "
        f"or cut off; restore the store from a backup, or remove the run."
    )


def from_plain(plain: Any) -> Any:
    """The value of a tree that :func:`to_plain` gave.

    Raises:
        UnreadableError: as :func:`decode`.
    """
    return plain if type(plain) in ATOMS else decode(write(plain))


def restored(found: dict[str, Any]) -> Any:
    """The value of a JSON object that says what it is; others as they are."""
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

_tagged_scan: _Scan = vars(json.JSONDecoder(object_hook=restored))["scan_once"]

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
    kind = PATHS[name]
    if issubclass(kind, Path) and kind is not type(Path()):
        kind = Path  # of another system: its own files are not here anyway
    path: PurePath = kind(text)
    return path


def _read_default(body: list[Any]) -> Any:
    name, pairs = body
    return defaultdict(None if name is None else FACTORIES[name], pairs)


def _read_counter(pairs: list[Any]) -> Any:
    counter: Counter[Any] = Counter()
    dict.update(counter, pairs)
    return counter


def _read_tzinfo(seconds: float) -> Any:
    from pydantic_core import TzInfo  # with the values that use it

    return TzInfo(seconds)


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
    "!ip": lambda body: IPS[body[0]](body[1]),
    **CLASS_READERS,
}
