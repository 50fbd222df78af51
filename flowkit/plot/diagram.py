"""A definition as a picture's model: nodes, edges and loops, still without places.

Three rules of this file:

1. Every edge that a router's label makes carries that label. Declared labels come
   first, then labels inferred from source; a router with neither, or with more than
   the source shows, *possibly* gives each label that nobody else gives.
2. Nothing is left out: a label that nobody hears leads to an ``end`` node, a name
   that nobody gives comes from an ``outside`` node.
3. Edges that close a cycle are ``back`` edges, so that drawings show loops.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from flowkit.core.definition import ENDINGS, Join, Leaf, leaves
from flowkit.core.durations import shown
from flowkit.plot.cycles import back_edges, loops
from flowkit.plot.model import Diagram, Edge, Fact, Group, Mark, Node, Status
from flowkit.plot.parts import boxes, marks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowkit.core.definition import Condition, Definition, Schedule, Step
    from flowkit.plot.model import NodeKind

__all__ = [
    "Diagram",
    "Edge",
    "Fact",
    "Group",
    "Inferred",
    "Mark",
    "Node",
    "Status",
    "diagram",
    "with_marks",
]

_MARKS = {
    "and": "all",
    "or": "any",
    "merge": "each",
    "all_active": "all active",
}


class Inferred(Protocol):
    """Labels read from a router's source, such as ``flowkit.define.labels.Read``."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels found."""
        ...

    @property
    def open(self) -> bool:
        """Whether there may be more."""
        ...


def diagram(
    definition: Definition,
    *,
    sources: Mapping[str, str] | None = None,
    inferred: Mapping[str, Inferred] | None = None,
) -> Diagram:
    """The diagram of a definition, nodes in the order steps were written.

    Args:
        definition: the flow.
        sources: source text by step name, to show with the step.
        inferred: labels read from source by step name, for routers that declare none.
    """
    drawing = _Drawing(definition, inferred or {})
    for step in definition.steps:
        drawing.step(step, (sources or {}).get(step.name, ""))
    for step in definition.steps:
        drawing.unheard(step)
    return drawing.finished()


def with_marks(drawn: Diagram, marks: Mapping[str, Sequence[Mark]]) -> Diagram:
    """The diagram with further marks on its steps, by step name."""
    nodes = (
        replace(node, marks=(*node.marks, *marks.get(node.id, ())))
        for node in drawn.nodes
    )
    return replace(drawn, nodes=tuple(nodes))


