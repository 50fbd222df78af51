"""Classes by name: what a class is stored as, and what a stored name stands for."""

from __future__ import annotations

import sys
from functools import reduce
from importlib import import_module
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from flowkit.errors import CURE, UnreadableError, UnstorableError
from flowkit.journal.codec.text import ATOMS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "RENAMED",
    "TZINFO",
    "Refused",
    "alias",
    "aliased",
    "class_of",
    "former_names",
    "label_of",
    "made_readers",
    "name_of",
    "noun",
    "type_name",
    "widen_by",
]

TZINFO = "pydantic_core._pydantic_core:TzInfo"

RENAMED = (
    "If it was moved or renamed, say so before runs are read: "
    "flowkit.journal.codec.alias({name!r}, TheClass)."
)


class Refused(Exception):  # noqa: N818 - becomes an UnstorableError with its place
    """On its way out of the value; each container adds its part of the place."""

    def __init__(self, what: str, why: str, cure: str = CURE) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.cure = cure
        self.path: list[str] = []

    def at(self, where: str) -> UnstorableError:
        """The error that users see, with the place of the whole value."""
        place = where + "".join(reversed(self.path))
        return UnstorableError(place, self.what, self.why, self.cure)


def label_of(kind: type) -> str:
    """``module:Name``."""
    return f"{kind.__module__}:{kind.__qualname__}"


def noun(kind: type) -> str:
    """A value of the class in a sentence: ``a decimal.Context``."""
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


_aliases: dict[str, type] = {}

made_readers: list[dict[str, Callable[..., Any]]] = []
"""Readers by class name, a dictionary for each sort of class."""

_widen: list[Callable[[type], type]] = []


def alias(name: str, kind: type) -> None:
    """Read what was stored under a former class name as this class.

    Args:
        name: as it was: ``package.module:Class``.
        kind: the class that takes its values now.
    """
    _aliases[name] = kind
    for readers in made_readers:
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


def name_of(kind: Any) -> Any:
    """A class as it is stored; refused if it would not be found again."""
    if "__flowkit_tracked__" in kind.__dict__:
        kind = kind.__base__
    generic = kind.__dict__.get("__pydantic_generic_metadata__")
    if generic and generic["origin"]:
        name: Any = [name_of(generic["origin"]), *map(_hint_name, generic["args"])]
        if class_of(name) is kind:
            return name
        raise Refused(noun(kind), "cannot be made again from its parameters")
    label = label_of(kind)
    if "<" in label:
        what = f"{noun(kind)}, a class defined inside a function"
        raise Refused(what, "cannot be found again", "Move the class to module level.")
    module: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        module = getattr(module, part, None)
    if module is kind:
        return label
    if _widen and module is kind.__base__ and _widen[0](module) is kind:
        return ["+id", label]
    cure = "Keep the class under the name it was defined with, at module level."
    raise Refused(noun(kind), f"is not what {label} names", cure)


def _hint_name(hint: Any) -> Any:
    """A parameter of a generic class as it is stored."""
    if hint is None or hint is NoneType:
        return "None"
    if hint is Any or hint is Ellipsis:
        return "Any" if hint is Any else "..."
    origin, args = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return ["|", *map(_hint_name, args)]
    if origin is Literal and all(type(each) in ATOMS for each in args):
        return ["Literal", *args]
    if isinstance(origin, type):
        return [name_of(origin), *map(_hint_name, args)]
    if isinstance(hint, type):
        return name_of(hint)
    raise Refused(f"a generic of {hint!r}", "has a parameter without a class")


def class_of(name: Any) -> Any:
    """The class, or the parameter, that a stored name stands for."""
    if isinstance(name, str):
        simple = {"None": None, "Any": Any, "...": ...}
        return simple[name] if name in simple else _find(name)
    head, *rest = name
    if head == "Literal":
        return Literal[tuple(rest)]
    if head == "+id":
        return _widen[0](class_of(rest[0]))
    args = tuple(map(class_of, rest))
    return reduce(or_, args) if head == "|" else class_of(head)[args]


def type_name(kind: Any) -> Any:
    """How a class, or a type made of classes, is stored.

    None if it would not be found again: defined in a function, or not made of
    classes alone. :func:`class_of` finds it.
    """
    try:
        return _hint_name(kind)
    except Refused:
        return None
