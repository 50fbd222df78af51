"""What a drawing shows, as plain data: nodes, edges, groups, and a run over them.

Everything here is frozen, and knows neither definitions nor places: what makes a
diagram fills it in, writers read it. A field that a writer cannot show as a shape it
tells as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Diagram",
    "Edge",
    "EdgeKind",
    "Fact",
    "Group",
    "GroupKind",
    "Mark",
    "Node",
    "NodeKind",
    "State",
    "Status",
    "nested",
    "plain_label",
    "state_words",
    "times",
    "told",
    "touched_by_runs",
]

NodeKind = Literal[
    "start", "listen", "router", "event", "outside", "join", "end", "flow", "several"
]
EdgeKind = Literal[
    "step", "label", "event", "failed", "join", "gather", "cancel", "call"
]
GroupKind = Literal["loop", "region", "flow", "each"]
State = Literal[
    "ready",
    "running",
    "waiting",
    "done",
    "failed",
    "cancelled",
    "stuck",
    "same",
    "differs",
    "first",
    "second",
]


@dataclass(frozen=True, slots=True)
class Status:
    """How a step fared in a run, or in two that are compared.

    Attributes:
        state: of its latest firing, in the words of a run's history; ``stuck`` for a
            join that holds tokens and can never fire. Of two runs: whether both took
            it the ``same`` way, it ``differs``, or only the ``first`` or ``second``
            came here.
        note: a few words shown below the name, such as ``1.2 s, 2 attempts``; a line
            end begins a new line.
        count: how many firings there were, shown above 1.
        story: one line for each firing, shown by tips and pages.
    """

    state: State
    note: str = ""
    count: int = 1
    story: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A small icon on a node: a policy, a lock, whatever belongs to a step.

    Attributes:
        icon: name of an icon of :mod:`flowkit.plot.icons`.
        tip: what it means, in a few words.
        text: shown beside the icon, such as ``3`` or ``30s``.
    """

    icon: str
    tip: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """Something drawn as a box or a small shape.

    Attributes:
        id: unique in the diagram; of a step, its name.
        name: the text shown.
        kind: a step's kind (``router`` wins over ``start``), or what else it is:
            ``flow`` is a sub-flow that is not shown from inside, ``several`` stands
            for many steps.
        start: the step begins a run.
        is_async: the step is a coroutine function.
        mark: how several inputs are joined, such as ``all`` or ``2 of 3``.
        doc: first paragraph of the step's docstring.
        source: the step's source text.
        place: ``file:line``, or empty.
        labels: labels of a router, declared or inferred.
        status: how the step fared, if a run is drawn and came here.
        marks: small icons with a tip.
        members: names of what a ``several`` node stands for.
        about: what a ``flow`` or ``several`` node is, in a few words below its name.
    """

    id: str
    name: str
    kind: NodeKind
    start: bool = False
    is_async: bool = False
    mark: str = ""
    doc: str = ""
    source: str = ""
    place: str = ""
    labels: tuple[str, ...] = ()
    status: Status | None = None
    marks: tuple[Mark, ...] = ()
    members: tuple[str, ...] = ()
    about: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from node to node.

    Attributes:
        source: id of the node it leaves.
        target: id of the node it enters.
        label: a router's label; for other edges a short explanation or empty.
        kind: what travels: a finished ``step``, a router's ``label``, an ``event``
            (also a name from outside), a ``failed`` step, the outcome of an inner
            ``join``, the results of a group (``gather``), the order to
            ``cancel``, or a ``call`` by a function flow.
        possible: the router may give this label, but nothing shows that it does.
        back: closes a cycle.
        taken: how often each run that is drawn went this way; empty without a run.
    """

    source: str
    target: str
    label: str = ""
    kind: EdgeKind = "step"
    possible: bool = False
    back: bool = False
    taken: tuple[int, ...] = ()

    @property
    def missed(self) -> bool:
        """A run is drawn, and did not go this way."""
        return bool(self.taken) and not any(self.taken)


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes that belong together.

    All kinds but ``loop`` are drawn as a box with a title. A group whose nodes are
    all in another one is drawn inside it.

    Attributes:
        name: the title.
        nodes: ids, those of inner groups too.
        kind: ``loop``, a ``region`` (of a lock, or one that is cancelled together), a
            sub-``flow``, or steps that run once for ``each`` of many.
        tip: what it means, in a few words.
        marks: small icons beside the title.
    """

    name: str
    nodes: tuple[str, ...]
    kind: GroupKind = "loop"
    tip: str = ""
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """A line above the drawing, with the icon of a state or none."""

    text: str
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Diagram:
    """All that a drawing shows of a flow.

    Attributes:
        name: of the flow.
        nodes: in the order the steps were written.
        edges: none twice.
        groups: loops, and boxes around nodes.
        runs: how many runs are drawn over it: 0, 1, or 2 that are compared.
        facts: lines above the drawing.
    """

    name: str
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    groups: tuple[Group, ...] = ()
    runs: int = 0
    facts: tuple[Fact, ...] = ()


