"""The page: complete in itself, strict, and safe against a flow's own texts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from flowkit.core.definition import Definition, Leaf, Step
from flowkit.plot.diagram import Diagram, diagram
from flowkit.plot.html import html
from tests.plot.flows import HOSTILE, NEWS


class Page(HTMLParser):
    """Tags of a page and the texts of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note the text of a script or style."""
        if self.tags and self.cdata_elem:
            self.texts.append((*self.tags[-1], data))

    def scripts(self, kind: str | None = None) -> list[str]:
        """Texts of scripts of a type."""
        return [
            text
            for tag, a, text in self.texts
            if (tag, a.get("type")) == ("script", kind)
        ]


def drawn() -> Diagram:
    """A diagram with a step whose source tries to leave its element."""
    return diagram(NEWS, sources={"review": f"def review(self):\n    # {HOSTILE}\n"})


@pytest.fixture(params=[True, False], ids=["engine", "browser"])
def page(request: pytest.FixtureRequest) -> Page:
    """The page with both ways of finding places."""
    return Page(html(drawn(), engine=request.param))


def data(page: Page) -> dict[str, Any]:
    """The page's data."""
    found = json.loads(page.scripts("application/json")[0])
    assert isinstance(found, dict)
    return found


def test_the_page_loads_nothing(page: Page) -> None:
    """No link, no source, no address but the namespace of SVG."""
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base"}
        assert not {"src", "href", "xlink:href"} & set(attributes)
    addresses = re.findall(r"https?://[\w./]+", html(drawn(), engine=True))
    assert set(addresses) == {"http://www.w3.org/2000/svg"}


def test_the_policy_names_every_script_and_style_and_no_more(page: Page) -> None:
    """Scripts and styles run by their hash; nothing inline is allowed as such."""
    policy = next(
        a["content"] or ""
        for tag, a in page.tags
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    styles = [text for tag, _, text in page.texts if tag == "style"]
    used = [*page.scripts(), *styles]
    hashes = {
        f"sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}"
        for t in used
    }
    assert set(re.findall(r"'(sha256-[^']+)'", policy)) == hashes


def test_no_element_has_inline_style_or_handlers(page: Page) -> None:
    """Either would be refused by the policy."""
    for _, attributes in page.tags:
        assert not [a for a in attributes if a == "style" or a.startswith("on")]


def test_source_that_closes_a_script_stays_text(page: Page) -> None:
    """The data element holds the whole source and ends where it should."""
    nodes = {node["id"]: node for node in data(page)["nodes"]}
    assert HOSTILE in nodes["review"]["source"]
    assert len(page.scripts("application/json")) == 1


def test_hostile_names_stay_text() -> None:
    """Flow and step names are escaped wherever they stand."""
    steps = (Step(HOSTILE, start=True, doc=HOSTILE), Step("b", trigger=Leaf(HOSTILE)))
    page = Page(html(diagram(Definition(HOSTILE, steps)), engine=False))
    assert len(page.scripts()) == 2
    assert data(page)["name"] == HOSTILE


def test_with_the_engine_the_drawing_is_finished() -> None:
    """The page shows the flow even where scripts are off."""
    page = Page(html(drawn()))
    assert data(page)["placed"] is True
    assert len(page.scripts()) == 1
    paths = [a["d"] for tag, a in page.tags if tag == "path" and "data-line" not in a]
    assert paths
    assert all(paths)


def test_without_the_engine_the_browser_gets_dagre(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A missing extra changes who finds the places, and nothing else."""
    monkeypatch.setitem(__import__("sys").modules, "graphlay", None)
    page = Page(html(drawn()))
    found = data(page)
    assert found["placed"] is False
    assert len(found["boxes"]) == len(found["nodes"])
    assert "dagre" in page.scripts()[0]


def test_every_line_of_the_page_has_its_data(page: Page) -> None:
    """Ways and labels name the line they belong to."""
    lines = data(page)["lines"]
    ways = [a["data-line"] for _, a in page.tags if a.get("class") == "way"]
    assert sorted(ways, key=lambda w: int(w or 0)) == [
        str(i) for i in range(len(lines))
    ]


def test_the_page_can_be_used_with_the_keyboard(page: Page) -> None:
    """The drawing takes the focus, the buttons and the find box have names."""
    for tag, attributes in page.tags:
        if tag in {"button", "input"}:
            assert attributes.get("aria-label")
    assert any(
        a.get("id") == "stage" and a.get("tabindex") == "0" for _, a in page.tags
    )
    script = page.scripts()[-1]
    for key in ("ArrowLeft", '"+"', '"-"', "0: fit", '"/"', "Escape"):
        assert key in script
