"""Steps that repeat themselves: ``while_=`` and ``until=``.

The test is asked of the state as the step sees it, before its first turn or after
each. Every turn is a record of its own; a step that starts again goes on with the
turn it was in.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from flowkit.runtime.calls import Again
from flowkit.runtime.positions import step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowkit.core.net import Net
    from flowkit.runtime.calls import Call

    Test = Callable[[Any], object]

__all__ = ["repeating_calls"]


def repeating_calls(
    calls: Sequence[Call], net: Net, tests: Mapping[str, Test]
) -> tuple[Call, ...]:
    """The calls of a flow, those with a test asked before or after each turn."""
    return tuple(
        _repeating(call, tests[node.name], first=node.step.test == "while")
        if node.name in tests
        else call
        for call, node in zip(calls, net.nodes, strict=True)
    )


def _repeating(call: Call, test: Test, *, first: bool) -> Call:
    changed = copy(call)
    wrap = _async_step if call.is_async else _plain_step
    changed.function = wrap(call.function, test, first)
    return changed


def _skips(flow: Any, test: Test, first: bool) -> bool:  # noqa: FBT001 - private
    """Whether there is no turn at all."""
    if not first or step_of(flow, "while_")[1].turn > 1:
        return False
    return not test(flow.state)


def _ended(flow: Any, test: Test, first: bool, output: Any) -> Any:  # noqa: FBT001
    again = bool(test(flow.state)) is first
    return Again(output) if again else output


def _plain_step(
    function: Callable[..., Any],
    test: Test,
    first: bool,  # noqa: FBT001
) -> Callable[..., Any]:
    def step(flow: Any, *args: Any, **kwargs: Any) -> Any:
        if _skips(flow, test, first):
            return None
        output = function(flow, *args, **kwargs)
        if hasattr(output, "__await__"):  # a policy has it awaited
            return _awaited(flow, test, first, output)
        return _ended(flow, test, first, output)

    return step


async def _awaited(flow: Any, test: Test, first: bool, output: Any) -> Any:  # noqa: FBT001
    return _ended(flow, test, first, await output)


def _async_step(
    function: Callable[..., Any],
    test: Test,
    first: bool,  # noqa: FBT001
) -> Callable[..., Any]:
    async def step(flow: Any, *args: Any, **kwargs: Any) -> Any:
        if _skips(flow, test, first):
            return None
        return _ended(flow, test, first, await function(flow, *args, **kwargs))

    return step
