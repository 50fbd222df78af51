"""The code in README.md and docs/ is run: every Python block, page by page.

The blocks of a page share their names and run in order, in a folder of their own
that is removed with the page. A block is left out by ``<!--- skip: next -->``
before it, with the reason in the same comment's ``if`` clause or in the text.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import types
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_plugins = ["pytest_flowkit"]  # as its entry point does, installed or not


class _Page(types.ModuleType):
    """What the blocks of a page define, found as in a script."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        super().__init__("__main__")
        self.namespace = namespace

    def __getattr__(self, name: str) -> Any:
        try:
            return self.namespace[name]
        except KeyError:
            raise AttributeError(name) from None


def _enter(namespace: dict[str, Any]) -> None:
    folder = tempfile.mkdtemp(prefix="flowkit-docs-")
    namespace["_page"] = (os.getcwd(), folder)  # noqa: PTH109 - goes back to chdir
    # Classes, pickles and stores ask for it; a reader's script has this name too.
    namespace["__name__"] = "__main__"
    namespace["_main"] = sys.modules["__main__"]
    sys.modules["__main__"] = _Page(namespace)
    os.chdir(folder)


def _leave(namespace: dict[str, Any]) -> None:
    back, folder = namespace["_page"]
    os.chdir(back)
    sys.modules["__main__"] = namespace["_main"]
    shutil.rmtree(folder)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/**/*.md", "docs/*.md"],
    setup=_enter,
    teardown=_leave,
).pytest()
