"""Data to stdout, talk to stderr; colour and tables only where a person looks."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "STYLES",
    "complain",
    "data",
    "lasted",
    "paint",
    "plain",
    "print_json",
    "said",
    "say",
    "short_name",
    "table",
    "when",
]

_COLOURS: Final = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "dim": 2}
STYLES: Final = {
    "completed": "green",
    "done": "green",
    "ok": "green",
    "failed": "red",
    "error": "red",
    "expired": "red",
    "compensated": "red",
    "waiting": "yellow",
    "warning": "yellow",
    "running": "blue",
    "cancelled": "dim",
    "undone": "dim",
    "hint": "dim",
}
"""The colour of a status, for those who see colours; the word is always there."""


def paint(text: str, colour: str | None, stream: TextIO) -> str:
    """The text in a colour, if the stream is a terminal that wants some."""
    code = _COLOURS.get(colour or "")
    if code is None or not _coloured(stream):
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def _coloured(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def say(text: str) -> None:
    """A line of talk."""
    print(text, file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """What went wrong, in one sentence or a few."""
    sys.stdout.flush()
    say(f"{paint('error:', 'red', sys.stderr)} {text}")


def data(text: str) -> None:
    """A line of data."""
    print(text, flush=True)


def plain(value: Any) -> Any:
    """Any value as JSON has it; what it has nothing for is told by its repr."""
    from pydantic_core import to_json  # only who prints values pays

    try:
        text = to_json(
            value, fallback=_told, inf_nan_mode="strings", bytes_mode="base64"
        )
    except ValueError:  # it contains itself
        return repr(value)
    return json.loads(text)


def _told(value: Any) -> Any:
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return getattr(value, "plain", None) or repr(value)


def said(value: Any, *, most: int | None = None) -> str:
    """A value for people: text as it is, other things as JSON, cut if too long."""
    text = value if isinstance(value, str) else json.dumps(plain(value), default=repr)
    if most is not None:
        text = " ".join(text.split())
        text = text if len(text) <= most else f"{text[: most - 2]}.."
    return text


def print_json(value: Any, *, lines: bool = False) -> None:
    """A value as JSON on stdout: indented for people, on one line elsewhere."""
    indent = 2 if sys.stdout.isatty() and not lines else None
    data(json.dumps(plain(value), indent=indent, ensure_ascii=False))


def short_name(flow: str) -> str:
    """``Shop`` of ``package.module:Shop``."""
    return flow.rpartition(":")[2]


def when(at: float | None) -> str:
    """A time in this place's own hours: of today without the date; "" for none."""
    if at is None:
        return ""
    time = datetime.fromtimestamp(at).astimezone()
    if time.date() == datetime.now().astimezone().date():
        return time.strftime("%H:%M:%S")
    return time.strftime("%Y-%m-%d %H:%M")


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def lasted(seconds: float | None) -> str:
    """A length of time for people."""
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"{seconds:.1f}s" if seconds >= 1 else f"{seconds * 1000:.0f}ms"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f}m{seconds % _MINUTE:02.0f}s"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f}h{seconds % _HOUR // _MINUTE:02.0f}m"
    return f"{seconds // _DAY:.0f}d{seconds % _DAY // _HOUR:02.0f}h"


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, fold: bool = False
) -> None:
    """Rows on stdout: a table on a terminal, else lines with tabs and no heading.

    The last column takes what the others leave, and is cut there, or folded.
    """
    if not sys.stdout.isatty():
        for row in rows:
            data("\t".join(" ".join(str(cell).split()) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    cut: Any = "ellipsis" if console.encoding.startswith("utf") else "crop"
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, name in enumerate(columns):
        last = number == len(columns) - 1
        shown.add_column(
            name,
            no_wrap=not (fold and last),
            overflow="fold" if fold else cut,
            ratio=1 if last else None,
        )
    for row in rows:
        shown.add_row(*(Text(str(each), STYLES.get(str(each), "")) for each in row))
    shown.expand = True
    console.print(shown)
