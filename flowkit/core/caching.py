"""What a cached result is found by, and how long it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowkit.core.durations import shown, some_seconds
from flowkit.core.kinds import named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["INPUTS", "SOURCE", "Cache", "Key", "source_of_code"]


@dataclass(frozen=True, slots=True)
class Key:
    """What a cached result is found by; made by adding and subtracting.

    ``INPUTS + SOURCE - "debug"``: what the step is handed but for ``debug``, and the
    step's code.

    Attributes:
        inputs: what the step is handed counts, by the names of its parameters.
        source: the step's code counts: a changed step begins anew.
        without: parameters that do not count.
    """

    inputs: bool = False
    source: bool = False
    without: frozenset[str] = frozenset()

    def __add__(self, other: Key) -> Key:
        """Both."""
        return Key(
            self.inputs or other.inputs,
            self.source or other.source,
            self.without | other.without,
        )

    def __sub__(self, names: str | Iterable[str]) -> Key:
        """The same without some parameters."""
        gone = {names} if isinstance(names, str) else {*names}
        return Key(self.inputs, self.source, self.without | gone)

    def __str__(self) -> str:
        parts = [
            name
            for name, counts in (("INPUTS", self.inputs), ("SOURCE", self.source))
            if counts
        ]
        told = " + ".join(parts)
        return told + "".join(f" - {name!r}" for name in sorted(self.without))


INPUTS = Key(inputs=True)
"""What a step is handed."""
SOURCE = Key(source=True)
"""The code of a step."""


@dataclass(frozen=True, slots=True)
class Cache:
    """Whether a step's result may be one from before.

    What the step is handed and its code say which result is meant; the state does
    not. A result is kept as text, where the run is kept: in its store, or in memory.
    Of several calls with one key at a time in a process one is made, and the others
    wait for it. The result of a step that has changed the state is not kept.

    Attributes:
        ttl: how long a result counts, seconds or text such as ``"1h"``; for ever by
            default.
        key: what it is found by: ``INPUTS + SOURCE`` by default, or a function that is
            given what the step is given, the flow first, and gives a value.
        entries: most results kept; a new one takes the place of an old one.
        name: shares the results among all steps that name it.

    Raises:
        ValueError: a value that means nothing, by name.
    """

    ttl: Any = None
    key: Key | Callable[..., Any] = INPUTS + SOURCE
    entries: int = 1024
    name: str = ""

    def __post_init__(self) -> None:
        if self.ttl is not None:
            found = some_seconds(self.ttl, "Cache(ttl=..)")
            object.__setattr__(self, "ttl", found)
        key: Any = self.key
        if not (isinstance(key, Key) or callable(key)):
            msg = (
                f"Cache(key=..) takes INPUTS, SOURCE, their sum or a function, not "
                f"{self.key!r}."
            )
            raise ValueError(msg)
        if type(self.entries) is not int or self.entries < 1:
            msg = f"Cache(entries=..) takes a count from 1, not {self.entries!r}."
            raise ValueError(msg)

    def __str__(self) -> str:
        key = str(self.key) if isinstance(self.key, Key) else named(self.key)
        told = f"by {key}"
        if self.ttl is not None:
            told += f" for {shown(self.ttl)}"
        return told + (f" ({self.name})" if self.name else "")


def source_of_code(code: Any) -> list[Any]:
    """What a function does, as text: its code, its constants, the names it uses."""
    constants = [
        source_of_code(each) if hasattr(each, "co_code") else _text(each)
        for each in code.co_consts
    ]
    return [code.co_code.hex(), constants, list(code.co_names)]


def _text(value: Any) -> str:
    """A constant, the same in every process: sets have no order."""
    if isinstance(value, frozenset):
        return f"frozenset({sorted(map(_text, value))})"
    return f"{type(value).__name__} {value!r}"
