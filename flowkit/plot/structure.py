"""A flow's structure as CrewAI's ``build_flow_structure`` gives it.

The shape is a published interface, so its words are CrewAI's: *methods* are steps.
Only declared labels count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.definition import ENDINGS, Join, Leaf, leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.definition import Condition, Definition, Step

__all__ = ["build_flow_structure"]

_AND = frozenset({"and", "all_active"})


def build_flow_structure(
    definition: Definition, class_name: str | None = None
) -> dict[str, Any]:
    """Nodes, edges, start methods and router methods; fit for ``json.dumps``.

    Args:
        definition: the flow.
        class_name: stands in every node; None takes the definition's name.
    """
    name = definition.name if class_name is None else class_name
    steps = definition.steps
    return {
        "nodes": {step.name: _node(step, name) for step in steps},
        "edges": [*_trigger_edges(definition), *_router_edges(definition)],
        "start_methods": [step.name for step in steps if step.start],
        "router_methods": [step.name for step in steps if step.router],
    }


def _node(step: Step, class_name: str) -> dict[str, Any]:
    kind = "start" if step.start else "listen"
    node: dict[str, Any] = {
        "type": "router" if step.router else kind,
        "class_name": class_name,
    }
    if step.router:
        node["is_router"] = True
        if step.labels is not None:
            node["router_events"] = list(step.labels)
    if step.trigger is not None:
        node["condition_type"] = node["trigger_condition_type"] = _type(step.trigger)
        names = (_name(leaf) for leaf in leaves(step.trigger))
        node["trigger_methods"] = list(dict.fromkeys(names))
        if isinstance(step.trigger, Join):
            node["trigger_condition"] = _condition(step.trigger)
    elif step.router:
        node["condition_type"] = "IF"
    return node


def _type(condition: Condition) -> str:
    """``AND`` if every input is needed; CrewAI knows nothing between that and OR."""
    needs_all = isinstance(condition, Join) and condition.kind in _AND
    return "AND" if needs_all else "OR"


def _name(leaf: Leaf) -> str:
    return str(leaf) if leaf.kind in ENDINGS else leaf.name


def _condition(condition: Condition) -> Any:
    if isinstance(condition, Leaf):
        return _name(condition)
    inner = [_condition(each) for each in condition.inputs]
    return {"type": _type(condition), "conditions": inner}


def _named(condition: Condition | None, kind: str = "OR") -> Iterator[tuple[str, str]]:
    """Names of a condition, each with AND if it is anywhere below an ``and_``."""
    if isinstance(condition, Leaf):
        yield _name(condition), kind
    elif condition is not None:
        below = "AND" if kind == "AND" else _type(condition)
        for inner in condition.inputs:
            yield from _named(inner, below)


def _trigger_edges(definition: Definition) -> Iterator[dict[str, Any]]:
    for step in definition.steps:
        for name, kind in dict.fromkeys(_named(step.trigger)):
            if name in definition.names:
                yield _edge(name, step.name, condition_type=kind)


def _router_edges(definition: Definition) -> Iterator[dict[str, Any]]:
    for router in definition.steps:
        for label in (router.labels or ()) if router.router else ():
            for step in definition.steps:
                if any(name == label for name, _ in _named(step.trigger)):
                    yield _edge(router.name, step.name, router_event=label)


def _edge(
    source: str,
    target: str,
    *,
    condition_type: str | None = None,
    router_event: str | None = None,
) -> dict[str, Any]:
    edge: dict[str, Any] = {
        "source": source,
        "target": target,
        "condition_type": condition_type,
        "is_router_event": router_event is not None,
    }
    if router_event is not None:
        edge["router_event"] = router_event
    return edge
