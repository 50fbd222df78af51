"""Calls of steps that have policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.define.compiler import Compiled
    from flowkit.runtime.calls import Call

__all__ = ["govern"]


def govern(calls: Sequence[Call], compiled: Compiled) -> None:
    """Make the calls of a class heed the policies of its steps."""
    for node, call in zip(compiled.net.nodes, calls, strict=True):
        policy = compiled.policies.get(node.name)
        if policy is None:
            continue
        call.timed = policy.times
        call.loops = call.is_async or call.timed
