"""What the pages show of a terminal is what their commands show."""

from __future__ import annotations

import importlib.util

import pytest

from tests.docs.pages import ROOT, title


def _maker():
    path = ROOT / "docs" / "make_transcripts.py"
    spec = importlib.util.spec_from_file_location("make_transcripts", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = _maker()


@pytest.mark.parametrize("page", MAKER.pages(), ids=title)
@pytest.mark.timeout(120)
def test_commands_show_what_the_page_says(page):
    """They have changed: run ``python docs/make_transcripts.py``."""
    told = page.read_text(encoding="utf-8")
    assert MAKER.masked(MAKER.made(page)) == MAKER.masked(told)


def test_there_are_transcripts():
    """Else the test above would pass without a page."""
    assert MAKER.pages()


def test_masks_hide_only_what_differs():
    """Words and results are compared as they are."""
    told = "✓ price   12ms 2x\nbegun 18:20:11\nresult 12 pieces"
    assert MAKER.masked(told) == "✓ price TIME 2x\nbegun HH:MM:SS\nresult 12 pieces"


def test_a_screen_keeps_what_a_live_tree_leaves():
    """Lines above it stay, its earlier frames go."""
    shown = (
        "above\r\none\r\ntwo\r\x1b[2K\x1b[1A\x1b[2Kdone\r\n\x1b[32mtwo\x1b[0m\r\nbelow"
    )
    assert MAKER.on_screen(shown) == "above\ndone\ntwo\nbelow"
