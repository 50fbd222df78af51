"""A diagram as one HTML page that needs no network.

With the layout engine the page holds a finished drawing; without it the page carries
dagre and places the same shapes in the browser. A strict content security policy
names the hash of each script and style, so nothing else can run, whatever the texts
of a flow contain.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from string import Template
from typing import TYPE_CHECKING

from flowkit.errors import MissingExtraError
from flowkit.plot.icons import ICONS
from flowkit.plot.layout import layout, unplaced
from flowkit.plot.measure import edge_label_size
from flowkit.plot.model import nested
from flowkit.plot.plain import as_dict
from flowkit.plot.svg import draw
from flowkit.plot.theme import asset, rules

if TYPE_CHECKING:
    from flowkit.plot.layout import Placed
    from flowkit.plot.model import Diagram, Edge, Fact

__all__ = ["html", "sheet"]


def html(drawn: Diagram, *, engine: bool = True) -> str:
    """The page.

    Args:
        drawn: what the page shows.
        engine: use the layout engine if it is installed; False leaves the layout to
            the browser in any case.
    """
    placed, is_placed = _place(drawn, engine=engine)
    style = asset("page.css") + _page_rules()
    dagre = "" if is_placed else asset("dagre.min.js")
    script = asset("page.js") + asset("theme.js")
    return Template(asset("page.html")).substitute(
        title=escape(drawn.name),
        facts=_facts_of(drawn.facts),
        policy=_policy(style, [dagre, script]),
        style=style,
        drawing=draw(placed, attributes='class="flowkit" role="group"'),
        data=_data(placed, is_placed=is_placed),
        dagre=f"<script>{dagre}</script>" if dagre else "",
        script=script,
    )


def sheet(name: str, drawing: str, facts: tuple[Fact, ...]) -> str:
    """A page around a drawing that only has to be read.

    Args:
        name: of the flow.
        drawing: an SVG element without style.
        facts: lines above it.
    """
    style = asset("page.css") + _page_rules()
    script = asset("theme.js")
    return Template(asset("sheet.html")).substitute(
        title=escape(name),
        facts=_facts_of(facts),
        policy=_policy(style, [script]),
        style=style,
        drawing=drawing,
        script=script,
    )


def _place(drawn: Diagram, *, engine: bool) -> tuple[Placed, bool]:
    try:
        return (layout(drawn), True) if engine else (unplaced(drawn), False)
    except MissingExtraError:
        return unplaced(drawn), False


def _facts_of(facts: tuple[Fact, ...]) -> str:
    """The lines above a drawing as a part of the page."""
    rows = "".join(
        f'<p class="{fact.state or "plain"}">{_shown_icon(fact)}{escape(fact.text)}</p>'
        for fact in facts
    )
    return f'<div class="facts">{rows}</div>' if rows else ""


def _shown_icon(fact: Fact) -> str:
    if fact.state is None:
        return ""
    return f'<svg viewBox="0 0 16 16"><path d="{ICONS[fact.state]}"/></svg>'


def _page_rules() -> str:
    """The drawing's colours for the system's theme and for the reader's choice."""
    by_system = rules("dark", ":root:not([data-theme]) svg.flowkit")
    return (
        rules("light")
        + f"@media (prefers-color-scheme: dark) {{\n{by_system}}}\n"
        + rules("dark", ':root[data-theme="dark"] svg.flowkit')
    )


def _policy(style: str, scripts: list[str]) -> str:
    """The content security policy that allows these texts and nothing else."""
    allowed = " ".join(_hash(each) for each in scripts if each)
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _data(placed: Placed, *, is_placed: bool) -> str:
    """The page's data as JSON that cannot end the element it stands in."""
    data = as_dict(placed.diagram)
    data["placed"] = is_placed
    data["size"] = [placed.width, placed.height]
    data["boxes"] = [[box.width, box.height] for box in placed.boxes]
    _, data["inside"], data["around"] = nested(placed.diagram)
    data["lines"] = [_line_data(line.edge) for line in placed.lines]
    return _json_text(data)


def _json_text(data: object) -> str:
    """JSON for a script element."""
    text = json.dumps(data)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _line_data(edge: Edge) -> dict[str, object]:
    return {
        "source": edge.source,
        "target": edge.target,
        "size": edge_label_size(edge),
        "back": edge.back,
    }
