"""Values and calls as Python source, wrapped as a formatter would do it."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["call", "indented", "literal", "text", "wrapped"]

WIDEST = 72
"""Characters of a line, before it is indented."""


def literal(value: Any) -> str | None:  # noqa: PLR0911 - a table of kinds
    """A value of built-in types as source, or None."""
    kind = type(value)
    if value is None or kind in {bool, int}:
        return repr(value)
    if kind is str:
        return text(value)
    if kind is float:
        return repr(value) if isfinite(value) else None
    if kind is dict:
        pairs = [(literal(key), literal(each)) for key, each in value.items()]
        if any(None in pair for pair in pairs):
            return None
        return "{" + ", ".join(f"{key}: {each}" for key, each in pairs) + "}"
    if kind not in {list, tuple}:
        return None
    parts = [literal(each) for each in value]
    inner = ", ".join(part for part in parts if part is not None)
    if None in parts:
        return None
    if kind is list:
        return f"[{inner}]"
    return f"({inner},)" if len(parts) == 1 else f"({inner})"


def text(value: str) -> str:
    """A string in double quotes, unless it holds one."""
    shown = repr(value)
    if shown[0] == "'" and '"' not in shown:
        return '"' + shown[1:-1] + '"'
    return shown


def indented(lines: Iterable[str], depth: int) -> list[str]:
    """Lines as they stand so many blocks deep."""
    return [f"{'    ' * depth}{line}" for line in lines]


def wrapped(
    head: str, parts: Sequence[str], opening: str, closing: str, *, always: bool = False
) -> list[str]:
    """Parts on one line, or a part a line between brackets."""
    line = f"{head}{opening if always else ''}{', '.join(parts)}"
    line += closing if always else ""
    if len(line) <= WIDEST:
        return [line]
    return [f"{head}{opening}", *(f"    {part}," for part in parts), closing]


def call(head: str, arguments: Sequence[str]) -> list[str]:
    """A call on one line, or an argument a line."""
    line = f"{head}({', '.join(arguments)})"
    if len(line) <= WIDEST and "\n" not in line:
        return [line]
    lines = [f"{head}("]
    for argument in arguments:
        lines += indented(argument.split("\n"), 1)
        lines[-1] += ","
    return [*lines, ")"]