_WORDS: dict[State, str] = {"first": "only in A", "second": "only in B"}


def state_words(state: State) -> str:
    """A state as text says it."""
    return _WORDS.get(state, state)


def times(count: int) -> str:
    """How often, as short text; "" for once."""
    return f"\N{MULTIPLICATION SIGN}{count}" if count > 1 else ""


def plain_label(edge: Edge) -> str:
    """An edge's label, with what the runs that are drawn made of it.

    How often the run went there, above once. Of two runs: ``A`` or ``B`` where only
    one went, both with their counts where these differ.
    """
    many = edge.taken
    said = ""
    if len(many) == 1:
        said = times(many[0])
    elif len(many) > 1 and any(many):
        told = [
            f"{letter} {times(count)}".strip()
            for letter, count in zip("AB", many, strict=True)
            if count
        ]
        same = len(set(many)) == 1
        said = times(many[0]) if same else f"({', '.join(told)})"
        if not edge.label:
            said = said.strip("()")
    return f"{edge.label} {said}".strip()


def told(node: Node) -> list[str]:
    """What a format without icons writes into a node, line by line."""
    lines = [node.name, f"({node.mark})" if node.mark else "", node.about]
    if node.status:
        said = [state_words(node.status.state), times(node.status.count)]
        said.append(node.status.note.replace("\n", ", "))
        lines.append(" ".join(each for each in said if each))
    lines += [mark.tip for mark in node.marks]
    return [line for line in lines if line]


def touched_by_runs(drawn: Diagram) -> set[str]:
    """Ids of the nodes that the runs that are drawn came to; without runs all."""
    if not drawn.runs:
        return {node.id for node in drawn.nodes}
    touched = {node.id for node in drawn.nodes if node.status}
    for edge in drawn.edges:
        if any(edge.taken):
            touched.update((edge.source, edge.target))
    return touched


def nested(drawn: Diagram) -> tuple[list[Group], dict[str, int], list[int]]:
    """The boxes of a diagram as a forest.

    Returns:
        The groups to draw as boxes, outer ones first; the innermost box of each node
        that is in one; and the box around each box, -1 for none. A group that
        overlaps an earlier one without lying inside it is no box.
    """
    known = {node.id for node in drawn.nodes}
    every = [
        group
        for group in drawn.groups
        if group.kind != "loop" and not known.isdisjoint(group.nodes)
    ]
    boxes: list[Group] = []
    sets: list[set[str]] = []
    for group in sorted(every, key=lambda group: -len(group.nodes)):
        mine = set(group.nodes) & known
        if all(mine <= other or not mine & other for other in sets):
            boxes.append(group)
            sets.append(mine)
    inside: dict[str, int] = {}
    around: list[int] = []
    for index, mine in enumerate(sets):
        around.append(
            max(
                (i for i, other in enumerate(sets[:index]) if mine <= other), default=-1
            )
        )
        inside.update((node.id, index) for node in drawn.nodes if node.id in mine)
    return boxes, inside, around
