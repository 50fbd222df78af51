"""Pages of the documentation, and the code and output they show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(
    r"(?P<skip><!--- skip: next[^\n]*-->\s*)?"
    r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One Python block, and the text block right after it, if there is one."""

    line: int
    code: str
    shown: str | None


def title(page: Path) -> str:
    """The page's path from the root, for test names."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The Python blocks of a page that run."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    end = -1
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        if match["kind"] == "python" and not match["skip"]:
            found.append(Block(line, match["text"], None))
            end = match.end()
        elif match["kind"] == "text" and end >= 0:
            if not text[end : match.start()].strip():
                found[-1] = found[-1]._replace(shown=match["text"])
            end = -1
        else:
            end = -1
    return found


def compiled(page: Path, block: Block) -> object:
    """A block as code whose errors and warnings name the page and its line."""
    padding = "\n" * (block.line - 1)
    return compile(padding + block.code, str(page), "exec", dont_inherit=True)
