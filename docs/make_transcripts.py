"""Types the commands of the pages' console blocks and writes down what they show.

    python docs/make_transcripts.py

Every page with the mark below: its commands, the lines that begin with ``$``, run in
order in a terminal of 80 columns, in one empty folder. A test runs them again and
compares; what differs from run to run (lengths of time, times of day) is masked.
"""

from __future__ import annotations

import os
import pty
import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
MARK = "<!--- transcript -->"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PARTS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+")
UP, ERASE = "\x1b[1A", "\x1b[2K"
MASKS = [
    (re.compile(r"\s+\d+ms|\s+\d+\.\d+s"), " TIME"),
    (re.compile(r"\d\d:\d\d:\d\d"), "HH:MM:SS"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r" +$", re.MULTILINE), ""),
    (re.compile(r"  +"), "  "),
]


def pages() -> list[Path]:
    """Those with the mark."""
    return [
        path
        for path in sorted(DOCS.rglob("*.md"))
        if MARK in path.read_text(encoding="utf-8")
    ]


def made(page: Path) -> str:
    """The page's text with what its commands show now."""
    with tempfile.TemporaryDirectory(prefix="flowkit-") as name:
        folder = Path(name).resolve()
        typist = Typist(folder)
        return BLOCK.sub(
            lambda block: f"```console\n{typist.typed(block[1])}```",
            page.read_text(encoding="utf-8"),
        )


def masked(text: str) -> str:
    """A transcript without what differs from run to run."""
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return text


def on_screen(shown: str) -> str:
    """What stands on a terminal in the end: a live tree only as it was drawn last."""
    lines, y, x = [""], 0, 0
    for part in PARTS.findall(shown):
        if part == UP:
            y = max(y - 1, 0)
        elif part == ERASE:
            lines[y] = ""
        elif part == "\r":
            x = 0
        elif part == "\n":
            y, x = y + 1, 0
            lines += [""] * (y - len(lines) + 1)
        elif not part.startswith("\x1b"):
            line = lines[y].ljust(x)
            lines[y] = line[:x] + part + line[x + len(part) :]
            x += len(part)
    return "\n".join(lines).rstrip("\n")


class Typist:
    """A shell that stays in its folder from block to block."""

    def __init__(self, folder: Path) -> None:
        self.top = folder
        self.folder = folder
        (folder / ".bin").mkdir()
        for name, given in {"flowkit": "-P -m flowkit ", "python3": ""}.items():
            command = folder / ".bin" / name
            command.write_text(f'#!/bin/sh\nexec {sys.executable} {given}"$@"\n')
            command.chmod(0o755)

    def typed(self, block: str) -> str:
        """The block's commands, each with what it shows."""
        shown = ""
        for line in block.splitlines():
            if line.startswith("$ "):
                shown += f"{line}\n{self._done(line[2:])}"
        return shown

    def _done(self, command: str) -> str:
        words = command.split()
        if words[0] == "cd":
            self.folder /= words[1]
            return ""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            shell = ["sh", "-c", command]
            os.execve("/bin/sh", shell, self._environment())  # noqa: S606 - a shell it is
        shown = b""
        with suppress(OSError):  # the other end is closed
            while part := os.read(terminal, 65_536):
                shown += part
        os.waitpid(pid, 0)
        os.close(terminal)
        text = on_screen(shown.decode()).replace(str(self.top), "/home/ada")
        return "".join(f"{line.rstrip()}\n" for line in text.splitlines())

    def _environment(self) -> dict[str, str]:
        paths = [str(ROOT), *filter(None, sys.path)]
        kept = {k: v for k, v in os.environ.items() if k != "FLOWKIT_STORE"}
        return {
            **kept,
            "PATH": f"{self.top}/.bin:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(paths),
            "TERM": "xterm",
            "COLUMNS": "80",
            "LINES": "40",
            "NO_COLOR": "1",
        }


if __name__ == "__main__":
    for each in pages():
        each.write_text(made(each), encoding="utf-8")
