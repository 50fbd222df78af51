"""Draws the pictures that README.md and docs/ show, from the code that they show.

    python docs/make_pictures.py

Needs the extra ``plot``. Each picture is of a class in a Python block of its page,
so that it cannot tell another story than the text beside it. Runs are made anew under
a clock that each step moves on, so that their pictures are the same every time.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from flowkit import Flow, runs, signals
from flowkit.runtime.clock import ManualClock, use_clock

DOCS = Path(__file__).resolve().parent
PICTURES = {
    "quote": ("../README.md", "Quote"),
    "review": ("../README.md", "Review"),
    "article": ("how-to/plot.md", "Article"),
    "story": ("how-to/plot.md", "Story"),
    "timeline": ("how-to/plot.md", "Story"),
    "compared": ("how-to/plot.md", "Story"),
}
NOON = 1_772_366_400.0
_BLOCK = re.compile(
    r"(?<!<!--- skip: next -->\n\n)^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def flow_of(page: str, name: str) -> type[Flow]:
    """The class of that name after the page's blocks up to its own have run."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    text = (DOCS / page).read_text(encoding="utf-8")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),  # blocks write files
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        for block in _BLOCK.findall(text):
            exec(compile(block, page, "exec", dont_inherit=True), vars(main))  # noqa: S102 - our own pages
            if f"class {name}(" in block:
                found: type[Flow] = vars(main)[name]
                return found
    raise LookupError(f"{page} has no class {name}")


def review(cls: type[Flow], path: Path) -> None:
    """Its run with the inputs of the page."""
    with ran(cls, "review-7", {"rounds": 1}) as (flow, _):
        flow.plot(path)


def story(cls: type[Flow], path: Path) -> None:
    """A run that waits."""
    with ran(cls, "story-7") as (flow, _):
        flow.plot(path)


def timeline(cls: type[Flow], path: Path) -> None:
    """The same run at its end, three hours later."""
    with ran(cls, "story-7") as (flow, clock):
        clock.advance(3 * 3600)
        flow.send("released", {})
        runs.timeline(flow.run, path)


def compared(cls: type[Flow], path: Path) -> None:
    """That run, and one whose review was content at once."""
    with ran(cls, "story-7") as (first, clock):
        clock.advance(60)
        first.send("released", {})
        with ran(cls, "story-8", {"turn": 2}) as (second, _):
            runs.compare(first.run, second.run, path)


@contextlib.contextmanager
def ran(
    cls: type[Flow], id: str, inputs: dict[str, Any] | None = None
) -> Iterator[tuple[Flow, ManualClock]]:
    """A flow that has run from noon on, and the clock it ran by."""
    clock = ManualClock(NOON)
    before = use_clock(clock)
    seconds = cycle((0.8, 1.4, 0.9, 1.1, 2.2))

    def pass_time(_sender: type, **_more: Any) -> None:
        clock.advance(next(seconds))

    signals.step_started.connect(pass_time, sender=cls)
    try:
        with tempfile.TemporaryDirectory() as folder:
            flow = cls(store=f"sqlite:///{folder}/runs.db")
            flow.kickoff(inputs, id=id)
            yield flow, clock
    finally:
        signals.step_started.disconnect(pass_time, sender=cls)
        use_clock(before)


def draw(folder: Path = DOCS / "pictures") -> list[Path]:
    """Write all pictures; gives their paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    for picture, (page, name) in PICTURES.items():
        path = folder / f"{picture}.svg"
        cls = flow_of(page, name)
        maker = globals().get(picture)
        if maker is None:
            cls.plot(path)
        else:
            maker(cls, path)
        paths.append(path)
    return paths


if __name__ == "__main__":
    for each in draw():
        print(each.relative_to(DOCS.parent), each.stat().st_size)  # noqa: T201
