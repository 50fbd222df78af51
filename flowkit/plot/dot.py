"""A diagram as DOT text, for Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.plot.measure import lines_of
from flowkit.plot.model import nested, told, touched_by_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.plot.model import Diagram, Edge, Node

__all__ = ["dot"]

_LOOKS: dict[str, dict[str, str]] = {
    "start": {"fillcolor": "#e6f5ec", "color": "#1f8a4c"},
    "listen": {},
    "router": {"shape": "hexagon", "style": "filled", "fillcolor": "#fff5df"},
    "event": {"shape": "cds", "style": "filled", "fillcolor": "#e8f0fe"},
    "outside": {"style": "rounded,dashed"},
    "join": {"shape": "ellipse"},
    "end": {"shape": "doublecircle", "width": "0.2", "fixedsize": "true"},
    "flow": {"peripheries": "2"},
    "several": {"shape": "box3d", "style": "filled"},
}
_STATES = {
    "ready": {"style": "rounded,filled,dotted"},
    "running": {"color": "#3566c8", "penwidth": "3"},
    "waiting": {"style": "rounded,filled,dashed", "color": "#7a55c4", "penwidth": "2"},
    "done": {"color": "#1f8a4c", "penwidth": "2"},
    "failed": {"color": "#c0303c", "penwidth": "4"},
    "cancelled": {"style": "rounded,filled,dashed"},
    "stuck": {"style": "rounded,filled,dashed", "color": "#b07608", "penwidth": "3"},
    "same": {"penwidth": "2"},
    "differs": {"color": "#b07608", "penwidth": "3"},
    "first": {"style": "rounded,filled,dashed", "color": "#3566c8", "penwidth": "2"},
    "second": {"style": "rounded,filled,dotted", "color": "#7a55c4", "penwidth": "2"},
}
_MISSED = {"color": "#b4bcc8", "fontcolor": "#56606e"}
_LABEL = "label={} labelloc=t labeljust=l"
_HEAD = """\
    rankdir=TB
    node [shape=box style="rounded,filled" fillcolor="#f6f7f9" fontname="sans-serif"]
    edge [fontname="sans-serif" fontsize=10]
"""


def dot(drawn: Diagram) -> str:
    """The digraph. Dashed: possible labels. Bold: edges that close a loop.

    With a run drawn over it, bold edges are those it took.
    """
    short = {node.id: f"n{index}" for index, node in enumerate(drawn.nodes)}
    lines = [f"    {_LABEL.format(_quoted(_facts(drawn)))}"] if drawn.facts else []
    lines += _nodes(drawn, short)
    lines += [f"    {_edge(edge, short)}" for edge in lines_of(drawn)]
    body = "\n".join(lines)
    return f"digraph {_quoted(drawn.name)} {{\n{_HEAD}{body}\n}}\n"


def _facts(drawn: Diagram) -> str:
    return "\n".join(fact.text for fact in drawn.facts)


def _nodes(drawn: Diagram, short: dict[str, str]) -> Iterator[str]:
    """Nodes, those of a group within its cluster."""
    boxes, inside, around = nested(drawn)
    touched = touched_by_runs(drawn)

    def those_in(box: int, indent: str) -> Iterator[str]:
        for node in drawn.nodes:
            if inside.get(node.id, -1) == box:
                yield f"{indent}{short[node.id]} {_node(node, node.id in touched)}"
        for index, outer in enumerate(around):
            if outer == box:
                yield f"{indent}subgraph cluster_{index} {{"
                yield f"{indent}    label={_quoted(boxes[index].name)} style=dashed"
                yield from those_in(index, indent + "    ")
                yield f"{indent}}}"

    return those_in(-1, "    ")


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "")
    return '"' + text.replace("\r", "").replace("\n", "\\n") + '"'


def _attributes(values: dict[str, str]) -> str:
    return "[" + " ".join(f"{key}={_quoted(v)}" for key, v in values.items()) + "]"


def _node(node: Node, touched: bool) -> str:  # noqa: FBT001 - one of two looks
    text = "" if node.kind == "end" else "\n".join(told(node))
    looks = _LOOKS[node.kind]
    if node.status:
        looks = looks | _STATES[node.status.state]
    elif not touched:
        looks = looks | _MISSED
    tip = {"tooltip": node.doc} if node.doc else {}
    return _attributes({"label": text, **looks, **tip})


def _edge(edge: Edge, short: dict[str, str]) -> str:
    looks = {"label": edge.label} if edge.label else {}
    if edge.possible:
        looks["style"] = "dashed"
    elif any(edge.taken) if edge.taken else edge.back:
        looks["style"] = "bold"
    elif edge.kind in ("failed", "cancel"):
        looks |= {"style": "dotted", "color": "#c0303c", "fontcolor": "#c0303c"}
    if edge.missed:
        looks |= {"color": "#b4bcc8", "fontcolor": "#56606e"}
    way = f"{short[edge.source]} -> {short[edge.target]}"
    return f"{way} {_attributes(looks)}" if looks else way
