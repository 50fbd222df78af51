"""``self.call(Other, inputs)``: another flow as a part of a step, answered once.

The called run has an id made of the caller's run, firing and position: a step that
starts again finds it under that id, goes on with it, or is given its outcome. If it
waits for long, the caller waits like for an event, which its end sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.errors import RunError
from flowkit.runtime.verbs import (
    OPEN,
    Asking,
    Question,
    known_answer,
    position_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["call", "ended_name"]


def ended_name(run_id: str) -> str:
    """The event that the end of a called run sends to its caller."""
    return f"run:{run_id}"


def call(flow: Any, other: Any, inputs: Mapping[str, Any] | None) -> Any:
    """Run another flow within a step; to be awaited in an async step."""
    if hasattr(other, "__flowkit_class__"):  # a function flow
        inputs, other = other.arguments.bound((), inputs or {}), other.flow_class
    target = other() if isinstance(other, type) else other
    if not hasattr(target, "_flowkit"):
        msg = (
            f"{type(flow).__name__}.call(..) runs a flow: give a Flow class or object, "
            f"not {other!r}."
        )
        raise RunError(msg)
    run, firing, position = position_of(flow, "call")
    child = f"{run.id}:{firing.id}:{position}"
    name = type(target).__name__
    detail = {"names": [ended_name(child)], "key": None}
    question = Question("call", detail, _result, [name])
    answer = known_answer(run, firing, position, question)
    is_async = run.calls[firing.node.index].is_async
    if answer is not OPEN:
        return _ready(_result(answer)) if is_async else _result(answer)
    options = {"created_by": f"call {run.id}", "parent": run.id}
    if run.journal is not None:
        target._flowkit.options["store"] = run.journal.store
    else:
        child, options = "", {}
    target._flowkit.options["call"] = options
    asking = Asking(run, firing, position, question)
    made = _Call(asking, target, inputs, child)
    return made if is_async else made.block()


async def _ready(value: Any) -> Any:
    return value


class _Call:
    """One call: awaited, or blocking in a synchronous step."""

    def __init__(self, asking: Asking, target: Any, inputs: Any, child: str) -> None:
        self.asking = asking
        self.target = target
        self.inputs = inputs
        self.child = child

    def __await__(self) -> Any:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        await self.asking.ask()
        if self.asking.answered:
            return self.asking.value()
        try:
            if self.child:
                result = await self.target.kickoff_async(self.inputs, id=self.child)
            else:
                result = await self.target.kickoff_async(self.inputs)
        except Exception as error:  # noqa: BLE001 - the same again after a restart
            await self.asking.answer(["call", "", {"error": error}])
        else:
            if self.child and result is self.target._flowkit.run:
                return await self.asking.wait()
            await self.asking.answer(["call", "", {"result": result}])
        return self.asking.value()

    def block(self) -> Any:
        self.asking.ask_blocking()
        if self.asking.answered:
            return self.asking.value()
        try:
            if self.child:
                result = self.target.kickoff(self.inputs, id=self.child)
            else:
                result = self.target.kickoff(self.inputs)
        except Exception as error:  # noqa: BLE001 - the same again after a restart
            self.asking.answer_blocking(["call", "", {"error": error}])
        else:
            if self.child and result is self.target._flowkit.run:
                return self.asking.wait_blocking()
            self.asking.answer_blocking(["call", "", {"result": result}])
        return self.asking.value()


def _result(answer: Any) -> Any:
    """What a call gives, or raises, from its recorded answer."""
    found = answer[2]
    if "error" in found:
        raise found["error"]
    return found.get("result")
