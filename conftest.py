"""The code in README.md and docs/ is run: every Python block, page by page.

The blocks of a page share their names and run in order, in a folder of their own
that is removed with the page. A block is left out by ``<!--- skip: next -->``
before it, with the reason in the same comment's ``if`` clause or in the text.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser


def _enter(namespace: dict[str, Any]) -> None:
    folder = tempfile.mkdtemp(prefix="flowkit-docs-")
    namespace["_page"] = (os.getcwd(), folder)  # noqa: PTH109 - goes back to chdir
    # Classes and pickles ask for it; a reader's script has this name too.
    namespace["__name__"] = "__main__"
    os.chdir(folder)


def _leave(namespace: dict[str, Any]) -> None:
    back, folder = namespace["_page"]
    os.chdir(back)
    shutil.rmtree(folder)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/**/*.md", "docs/*.md"],
    setup=_enter,
    teardown=_leave,
).pytest()
