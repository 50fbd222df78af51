"""Writes a picture, and opens it for its reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.plot import write

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["written"]


def written(filename: str | Path, drawn: str | bytes, *, show: bool) -> str:
    """Write a picture into exactly this file; its path as text.

    Args:
        show: have the system's browser show it, too.
    """
    path = write(filename, drawn)
    if show:
        import webbrowser  # only who looks at once
        from pathlib import Path

        webbrowser.open(Path(path).resolve().as_uri())
    return path
