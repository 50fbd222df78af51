"""Links between pages lead somewhere, and pictures show the flow beside them."""

from __future__ import annotations

import importlib.util
import re
import sys

import pytest

from tests.docs.pages import PAGES, ROOT, title

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_links_of_a_page_lead_to_files(page):
    """Every relative link is a file of the repository."""
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_linked_from_its_folder():
    """A page that no index names is a page that nobody finds."""
    for folder in ("tutorial", "how-to", "reference", "explanation"):
        index = (ROOT / "docs" / folder / "index.md").read_text(encoding="utf-8")
        for page in (ROOT / "docs" / folder).glob("*.md"):
            assert page.name == "index.md" or f"({page.name})" in index, page.name


def _maker():
    path = ROOT / "docs" / "make_pictures.py"
    spec = importlib.util.spec_from_file_location("make_pictures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = _maker()


@pytest.mark.parametrize("picture", MAKER.PICTURES)
def test_picture_shows_every_step(picture, monkeypatch, tmp_path):
    """A picture is of the flow as its page has it: ``docs/make_pictures.py``."""
    monkeypatch.chdir(tmp_path)
    page, name = MAKER.PICTURES[picture]
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    flow = MAKER.flow_of(page, name)
    path = ROOT / "docs" / "pictures" / f"{picture}.svg"
    drawn = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 20_000
    for step in flow.definition().steps:
        known = picture == "timeline" and step.name == "say_sorry"  # it never ran
        assert known or f">{step.name}<" in drawn, step.name
        for label in step.labels or () if picture != "timeline" else ():
            # Runs count, and say which of two went there.
            many = "( [(\N{MULTIPLICATION SIGN}].*?)?"
            assert re.search(f">{label}{many}<", drawn), label


def test_every_picture_is_made_and_shown():
    """No picture without a script, none that no page shows."""
    made = {f"{picture}.svg" for picture in MAKER.PICTURES}
    assert {path.name for path in (ROOT / "docs" / "pictures").glob("*.*")} == made
    shown = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert all(f"pictures/{name})" in shown for name in made)
