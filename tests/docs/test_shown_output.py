"""What a page shows below a Python block is what the block prints."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import types

import pytest

from flowkit.runtime.cached import forget_all
from tests.docs.pages import PAGES, blocks, compiled, title

SHOWING = [page for page in PAGES if any(block.shown for block in blocks(page))]


@pytest.mark.parametrize("page", SHOWING, ids=title)
def test_output_is_as_shown(page, tmp_path, monkeypatch):
    """Blocks of a page run in order and share their names, as for a reader."""
    monkeypatch.chdir(tmp_path)
    forget_all()  # a reader's process has kept no results
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    for block in blocks(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compiled(page, block), vars(main))
        if block.shown is not None:
            shown = _placeless(block.shown)
            assert _placeless(printed.getvalue()) == shown, (
                f"{title(page)}:{block.line}"
            )


def test_pages_show_output():
    """The fences are found: a page without any would pass above."""
    assert len(SHOWING) > 3


def _placeless(text: str) -> str:
    """Without the file that a message names: an example's, or the page that shows it."""
    return re.sub(r"\(\w+\.(py|md):\d+\)", "(..)", text)
