"""Draws the pictures that README.md and docs/ show, from the code that they show.

    python docs/make_pictures.py

Needs the extra ``plot``. Each picture is of a class in a Python block of its page,
so that it cannot tell another story than the text beside it.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import types
import warnings
from pathlib import Path

from flowkit import Flow

DOCS = Path(__file__).parent
PICTURES = {
    "quote": ("../README.md", "Quote"),
    "review": ("../README.md", "Review"),
    "article": ("how-to/plot.md", "Article"),
}
_BLOCK = re.compile(
    r"(?<!<!--- skip: next -->\n\n)^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def flow_of(page: str, name: str) -> type[Flow]:
    """The class of that name after the page's blocks up to its own have run."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    text = (DOCS / page).read_text(encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in _BLOCK.findall(text):
            exec(compile(block, page, "exec", dont_inherit=True), vars(main))  # noqa: S102 - our own pages
            if f"class {name}(" in block:
                found: type[Flow] = vars(main)[name]
                return found
    raise LookupError(f"{page} has no class {name}")


def draw(folder: Path = DOCS / "pictures") -> list[Path]:
    """Write all pictures; gives their paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    for picture, (page, name) in PICTURES.items():
        path = folder / f"{picture}.svg"
        flow_of(page, name).plot(path)
        paths.append(path)
    return paths


if __name__ == "__main__":
    for each in draw():
        print(each.relative_to(DOCS.parent), each.stat().st_size)  # noqa: T201
