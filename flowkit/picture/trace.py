"""A run as a picture: its class, and how every step and every way fared in it.

A way counts as taken once for each execution that consumed what came on it, so that
the turns of a loop can be read off the edge that closes it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowkit.core.definition import leaves
from flowkit.core.ending import awaited
from flowkit.picture.classes import inferred_of, sources_of
from flowkit.picture.words import ago, error_text, facts, state_of, story_line, waits
from flowkit.plot.diagram import diagram
from flowkit.plot.lengths import length
from flowkit.plot.model import Edge, Node, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowkit.core.marking import Round
    from flowkit.plot.diagram import Inferred
    from flowkit.plot.model import Diagram, State
    from flowkit.runtime.execution_info import Cause, Execution
    from flowkit.runtime.recall import Recalled

__all__ = ["Labels", "bare", "by_node", "taken", "traced"]

MOST_TOLD = 200
OPEN = frozenset({"running", "waiting"})


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of a router as a run showed them; there may be more."""

    labels: tuple[str, ...]
    open: bool = True


def traced(told: Recalled, now: float) -> Diagram:
    """The diagram of a run.

    Args:
        told: the run.
        now: seconds since the epoch, for what goes on.
    """
    drawn = bare(told)
    statuses = _statuses(told, now)
    nodes = tuple(replace(n, status=_status_of(n, told, statuses)) for n in drawn.nodes)
    ways = taken(drawn, told)
    edges = tuple(replace(edge, taken=(ways[edge],)) for edge in drawn.edges)
    return replace(drawn, nodes=nodes, edges=edges, runs=1, facts=facts(told, now))


def bare(told: Recalled, executions: Iterable[Execution] = ()) -> Diagram:
    """The diagram of a run's flow, with the labels that its routers chose.

    Args:
        told: the run.
        executions: those that chose; the run's own if there are none.
    """
    definition = told.net.definition
    known: Mapping[str, Inferred] = inferred_of(told.cls) if told.cls else {}
    chosen: dict[str, dict[str, None]] = defaultdict(dict)
    for each in executions or told.executions:
        chosen[each.step].update(dict.fromkeys(each.labels))
    inferred: dict[str, Inferred] = dict(known)
    for step in definition.steps:
        if step.router and step.labels is None and chosen[step.name]:
            read = known.get(step.name)
            labels = dict.fromkeys([*(read.labels if read else ()), *chosen[step.name]])
            inferred[step.name] = Labels(tuple(labels), read.open if read else True)
    sources = sources_of(told.cls) if told.cls else {}
    drawn = diagram(definition, sources=sources, inferred=inferred)
    return _with_called(drawn, told, executions)


def _with_called(
    drawn: Diagram, told: Recalled, executions: Iterable[Execution]
) -> Diagram:
    """With the steps that a function flow called: only its runs know them."""
    callers = _callers(told)
    nodes: dict[str, Node] = {}
    edges: dict[Edge, None] = {}
    for each in (*told.executions, *executions):
        if each.position is not None:
            caller = callers.get(each.firing, next(iter(told.net.definition.names)))
            id = _called(caller, each.step)
            nodes[id] = Node(id, each.step, "listen")
            edges[Edge(caller, id, "calls", "call")] = None
    return replace(
        drawn, nodes=(*drawn.nodes, *nodes.values()), edges=(*drawn.edges, *edges)
    )


def _callers(told: Recalled) -> dict[int, str]:
    """Steps by firing; a call has the firing of its caller."""
    return {e.firing: e.step for e in told.executions if e.position is None}


def _called(caller: str, step: str) -> str:
    """Id of the node of a step that a function flow called."""
    return f"call:{caller}:{step}"


def by_node(told: Recalled) -> dict[str, list[Execution]]:
    """Executions of each step, in their order, by the id of its node."""
    callers = _callers(told)
    found: dict[str, list[Execution]] = defaultdict(list)
    for each in sorted(told.executions, key=lambda each: each.firing):
        called = each.position is not None
        id = _called(callers.get(each.firing, ""), each.step) if called else each.step
        found[id].append(each)
    return found


def _statuses(told: Recalled, now: float) -> dict[str, Status]:
    statuses = {id: _status(told, its, now) for id, its in by_node(told).items()}
    for each in told.marking.parked():
        name = each.trigger.node.name
        before = statuses.get(name)
        statuses[name] = _parked(told, each, before)
    return statuses


def _status(told: Recalled, executions: list[Execution], now: float) -> Status:
    """How a step fared: by what is open, else by what ended last."""
    open_ones = [each for each in executions if each.outcome in OPEN]
    latest = (open_ones or executions)[-1]
    if not open_ones:
        latest = max(executions, key=lambda each: each.seq or 0)
    lines = [_times(told, executions, latest, now)]
    if latest.error is not None:
        lines.append(error_text(latest.error))
    lines += [waits(each) for each in latest.questions if each.answered is None]
    story = tuple(story_line(each, told.began) for each in executions[-MOST_TOLD:])
    return Status(state_of(latest), "\n".join(lines), len(executions), story)


