"""A diagram as DOT text, for Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.plot.measure import lines_of

if TYPE_CHECKING:
    from flowkit.plot.diagram import Diagram, Edge, Node

__all__ = ["dot"]

_LOOKS = {
    "start": {"fillcolor": "#e6f5ec", "color": "#1f8a4c"},
    "listen": {},
    "router": {"shape": "hexagon", "style": "filled", "fillcolor": "#fff5df"},
    "event": {"shape": "cds", "style": "filled", "fillcolor": "#e8f0fe"},
    "outside": {"style": "rounded,dashed"},
    "join": {"shape": "ellipse"},
    "end": {"shape": "doublecircle", "width": "0.2", "fixedsize": "true"},
}
_HEAD = """\
    rankdir=TB
    node [shape=box style="rounded,filled" fillcolor="#f6f7f9" fontname="sans-serif"]
    edge [fontname="sans-serif" fontsize=10]
"""


def dot(drawn: Diagram) -> str:
    """The digraph. Dashed: possible labels. Bold: edges that close a loop."""
    short = {node.id: f"n{index}" for index, node in enumerate(drawn.nodes)}
    lines = [f"    {short[node.id]} {_node(node)}" for node in drawn.nodes]
    lines += [f"    {_edge(edge, short)}" for edge in lines_of(drawn)]
    body = "\n".join(lines)
    return f"digraph {_quoted(drawn.name)} {{\n{_HEAD}{body}\n}}\n"


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "")
    return '"' + text.replace("\r", "").replace("\n", "\\n") + '"'


def _attributes(values: dict[str, str]) -> str:
    return "[" + " ".join(f"{key}={_quoted(v)}" for key, v in values.items()) + "]"


def _node(node: Node) -> str:
    said = [node.name, f"({node.mark})" if node.mark else ""]
    said += [f"{node.status.state} {node.status.note}".strip() if node.status else ""]
    text = "" if node.kind == "end" else "\n".join(each for each in said if each)
    tip = {"tooltip": node.doc} if node.doc else {}
    return _attributes({"label": text, **_LOOKS[node.kind], **tip})


def _edge(edge: Edge, short: dict[str, str]) -> str:
    looks = {"label": edge.label} if edge.label else {}
    if edge.possible:
        looks["style"] = "dashed"
    elif edge.back:
        looks["style"] = "bold"
    elif edge.kind == "failed":
        looks |= {"style": "dotted", "color": "#c0303c", "fontcolor": "#c0303c"}
    way = f"{short[edge.source]} -> {short[edge.target]}"
    return f"{way} {_attributes(looks)}" if looks else way
