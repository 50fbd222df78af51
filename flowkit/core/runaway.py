"""A step that fires more often than it may: how that is said (R11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.net import bits
from flowkit.errors import RunawayError

if TYPE_CHECKING:
    from flowkit.core.net import Net, Node

__all__ = ["runaway"]


def runaway(net: Net, node: Node) -> RunawayError:
    """The error of a step that has reached its bound, with the circle it stands in."""
    circle = " -> ".join([*_circle(net, node), node.name])
    return RunawayError(
        f"{net.definition.name}.{node.name} would fire more than {node.limit} times "
        f"in one run, in the circle {circle}. Give the loop an exit, or raise the "
        f"bound with max_firings= on the step or max_method_calls on the flow. "
        f"({node.step.place})"
    )


def _circle(net: Net, node: Node) -> list[str]:
    """The shortest way from a step back to itself."""
    ways = {node.index: [node.name]}
    front = [node.index]
    while front:
        following: list[int] = []
        for index in front:
            for target in bits(net.followers(net.nodes[index])):
                if target == node.index:
                    return ways[index]
                if target not in ways:
                    ways[target] = [*ways[index], net.nodes[target].name]
                    following.append(target)
        front = following
    return [node.name]
