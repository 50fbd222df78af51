"""One line on stderr that says how far it is."""

from __future__ import annotations

import os
import sys
from time import monotonic

_CLEAR = "\r\x1b[2K"
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


class Progress:
    """Rewritten in place on a terminal, else written now and then as plain lines."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = self.live and not os.environ.get("NO_COLOR")
        self.pause = 0.1 if self.live else 5.0
        self.next = monotonic() + self.pause

    def update(self, lines: int, runs: int) -> None:
        """Show the counts, unless they were shown a moment ago."""
        if monotonic() >= self.next:
            self._write(lines, runs)
            self.next = monotonic() + self.pause

    def finish(self, lines: int, runs: int) -> None:
        """Show the last counts and leave the line."""
        self._write(lines, runs)
        if self.live:
            print(file=sys.stderr, flush=True)

    def _write(self, lines: int, runs: int) -> None:
        text = f"{lines:,} lines read, {runs:,} runs"
        if self.live:
            text = f"{_DIM}{text}{_PLAIN}" if self.colour else text
            print(_CLEAR + text, end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)
