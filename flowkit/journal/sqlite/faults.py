"""What is wrong with a database file, in one sentence with its cure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import apsw

from flowkit.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BAD_VALUES", "PATIENCE", "bad_value", "fault", "gone", "identity"]

PATIENCE: Final = 5.0
"""Seconds to wait for another process that writes the same file."""

BAD_VALUES: Final = (
    UnicodeEncodeError,
    OverflowError,
    TypeError,
    apsw.TooBigError,
    apsw.ConstraintError,
)
"""What one move's own values raise; the file is as it should be."""


def gone(path: Path) -> StoreError:
    """The file of that name is not the one that was opened."""
    error = StoreError(
        f"The journal {path} was deleted or replaced while it was in use. Nothing of "
        f"this call was written, and what was written since then is lost. Put the "
        f"file back, or go on with what is there now: the next use opens it."
    )
    error.kept = False
    return error


def identity(path: Path) -> tuple[int, int] | None:
    """Which file has that name now; None if there is none, or nobody can say."""
    try:
        found = os.stat(path)  # noqa: PTH116 - at each commit, half as dear
    except OSError:
        return None
    return found.st_dev, found.st_ino


_TEXTS: Final[tuple[tuple[type[apsw.Error], str], ...]] = (
    (
        apsw.FullError,
        (
            "The disk is full: the journal {path} could not be written, and nothing "
            "was. Free some space; the store goes on by itself."
        ),
    ),
    (
        apsw.BusyError,
        (
            "The journal {path} was locked by another process for more than "
            "{patience:g} seconds; nothing was written. End what holds it, or try "
            "again."
        ),
    ),
    (
        apsw.ReadOnlyError,
        (
            "The journal {path} can only be read, so that nothing was written. Give "
            "this user the right to write the file and its folder."
        ),
    ),
    (
        apsw.CantOpenError,
        (
            "The journal {path} cannot be opened ({error}). Check that it is a file "
            "in an existing folder which this user may read and write."
        ),
    ),
    (
        apsw.NotADBError,
        (
            "{path} is not a SQLite database. Give the store a file of its own, or "
            "move this one away."
        ),
    ),
    (
        apsw.CorruptError,
        (
            "The journal {path} is damaged ({error}). Restore a backup, or save what "
            "can be read: sqlite3 {path} .recover"
        ),
    ),
    (
        apsw.IOError,
        (
            "The journal {path} could not be read or written ({error}). Check the "
            "disk and its folder; nothing of this call was written."
        ),
    ),
)


def fault(error: Exception, path: Path) -> StoreError:
    """The error of a store for one of apsw's or the system's."""
    for kind, text in _TEXTS:
        if isinstance(error, kind):
            return StoreError(text.format(path=path, error=error, patience=PATIENCE))
    if isinstance(error, BAD_VALUES):
        return bad_value(error, path)
    return StoreError(
        f"The journal {path} failed: {type(error).__name__}: {error}. Nothing of this "
        f"call was written; check the file and its folder."
    )


def bad_value(error: Exception, path: Path) -> StoreError:
    """A move with a value that SQLite cannot hold."""
    return StoreError(
        f"A value cannot be stored in {path}: {type(error).__name__}: {error}. Nothing "
        f"of its move was written; give text that is valid Unicode, and plain numbers."
    )
