"""The way in: the overview at once, everything else by cyclopts."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from io import TextIOWrapper
from typing import TYPE_CHECKING

from flowkit.cli.exits import DONE, USAGE
from flowkit.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

NEEDED = ("cyclopts", "rich", "watchfiles")


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words of a command line say; gives the exit code."""
    given = [*(sys.argv[1:] if words is None else words)]
    if any(find_spec(name) is None for name in NEEDED):
        print(MissingExtraError("The command line", "cli"), file=sys.stderr)
        return USAGE
    if isinstance(sys.stdout, TextIOWrapper):  # what it cannot say is spelt out
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _done(given)
    except BrokenPipeError:  # such as `flowkit runs | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _done(words: list[str]) -> int:
    if not words or words in (["--help"], ["-h"], ["help"]):
        from flowkit.cli.verbs import overview

        print(overview(), end="", flush=True)
        return DONE
    if words == ["--version"]:
        from flowkit.cli.verbs import version

        print(version())
        return DONE
    from flowkit.cli.app import call

    code = call(words)
    sys.stdout.flush()
    return code
