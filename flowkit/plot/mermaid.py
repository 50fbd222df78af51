"""A diagram as Mermaid text, which GitHub and many editors draw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flowkit.plot.measure import lines_of
from flowkit.plot.model import nested, told, touched_by_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.plot.model import Diagram, Edge, Node

__all__ = ["mermaid"]

_SHAPES = {
    "start": '(["{}"])',
    "listen": '["{}"]',
    "router": '{{{{"{}"}}}}',
    "event": '>"{}"]',
    "outside": '[/"{}"/]',
    "join": '(("{}"))',
    "end": '((("{}")))',
    "flow": '[["{}"]]',
    "several": '[["{}"]]',
}
# Widths and dashes only: Mermaid's own themes choose the colours.
_CLASSES = {
    "start": "stroke-width:2px",
    "router": "stroke-width:3px",
    "outside": "stroke-dasharray:5 3",
}
_STATES = {
    "ready": "stroke-dasharray:2 3",
    "running": "stroke-width:3px",
    "waiting": "stroke-width:2px,stroke-dasharray:6 4",
    "done": "stroke-width:2px",
    "failed": "stroke:#c0303c,stroke-width:4px",
    "cancelled": "stroke-dasharray:10 4",
    "stuck": "stroke-width:3px,stroke-dasharray:3 3",
    "same": "stroke-width:2px",
    "differs": "stroke-width:4px",
    "first": "stroke-width:2px,stroke-dasharray:10 3",
    "second": "stroke-width:2px,stroke-dasharray:3 3",
    "missed": "opacity:0.5",
}
_SPECIAL = str.maketrans(
    {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "|": "#124;"}
    | {"`": "#96;", "\n": " ", "\r": " "}
)


def mermaid(drawn: Diagram) -> str:
    """The flowchart. Dashed: possible labels. Thick: edges that close a loop.

    With a run drawn over it, thick edges are those it took.
    """
    short = {node.id: f"n{index}" for index, node in enumerate(drawn.nodes)}
    lines = ["---", f"title: {json.dumps(drawn.name)}", "---", "flowchart TD"]
    lines += [f"    %% {fact.text.translate(_SPECIAL)}" for fact in drawn.facts]
    lines += _nodes(drawn, short)
    lines += [f"    {_edge(edge, short)}" for edge in lines_of(drawn)]
    touched = touched_by_runs(drawn)
    for kind, style in (_STATES if drawn.runs else _CLASSES).items():
        members = [
            short[n.id] for n in drawn.nodes if kind == _class(n, drawn, touched)
        ]
        if members:
            lines += [f"    classDef {kind} {style}"]
            lines += [f"    class {','.join(members)} {kind}"]
    return "\n".join(lines) + "\n"


def _class(node: Node, drawn: Diagram, touched: set[str]) -> str:
    if not drawn.runs:
        return node.kind
    if node.status:
        return node.status.state
    return "" if node.id in touched else "missed"


def _nodes(drawn: Diagram, short: dict[str, str]) -> Iterator[str]:
    """Nodes, those of a group within its subgraph."""
    boxes, inside, around = nested(drawn)

    def those_in(box: int, indent: str) -> Iterator[str]:
        for node in drawn.nodes:
            if inside.get(node.id, -1) == box:
                yield f"{indent}{short[node.id]}{_node(node)}"
        for index, outer in enumerate(around):
            if outer == box:
                title = boxes[index].name.translate(_SPECIAL)
                yield f'{indent}subgraph g{index}["{title}"]'
                yield from those_in(index, indent + "    ")
                yield f"{indent}end"

    return those_in(-1, "    ")


def _node(node: Node) -> str:
    text = "<br/>".join(each.translate(_SPECIAL) for each in told(node))
    return _SHAPES[node.kind].format(text)


def _edge(edge: Edge, short: dict[str, str]) -> str:
    thick = any(edge.taken) if edge.taken else edge.back
    arrow = "-.->" if edge.possible else "==>" if thick else "-->"
    if edge.kind == "cancel":
        arrow = "-.-x"
    label = f'|"{edge.label.translate(_SPECIAL)}"|' if edge.label else ""
    return f"{short[edge.source]} {arrow}{label} {short[edge.target]}"