def _times(
    told: Recalled, executions: list[Execution], latest: Execution, now: float
) -> str:
    again = f"{latest.attempt} attempts, " if latest.attempt > 1 else ""
    turns = sum(each.turns for each in executions)
    if turns > len(executions):
        again += f"{turns} turns, "
    if latest.duration is None:
        return f"{again}for {ago(told, latest.started, now)}"
    total = sum(each.duration or 0.0 for each in executions)
    return f"{again}{length(total)}{' in all' if len(executions) > 1 else ''}"


def _parked(told: Recalled, each: Round, before: Status | None) -> Status:
    """The status of a join that holds something and has not fired."""
    slots = each.trigger.slots
    came = [slot.text for slot in slots if each.arrived >> slot.index & 1]
    came += [
        f"{slot.text} {len(each.held[slot.index])} of {slot.need}"
        for slot in slots
        if not each.arrived >> slot.index & 1 and each.held.get(slot.index)
    ]
    lacks = [slot.text for slot in slots if not each.arrived >> slot.index & 1]
    note = f"has {', '.join(came)}\nlacks {', '.join(lacks)}"
    if before is not None and before.state in OPEN:
        return replace(before, note=f"{before.note}\n{note}")
    state: State = "waiting" if told.ended is None else "stuck"
    if told.status not in {"completed", "running", "waiting"}:
        state = "cancelled"
    if before is None:
        return Status(state, note, 0)
    return replace(before, state=state, note=f"{before.note}\n{note}")


def _status_of(
    node: Node, told: Recalled, statuses: Mapping[str, Status]
) -> Status | None:
    if node.kind != "event":
        return statuses.get(node.id)
    open_ones = awaited(told.net, told.marking) if told.status == "waiting" else ()
    waits_for = node.id.startswith(("event:", "timer:")) and node.name in open_ones
    return Status("waiting") if waits_for else None


def taken(drawn: Diagram, told: Recalled) -> Counter[Edge]:
    """How often a run went each way of its diagram."""
    ways = _Ways(drawn, told)
    for each in told.executions:
        if each.position is not None:
            ways.called(each)
            continue
        ways.consumed(each.step, each.causes)
        ways.cancelled(each.step)
        for label in each.labels:
            ways.unheard(each.step, label)
    for parked in told.marking.parked():
        causes = [(token.name, token.source) for token in parked.tokens()]
        ways.arrived(parked.trigger.node.name, causes)
    return ways.counts


class _Ways:
    """Counts what went over each edge."""

    def __init__(self, drawn: Diagram, told: Recalled) -> None:
        self.counts: Counter[Edge] = Counter()
        self._steps = _callers(told)
        self._into: dict[str, list[Edge]] = defaultdict(list)
        self._ends: dict[tuple[str, str], Edge] = {}
        self._cancels: dict[str, list[Edge]] = defaultdict(list)
        for edge in drawn.edges:
            self._into[edge.target].append(edge)
            if edge.kind == "cancel":
                self._cancels[edge.source].append(edge)
            if edge.target.startswith("end:"):
                self._ends[edge.source, edge.label] = edge
        self._timers = {
            leaf.name: leaf.after or f"timer:{leaf.name}"
            for step in told.net.definition.steps
            for leaf in leaves(step.trigger)
            if leaf.kind == "timer"
        }

    def consumed(self, step: str, causes: Iterable[Cause]) -> None:
        """An execution began with these."""
        self.arrived(step, [(each.name, each.firing) for each in causes])

    def arrived(self, step: str, causes: Iterable[tuple[str, int]]) -> None:
        """These came to a step, each over one way, or as many as fit."""
        found = Counter[Edge]()
        for name, firing in causes:
            source = self._steps.get(firing)
            for way in self._ways(step, name, source):
                found.update(way)
        for edge, count in found.items():
            # An inner join hands over once what it has put together.
            self.counts[edge] += 1 if edge.kind == "join" else count

    def cancelled(self, step: str) -> None:
        """An execution of a step began, and with it what it cancels ended."""
        self.counts.update(self._cancels.get(step, ()))

    def called(self, each: Execution) -> None:
        """A function flow called a step."""
        id = _called(self._steps.get(each.firing, ""), each.step)
        self.counts.update(self._into[id])

    def unheard(self, step: str, label: str) -> None:
        """A router chose a label that nobody hears."""
        edge = self._ends.get((step, label))
        if edge is not None:
            self.counts[edge] += 1

    def _ways(self, target: str, name: str, source: str | None) -> list[list[Edge]]:
        """Edges that lead to a target from there, past inner joins."""
        found: list[list[Edge]] = []
        for edge in self._into[target]:
            if edge.kind == "join":
                found += ([*way, edge] for way in self._ways(edge.source, name, source))
            elif self._fits(edge, name, source):
                found.append([edge])
        return found

    def _fits(self, edge: Edge, name: str, source: str | None) -> bool:
        if edge.kind == "gather":
            # A group gathers what its lanes left, whichever came last.
            return edge.source == name or edge.label.startswith(f"{name}, gather")
        if name in self._timers:
            return edge.kind == "event" and edge.source == self._timers[name]
        if source is None:
            outside = {f"event:{name}", f"outside:{name}"}
            begun = not name and edge.source.startswith("schedule:")
            return edge.source in outside or begun
        gives = {"failed": f"{source}.{edge.label}", "step": source}
        return edge.source == source and gives.get(edge.kind, edge.label) == name
