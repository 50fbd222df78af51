"""Declared steps that run another flow: ``@listen(order, flow=Charge)``.

The method makes the inputs, and the called flow's result is the step's output. The
step's function is wrapped once, when its class is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

from flowkit.define.flows import FlowStep
from flowkit.errors import InputError
from flowkit.runtime.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.core.definition import Step
    from flowkit.core.net import Node

__all__ = ["flow_calls"]


def flow_calls(
    calls: Sequence[Call], nodes: Sequence[Node], flows: Mapping[str, Any]
) -> tuple[Call, ...]:
    """The calls of a flow, those of steps that are flows with the call behind them."""
    return tuple(
        _calling(call, node, flows[node.name]) if node.name in flows else call
        for call, node in zip(calls, nodes, strict=True)
    )


def _calling(call: Call, node: Node, target: Any) -> Call:
    if isinstance(call.function, FlowStep):
        return Call(node, _bodiless(node.step, target))
    changed = copy(call)
    changed.function = _with_body(node.step, target, call.function)
    changed.is_async = True
    return changed


def _with_body(step: Step, target: Any, body: Callable[..., Any]) -> Callable[..., Any]:
    async def call(flow: Any, *args: Any, **kwargs: Any) -> Any:
        made = body(flow, *args, **kwargs)
        if hasattr(made, "__await__"):
            made = await made
        return await flow.call(_flow(step, target), _inputs(made, flow, step))

    return call


def _bodiless(step: Step, target: Any) -> Callable[..., Any]:
    async def call(flow: Any, **came: Any) -> Any:
        inputs = _inputs(_handed(flow, came), flow, step)
        return await flow.call(_flow(step, target), inputs)

    return call


def _handed(flow: Any, came: dict[str, Any]) -> Any:
    """What came as inputs: the one payload, or all by the names of what they are of.

    A plain start hands on the inputs of its own run.
    """
    if not came:
        given = flow._flowkit.run.inputs or {}
        return {name: value for name, value in given.items() if name != "id"}
    if len(came) > 1:
        return came
    ((name, payload),) = came.items()
    return None if payload == name else payload  # a label carries nothing


def _flow(step: Step, target: Any) -> Any:
    return target if isinstance(target, type) else step.flow


def _inputs(made: Any, flow: Any, step: Step) -> Mapping[str, Any] | None:
    """What a step hands to its flow.

    Raises:
        InputError: it is no mapping.
    """
    if made is None or isinstance(made, Mapping):
        return made
    if hasattr(type(made), "model_fields"):
        return dict(made)
    name = step.flow.replace(":", ".").rpartition(".")[2]
    msg = (
        f"{type(flow).__name__}.{step.name} hands {made!r:.60} to {name} as "
        f"its inputs, and they are a mapping of state fields. Give the step a method "
        f"that returns one: {{'field': value}}. ({step.place})"
    )
    raise InputError(msg)
