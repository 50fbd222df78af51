"""Three levels of flows in a process that kills itself at its n-th note.

``python -m tests.acceptance.levels URL LOG N BACKEND RESUME``: every step notes its
beginning and its end in the log, outside of the store; N of 0 kills nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

import anyio

from flowkit import Flow, listen, start

count = 0


def note(flow: Flow, what: str) -> None:
    """One line of the log, and the end of the process if it is this one's turn."""
    global count  # noqa: PLW0603 - of this process
    log, most = Path(sys.argv[2]), int(sys.argv[3])
    with log.open("a") as file:
        file.write(f"{flow.run.id} {what}\n")
        file.flush()
        os.fsync(file.fileno())
    count += 1
    if count == most:
        os.kill(os.getpid(), signal.SIGKILL)


class Page(Flow):
    """The third level."""

    @start()
    async def read(self):
        note(self, "read")
        self.state["text"] = f"page {self.state['number']}"
        note(self, "read.")

    @listen(read)
    async def shorten(self):
        note(self, "shorten")
        short = self.state["text"].replace("page ", "p")
        note(self, "shorten.")
        return short


class Chapter(Flow):
    """The second level: two calls side by side, and one behind."""

    @start()
    async def pages(self):
        note(self, "pages")
        found = await self.join(
            [self.call(Page, {"number": self.state["first"] + at}) for at in range(2)]
        )
        last = await self.call(Page, {"number": 9})
        note(self, "pages.")
        return [*found, last]

    @listen(pages)
    def put_together(self, pages):
        note(self, "put_together")
        return " ".join(pages)


class Book(Flow):
    """The first level, its calls declared."""

    @start()
    async def begin(self):
        note(self, "begin")
        return {"first": 1}

    chapter = listen(begin, flow=Chapter)

    @listen(chapter)
    async def close(self, text):
        note(self, "close")
        return f"book of {text}"


async def main(url: str, resume: str) -> None:
    """Begin the one run, or go on with it."""
    if resume == "all":
        await Book.resume_all_async(store=url)
        return
    await Book(store=url).kickoff_async(id="book")


if __name__ == "__main__":
    sys.modules["tests.acceptance.levels"] = sys.modules["__main__"]
    for cls in (Page, Chapter, Book):
        cls.__module__ = "tests.acceptance.levels"
    anyio.run(partial(main, sys.argv[1], sys.argv[5]), backend=sys.argv[4])
