"""Opens a picture for its reader."""

from __future__ import annotations

import webbrowser
from pathlib import Path

__all__ = ["open_file"]


def open_file(path: str) -> None:
    """Have the system's browser show a file."""
    webbrowser.open(Path(path).resolve().as_uri())