class _Drawing:
    """Nodes and edges of one diagram while they are collected."""

    def __init__(
        self, definition: Definition, inferred: Mapping[str, Inferred]
    ) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[Edge, None] = {}
        self._name_of_flow = definition.name
        self._names = definition.names
        routers = [step for step in definition.steps if step.router]
        self._labels = {step.name: _labels(step, inferred) for step in routers}
        self._open = [step.name for step in routers if _is_open(step, inferred)]
        self._givers: dict[str, list[str]] = {}
        for name, labels in self._labels.items():
            for label in labels:
                self._givers.setdefault(label, []).append(name)
        self._heard = {
            leaf.name
            for step in definition.steps
            for leaf in leaves(step.trigger)
            if leaf.kind in ("name", "gather")
        }
        self._emitters: dict[str, list[str]] = {}
        self._regions: dict[str, str] = {}
        self._boxes = tuple(boxes(definition))
        for step in definition.steps:
            for name in step.emits or ():
                self._emitters.setdefault(name, []).append(step.name)
            if step.region is not None:
                self._regions.setdefault(f"region({step.region.name})", step.name)

    def step(self, step: Step, source: str) -> None:
        """Add a step's node and the edges of its trigger."""
        kind: NodeKind = "start" if step.start else "listen"
        self.nodes[step.name] = Node(
            id=step.name,
            name=step.name,
            kind="router" if step.router else kind,
            start=step.start,
            is_async=step.is_async,
            mark=_mark(step.trigger) if isinstance(step.trigger, Join) else "",
            doc=step.doc,
            source=source,
            place=step.place if step.file else "",
            labels=self._labels.get(step.name, ()),
            marks=marks(step),
        )
        if isinstance(step.trigger, Join):
            self._inputs(step.trigger, step.name, step.name)
        elif step.trigger is not None:
            self._leaf(step.trigger, step.name)
        if step.schedule is not None:
            self._schedule(step.schedule, step.name)
        for name in step.cancels:
            self._cancel(name, step.name)

    def unheard(self, step: Step) -> None:
        """Lead a router's labels that nobody hears to an end."""
        for label in self._labels.get(step.name, ()):
            if label not in self._heard:
                node = Node(f"end:{step.name}", "end", "end")
                self.nodes[node.id] = node
                self._edge(Edge(step.name, node.id, label, "label"))

    def finished(self) -> Diagram:
        """The diagram, its loops found."""
        nodes = tuple(self.nodes.values())
        # A loop is entered at its start, wherever in the class that is written.
        order = [node.id for node in sorted(nodes, key=lambda node: not node.start)]
        pairs = [(edge.source, edge.target) for edge in self.edges]
        back = back_edges(order, pairs)
        pairs = [(e.source, e.target) for e in self.edges if e.kind != "cancel"]
        edges = (replace(e, back=(e.source, e.target) in back) for e in self.edges)
        groups = tuple(
            Group(f"loop {number}", nodes)
            for number, nodes in enumerate(loops(list(self.nodes), pairs), 1)
        )
        return Diagram(self._name_of_flow, nodes, tuple(edges), groups + self._boxes)

    def _edge(self, edge: Edge) -> None:
        self.edges[edge] = None

    def _inputs(self, join: Join, target: str, path: str) -> None:
        """Edges of a join's inputs; an inner join becomes a node of its own."""
        for index, inner in enumerate(join.inputs):
            if isinstance(inner, Leaf):
                self._leaf(inner, target)
                continue
            node = Node(f"join:{path}.{index}", _mark(inner), "join")
            self.nodes[node.id] = node
            self._edge(Edge(node.id, target, kind="join"))
            self._inputs(inner, node.id, f"{path}.{index}")

    def _leaf(self, leaf: Leaf, target: str) -> None:
        """Edges from whatever gives a leaf's name."""
        if leaf.kind == "event":
            self._event(leaf, target)
        elif leaf.kind == "timer":
            self._timer(leaf, target)
        elif leaf.kind in ENDINGS:
            self._step(leaf.name, Edge(leaf.name, target, leaf.kind, "failed"))
        elif leaf.kind == "gather":
            self._gather(leaf, target)
        elif leaf.kind == "step":
            # A router that is heard as a step triggers whatever its label is.
            label = "always" if leaf.name in self._labels else ""
            self._step(leaf.name, Edge(leaf.name, target, label))
        else:
            self._name(leaf.name, target)

    def _name(self, name: str, target: str) -> None:
        """Edges from the routers that give a label, else from outside."""
        givers = list(self._givers.get(name, []))
        for router in givers:
            self._edge(Edge(router, target, name, "label"))
        for step in self._emitters.get(name, []):
            self._edge(Edge(step, target, name, "event"))
            givers.append(step)
        if not givers and name in self._names:
            self._edge(Edge(name, target, "always" if name in self._labels else ""))
            givers = [name]
        if not givers:
            for router in self._open:
                self._edge(Edge(router, target, name, "label", possible=True))
        if not givers and not self._open:
            self._outside(name)
            self._edge(Edge(f"outside:{name}", target, kind="event"))

    def _gather(self, leaf: Leaf, target: str) -> None:
        """Edges from what leaves the results, which wait there for the others."""
        enough = f" {leaf.need}" if leaf.need else " until enough" if leaf.until else ""
        rest = "" if leaf.rest == "ignore" else f", {leaf.rest} rest"
        said = f"gather{enough}{rest}"
        for router in self._givers.get(leaf.name, []):
            self._edge(Edge(router, target, f"{leaf.name}, {said}", "gather"))
        if leaf.name in self._names or leaf.name not in self._givers:
            self._step(leaf.name, Edge(leaf.name, target, said, "gather"))

    def _cancel(self, name: str, source: str) -> None:
        """An edge to the step that is cancelled, or to the first one of a region."""
        if name in self._regions:
            text = f"cancels {name.removeprefix('region(')[:-1]}"
            self._edge(Edge(source, self._regions[name], text, "cancel"))
        elif name in self._names:
            self._edge(Edge(source, name, "cancels", "cancel"))

    def _outside(self, name: str) -> None:
        node = Node(f"outside:{name}", name, "outside")
        self.nodes.setdefault(node.id, node)

    def _step(self, name: str, edge: Edge) -> None:
        """An edge from a step, or from outside if the flow lacks that step."""
        if name not in self._names:
            self._outside(name)
            edge = replace(edge, source=f"outside:{name}")
        self._edge(edge)

    def _timer(self, leaf: Leaf, target: str) -> None:
        said = f"after {shown(leaf.delay)}"
        if leaf.after:
            self._step(leaf.after, Edge(leaf.after, target, said, "event"))
            return
        node = Node(f"timer:{leaf.name}", leaf.name, "event")
        self.nodes.setdefault(node.id, node)
        self._edge(Edge(node.id, target, said, "event"))

    def _schedule(self, schedule: Schedule, target: str) -> None:
        zone = "" if schedule.tz == "UTC" else schedule.tz
        node = Node(f"schedule:{schedule} {schedule.tz}", str(schedule), "event")
        self.nodes.setdefault(node.id, node)
        self._edge(Edge(node.id, target, zone, "event"))

    def _event(self, leaf: Leaf, target: str) -> None:
        node = Node(f"event:{leaf.name}", leaf.name, "event")
        self.nodes.setdefault(node.id, node)
        said = [f"by {leaf.key}"] if leaf.key else []
        said += ["transient"] if leaf.transient else []
        said += ["optional"] if leaf.optional else []
        self._edge(Edge(node.id, target, ", ".join(said), "event"))
        for step in self._emitters.get(leaf.name, []):
            self._edge(Edge(step, node.id, "emits", "event"))


def _labels(step: Step, inferred: Mapping[str, Inferred]) -> tuple[str, ...]:
    """A router's labels: declared, else inferred, else none."""
    if step.labels is not None:
        return step.labels
    read = inferred.get(step.name)
    return read.labels if read else ()


def _is_open(step: Step, inferred: Mapping[str, Inferred]) -> bool:
    """Whether a router may give labels that are not known."""
    read = inferred.get(step.name)
    return step.labels is None and (read is None or read.open)


def _mark(condition: Condition) -> str:
    """How a condition joins its inputs, in a word or two."""
    if isinstance(condition, Leaf):
        return ""
    rest = "" if condition.rest == "ignore" else f", {condition.rest} rest"
    if condition.kind == "window":
        return f"window {_limits(condition)}{rest}"
    if condition.kind == "times":
        return f"x{condition.need}{rest}"
    if condition.kind == "any_of":
        return f"{condition.need} of {len(condition.inputs)}{rest}"
    return _MARKS[condition.kind] + rest


def _limits(window: Join) -> str:
    """What ends a window, in a few words."""
    said = [str(window.need)] if window.need else []
    said += [shown(window.span)] if window.span else []
    said += [f"gap {shown(window.gap)}"] if window.gap else []
    return ", ".join(said)
