"""A diagram as Mermaid text, which GitHub and many editors draw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flowkit.plot.measure import lines_of

if TYPE_CHECKING:
    from flowkit.plot.diagram import Diagram, Edge, Node

__all__ = ["mermaid"]

_SHAPES = {
    "start": '(["{}"])',
    "listen": '["{}"]',
    "router": '{{{{"{}"}}}}',
    "event": '>"{}"]',
    "outside": '[/"{}"/]',
    "join": '(("{}"))',
    "end": '((("{}")))',
}
# Widths and dashes only: Mermaid's own themes choose the colours.
_CLASSES = {
    "start": "stroke-width:2px",
    "router": "stroke-width:3px",
    "outside": "stroke-dasharray:5 3",
}
_SPECIAL = str.maketrans(
    {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "|": "#124;"}
    | {"`": "#96;", "\n": " ", "\r": " "}
)


def mermaid(drawn: Diagram) -> str:
    """The flowchart. Dashed: possible labels. Thick: edges that close a loop."""
    short = {node.id: f"n{index}" for index, node in enumerate(drawn.nodes)}
    lines = ["---", f"title: {json.dumps(drawn.name)}", "---", "flowchart TD"]
    lines += [f"    {short[node.id]}{_node(node)}" for node in drawn.nodes]
    lines += [f"    {_edge(edge, short)}" for edge in lines_of(drawn)]
    for kind, style in _CLASSES.items():
        members = [short[node.id] for node in drawn.nodes if node.kind == kind]
        if members:
            lines += [f"    classDef {kind} {style}"]
            lines += [f"    class {','.join(members)} {kind}"]
    return "\n".join(lines) + "\n"


def _node(node: Node) -> str:
    said = [node.name, f"({node.mark})" if node.mark else ""]
    said += [f"{node.status.state} {node.status.note}".strip() if node.status else ""]
    text = "<br/>".join(each.translate(_SPECIAL) for each in said if each)
    return _SHAPES[node.kind].format(text)


def _edge(edge: Edge, short: dict[str, str]) -> str:
    arrow = "-.->" if edge.possible else "==>" if edge.back else "-->"
    label = f'|"{edge.label.translate(_SPECIAL)}"|' if edge.label else ""
    return f"{short[edge.source]} {arrow}{label} {short[edge.target]}"
