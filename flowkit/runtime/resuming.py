"""A pause that goes on: from a stored context, and with an answer."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from flowkit.core.marking import Firing, Marking
from flowkit.core.net import net_of
from flowkit.core.records import StepAsked
from flowkit.errors import RunError
from flowkit.runtime import persisting
from flowkit.runtime.blocking import drive_blocking
from flowkit.runtime.clock import now
from flowkit.runtime.feedback import decided, pauses_of
from flowkit.runtime.kinds import known
from flowkit.runtime.launch import keeper_for, store_of
from flowkit.runtime.loops import in_running_loop
from flowkit.runtime.people import HumanFeedbackPending
from flowkit.runtime.reviewed import end
from flowkit.runtime.run import Run

if TYPE_CHECKING:
    from flowkit.runtime.calls import Reviewed
    from flowkit.runtime.people import PendingFeedbackContext

__all__ = [
    "from_pending",
    "pending_context",
    "resume",
    "resume_async",
    "reviews",
]

IN_LOOP = (
    "resume() cannot be called from within an async context. Use "
    "'await flow.resume_async(feedback)' instead."
)
NONE_PENDING = (
    "No pending feedback context. Make the flow with from_pending(flow_id), or kick "
    "one off that pauses."
)


def from_pending(
    cls: type,
    flow_id: str,
    persistence: Any,
    method: str | None,
    keywords: dict[str, Any],
) -> Any:
    """A flow object that waits where a stored pause stands.

    Where the run is in a store, with the position it has there; else the position is
    the end of the step that the context names.

    Raises:
        ValueError: nothing is stored under that id, or its step is gone.
    """
    if persistence is not None and _takes_persistence(cls):
        keywords = {**keywords, "persistence": persistence}
    flow = cls(**keywords)
    if persistence is not None and flow.persistence is not persistence:
        flow.__dict__["persistence"] = persistence
    if _stored_run(flow, flow_id):
        _choose(flow._flowkit.run, flow_id, method)
        return flow
    backend = persisting.own_or_default(flow)
    found = backend.load_pending_feedback(flow_id)
    if found is None:
        msg = f"No pending feedback found for flow_id: {flow_id}"
        raise ValueError(msg)
    state, context = found
    scope = flow._flowkit
    fields = {} if isinstance(state, dict) else {"id": getattr(state, "id", flow_id)}
    stored = {"id": flow_id, **dict(state), **fields}
    persisting.lay_over(scope.box, stored, None, cls.__name__)
    scope.run = _paused_run(flow, context)
    _choose(scope.run, flow_id, method)
    return flow


def _choose(run: Run, flow_id: str, method: str | None) -> None:
    """Make the pause of that step the one that is answered next."""
    if method is None:
        return
    for number, pending in run.pauses.items():
        if pending.context.method_name == method:
            run.pauses[number] = run.pauses.pop(number)
            return
    msg = f"No pending feedback found for flow_id: {flow_id}, method: {method}"
    raise ValueError(msg)


def _stored_run(flow: Any, flow_id: str) -> bool:
    """Bring the run with that state id out of the flow's store, if it waits there.

    It has its whole position, and all of its pauses.
    """
    store, _ = store_of(flow)
    if store is None:
        return False
    from flowkit.runtime.durable import flow_name
    from flowkit.runtime.opening import load, store_for

    opened = store_for(store)
    row = opened.by_state(flow_name(type(flow)), flow_id)
    if row is None or row.status != "waiting":
        return False
    run = load(flow, opened, row)
    if run.journal is not None:
        run.journal.leave(run)
    return bool(pauses_of(run))


def _takes_persistence(cls: Any) -> bool:
    parameters = inspect.signature(cls.__init__).parameters
    return "persistence" in parameters or any(
        each.kind is each.VAR_KEYWORD for each in parameters.values()
    )


def _paused_run(flow: Any, context: PendingFeedbackContext) -> Run:
    """A run in which that step has ended and waits; nothing else is in flight."""
    cls = type(flow)
    kind = known[cls]
    scope = flow._flowkit
    run = Run(flow, scope, kind.compiled, kind.calls)
    run.keeper = keeper_for(flow, kind)
    definition = kind.compiled.definition
    step = definition.step(context.method_name)
    if step is None:
        msg = (
            f"The pending feedback for flow_id: {context.flow_id} is on "
            f"{context.method_name!r}, which is no step of {cls.__name__}."
        )
        raise ValueError(msg)
    if context.emit and not step.router:
        labels = tuple(context.emit)
        router = step._replace(router=True, labels=labels, single=True)
        steps = tuple(router if each is step else each for each in definition.steps)
        run.net = net_of(definition._replace(steps=steps))
    index = next(i for i, each in enumerate(definition.steps) if each is step)
    asked = StepAsked(now(), 1, 0, "feedback", context.to_dict())

    def first() -> Marking:
        marking = Marking(len(run.net.nodes))
        marking.live[1] = Firing(1, run.net.nodes[index], None, None)
        marking.next_firing = 2
        marking.asked[1] = {0: asked}
        marking.status = "waiting"
        return marking

    run.first = first
    run.marking = first()
    run.pauses[1] = HumanFeedbackPending(context)
    return run


def pending_context(flow: Any) -> PendingFeedbackContext | None:
    """What the latest open pause of a flow object asks, or None."""
    run = flow._flowkit.run
    if run is None or run.over:
        return None
    pending = next(reversed(pauses_of(run).values()), None)
    return None if pending is None else pending.context


def reviews(flow: Any) -> list[Any]:
    """What people said to a flow object, in order."""
    found: list[Any] = flow._flowkit.options.setdefault("reviews", [])
    return found


def resume(flow: Any, feedback: str) -> Any:
    """Go on with an answer; blocks."""
    if in_running_loop():
        raise RuntimeError(IN_LOOP)
    run = _answer(flow, feedback)
    drive_blocking(run, known[type(flow)].backend)
    return run.outcome()


async def resume_async(flow: Any, feedback: str) -> Any:
    """Go on with an answer."""
    from flowkit.runtime.runner import drive  # anyio, once a loop is needed

    run = _answer(flow, feedback)
    await drive(run)
    return run.outcome()


def _answer(flow: Any, feedback: str) -> Run:
    """The paused step ends with this answer; its listeners are ready."""
    run: Run | None = flow._flowkit.run
    if run is None or run.over or not pauses_of(run):
        raise ValueError(NONE_PENDING)
    if run.active:
        msg = f"This {type(flow).__name__} object still runs; wait until it has paused."
        raise RunError(msg)
    if run.journal is not None:
        run.journal.acquire(run)
    number, pending = next(reversed(run.pauses.items()))
    context = pending.context
    firing = run.marking.live[number]
    reviewed = _reviewed(run, context, str(feedback), routes=firing.node.router)
    end(run, firing, reviewed, context)
    return run


def _reviewed(
    run: Run, context: PendingFeedbackContext, feedback: str, *, routes: bool
) -> Reviewed:
    """What the step leaves; a function that was given as ``llm`` is found again."""
    review = run.compiled.reviews.get(context.method_name)
    if review is not None and callable(review.llm):
        from dataclasses import replace  # only for a function

        context = replace(context, llm=review.llm)
    return decided(feedback, context, routes=routes)
