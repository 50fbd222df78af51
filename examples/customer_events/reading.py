"""Lines of a file, plain or gzipped, and what each of them says."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GZIP = b"\x1f\x8b"


class InputFileError(Exception):
    """The file as a whole cannot be replayed; the text is one sentence."""


class LineError(ValueError):
    """One line says nothing that could be sent; the text is the reason."""


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank, from 1.

    Raises:
        InputFileError: the file is not there, is a folder, or is a broken gzip.
    """
    number = 0
    try:
        with path.open("rb") as plain:
            zipped = plain.peek(2).startswith(_GZIP)
            source = gzip.GzipFile(fileobj=plain) if zipped else plain
            for number, line in enumerate(source, 1):
                if line.strip():
                    yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputFileError(
            f"{path} is a broken gzip file after line {number:,}: {error}"
        ) from None
    except FileNotFoundError:
        raise InputFileError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise InputFileError(f"{path} is a directory; give a JSONL file.") from None
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror}.") from None


def parsed(line: bytes) -> dict[str, Any]:
    """The JSON object that a line holds.

    Raises:
        LineError: it holds none.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise LineError("not JSON") from None
    if not isinstance(found, dict):
        raise LineError("not a JSON object")
    return found
