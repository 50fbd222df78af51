"""Two runs of a flow in one picture: where they went the same way, and where not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowkit.picture.trace import bare, by_node, taken
from flowkit.picture.words import error_text, facts, story_line
from flowkit.plot.cycles import back_edges
from flowkit.plot.lengths import length
from flowkit.plot.model import Diagram, Fact, Status, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.runtime.execution_info import Execution
    from flowkit.runtime.recall import Recalled

__all__ = ["compared"]


def compared(first: Recalled, second: Recalled, now: float) -> Diagram:
    """The diagram of both runs, called A and B; of different versions, all there is.

    Args:
        first: A.
        second: B.
        now: seconds since the epoch, for what goes on.
    """
    chosen = (*first.executions, *second.executions)
    drawn = _union(bare(first, chosen), bare(second, chosen))
    runs = by_node(first), by_node(second)
    nodes = tuple(
        replace(
            node, status=_status(first, second, *(run.get(node.id, []) for run in runs))
        )
        for node in drawn.nodes
    )
    ways = taken(drawn, first), taken(drawn, second)
    edges = tuple(
        replace(edge, taken=(ways[0][edge], ways[1][edge])) for edge in drawn.edges
    )
    said = (*facts(first, now, "A"), *facts(second, now, "B"), _difference(*runs))
    return replace(drawn, nodes=nodes, edges=edges, runs=2, facts=said)


def _union(one: Diagram, other: Diagram) -> Diagram:
    if one == other:
        return one
    nodes = {node.id: node for node in (*other.nodes, *one.nodes)}
    order = dict.fromkeys(node.id for node in (*one.nodes, *other.nodes))
    every = (replace(edge, back=False) for edge in (*one.edges, *other.edges))
    edges = list(dict.fromkeys(every))
    starts = sorted(order, key=lambda name: not nodes[name].start)
    back = back_edges(starts, [(edge.source, edge.target) for edge in edges])
    return replace(
        one,
        nodes=tuple(nodes[name] for name in order),
        edges=tuple(replace(e, back=(e.source, e.target) in back) for e in edges),
        groups=tuple(dict.fromkeys((*one.groups, *other.groups))),
    )


def _status(
    first: Recalled, second: Recalled, a: list[Execution], b: list[Execution]
) -> Status | None:
    """How a step fared in both, None if in neither."""
    story = tuple(
        f"{letter} {story_line(each, run.began)}"
        for letter, run, its in (("A", first, a), ("B", second, b))
        for each in its
    )
    if not a or not b:
        its = a or b
        if not its:
            return None
        return Status("first" if a else "second", _told(its), len(its), story)
    if [_way(each) for each in a] == [_way(each) for each in b]:
        return Status("same", f"A {_lasted(a)}, B {_lasted(b)}", len(a), story)
    note = f"A {times(len(a))} {_told(a)}\nB {times(len(b))} {_told(b)}"
    return Status("differs", note.replace("  ", " "), 1, story)


def _way(each: Execution) -> tuple[Any, ...]:
    """What of an execution decides where a run goes on."""
    return each.outcome, each.labels, each.turns


def _told(executions: Sequence[Execution]) -> str:
    latest = executions[-1]
    if latest.error is not None:
        return error_text(latest.error)
    ended = [latest.outcome] if latest.outcome != "done" else []
    chose = Counter(label for each in executions for label in each.labels)
    labels = ", ".join(f"{label} {times(n)}".strip() for label, n in chose.items())
    turns = sum(each.turns for each in executions)
    often = f"{turns} turns" if turns > len(executions) else ""
    said = (*ended, labels, often, _lasted(executions))
    return ", ".join(each for each in said if each)


def _lasted(executions: Sequence[Execution]) -> str:
    return length(sum(each.duration or 0.0 for each in executions))


def _difference(a: dict[str, list[Execution]], b: dict[str, list[Execution]]) -> Fact:
    """Where they part first, in the order of the records."""
    found = [
        (each.seq or float("inf"), each, index, other.get(id, []), letters)
        for mine, other, letters in ((a, b, "AB"), (b, a, "BA"))
        for id, its in mine.items()
        for index, each in enumerate(its)
        if [_way(one) for one in other.get(id, [])[index : index + 1]] != [_way(each)]
    ]
    if not found:
        return Fact("Both took the same way", "same")
    _, each, index, others, letters = min(found, key=lambda one: (one[0], one[4]))
    often = f" (firing {index + 1} of it)" if index else ""
    if len(others) <= index:
        text = f"{each.step}{often} ran in {letters[0]} only"
    else:
        both = dict(zip(letters, (each, others[index]), strict=True))
        said = " and ".join(f"{_did(both[letter])} in {letter}" for letter in "AB")
        if all(_way(one)[:2] == _way(each)[:2] for one in both.values()):
            turns = (f"{both[x].turns} {_turns(both[x].turns)} in {x}" for x in "AB")
            said = f"took {' and '.join(turns)}"
        text = f"{each.step}{often} {said}"
    return Fact(f"They part where {text}", "differs")


def _turns(count: int) -> str:
    return "turn" if count == 1 else "turns"


def _did(each: Execution) -> str:
    if each.labels:
        return f"chose {', '.join(each.labels)}"
    if each.error is not None:
        return f"failed with {type(each.error).__name__}"
    return {"done": "ended"}.get(each.outcome, f"was {each.outcome}")
