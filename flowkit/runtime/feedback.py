"""Reviews of steps: who is asked, what an answer means, and how a run waits for it.

A reviewed step's function is wrapped once, when its class is compiled; other steps
know nothing of it. The wrapper calls the method, asks the provider and gives a
:class:`~flowkit.runtime.calls.Reviewed`, which a commit unpacks. A provider that
raises :class:`~flowkit.runtime.people.HumanFeedbackPending` pauses the step.
"""

from __future__ import annotations

import re
from contextvars import copy_context
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from flowkit.core.records import StepAsked, StepFinished
from flowkit.errors import FeedbackError
from flowkit.runtime import desk, persisting, providers, signals
from flowkit.runtime.calls import Reviewed, labels_of
from flowkit.runtime.clock import now
from flowkit.runtime.initial import state_id
from flowkit.runtime.loops import forget_loop
from flowkit.runtime.people import (
    HumanFeedbackPending,
    HumanFeedbackResult,
    PendingFeedbackContext,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from flowkit.core.marking import Firing
    from flowkit.define.marks import Review
    from flowkit.runtime.calls import Call
    from flowkit.runtime.handle import Handle
    from flowkit.runtime.run import Run

__all__ = [
    "decided",
    "outcome_in",
    "outcome_of",
    "paused",
    "pauses_of",
    "review_of",
    "reviewed_calls",
    "settle",
    "unmeant",
]

MOST_ASKED = 3


def reviewed_calls(
    calls: Sequence[Call], reviews: dict[str, Review], names: Sequence[str]
) -> tuple[Call, ...]:
    """The calls of a flow, those of reviewed steps with the review behind them."""
    return tuple(
        _reviewed(call, name, reviews[name]) if name in reviews else call
        for call, name in zip(calls, names, strict=True)
    )


def _reviewed(call: Call, name: str, review: Review) -> Call:
    changed = copy(call)
    wrap = _async_step if call.is_async else _plain_step
    changed.function = wrap(call.function, name, review)
    return changed


def _plain_step(
    function: Callable[..., Any], name: str, review: Review
) -> Callable[..., Any]:
    def step(flow: Any, *args: Any, **kwargs: Any) -> Any:
        output = function(flow, *args, **kwargs)
        if hasattr(output, "__await__"):
            return _awaited(flow, name, review, output)
        provider = _provider(review)
        talk, asked = _begun(flow, name, review, output)
        while True:
            got = _turn(provider, flow, talk, asked)
            if hasattr(got, "__await__"):
                return _answered(provider, flow, talk, got)
            if type(got) is Reviewed:
                return got
            asked = got

    return step


def _async_step(
    function: Callable[..., Any], name: str, review: Review
) -> Callable[..., Any]:
    async def step(flow: Any, *args: Any, **kwargs: Any) -> Any:
        return await _awaited(flow, name, review, function(flow, *args, **kwargs))

    return step


async def _awaited(flow: Any, name: str, review: Review, body: Any) -> Reviewed:
    output = await body
    provider = _provider(review)
    talk, asked = _begun(flow, name, review, output)
    return await _in_threads(provider, flow, talk, asked)


async def _answered(provider: Any, flow: Any, talk: Any, answer: Any) -> Reviewed:
    """The rest of a review whose provider gave a coroutine."""
    got = await _in_thread(partial(_advance, talk, await answer))
    if type(got) is Reviewed:
        return got
    return await _in_threads(provider, flow, talk, got)


async def _in_threads(provider: Any, flow: Any, talk: Any, asked: Any) -> Reviewed:
    while True:
        got = await _in_thread(partial(_turn, provider, flow, talk, asked))
        if hasattr(got, "__await__"):
            got = await _in_thread(partial(_advance, talk, await got))
        if type(got) is Reviewed:
            return got
        asked = got


async def _in_thread(function: Callable[[], Any]) -> Any:
    from flowkit.runtime.threads import Threads, pool

    context = copy_context()
    context.run(forget_loop)
    threads: Threads = pool
    return await threads.run(partial(context.run, function), _late)


def _late(value: Any, error: BaseException | None) -> None:
    """The step was cancelled; an answer after that counts for nothing."""
    if hasattr(value, "close") and hasattr(value, "__await__"):
        value.close()
    signals.log().info("a review ended after its step was cancelled")


def _provider(review: Review) -> Any:
    if review.provider is not None:
        return review.provider
    if providers.flow_config.hitl_provider is not None:
        return providers.flow_config.hitl_provider
    return providers.ConsoleProvider()


def _begun(
    flow: Any, name: str, review: Review, output: Any
) -> tuple[Any, PendingFeedbackContext]:
    """A review that has begun, and what is asked first."""
    cls = type(flow)
    context = PendingFeedbackContext(
        flow_id=state_id(flow._flowkit.state),
        flow_class=f"{cls.__module__}.{cls.__qualname__}",
        method_name=name,
        method_output=output,
        message=review.message,
        emit=list(review.emit) or None,
        default_outcome=review.default,
        metadata=dict(review.metadata or {}),
        llm=review.llm,
    )
    node = flow._flowkit.run.net.definition.step(name)
    routes = bool(node and node.router and not review.emit)
    talk = _talk(context, routes=routes)
    asked = {"message": review.message, "output": output, "emit": context.emit}
    scope = flow._flowkit
    if scope.run.mention is not None:  # somebody reads the run's stream
        scope.run.mention(scope.firing, "human_feedback_requested", asked)
    return talk, next(talk)


def _talk(
    context: PendingFeedbackContext, *, routes: bool
) -> Generator[PendingFeedbackContext, str, Reviewed]:
    """One review: what is asked goes out, answers come in, the result is returned."""
    asked, text = context, ""
    for _ in range(MOST_ASKED):
        text = yield asked
        outcome = outcome_of(text, context)
        if outcome is not None or not context.emit:
            return review_of(text, outcome, context, routes=routes)
        message = f"{_unclear(text, context.emit)} {context.message}"
        asked = replace(context, message=message)
    raise FeedbackError(_no_outcome(text, context))


def _turn(provider: Any, flow: Any, talk: Any, asked: PendingFeedbackContext) -> Any:
    """Ask once: the result, what is asked next, or a coroutine with the answer."""
    answer = provider.request_feedback(asked, flow)
    return answer if hasattr(answer, "__await__") else _advance(talk, answer)


def _advance(talk: Any, answer: Any) -> Any:
    try:
        return talk.send(str(answer))
    except StopIteration as end:
        return end.value


def review_of(
    text: str,
    outcome: str | None,
    context: PendingFeedbackContext,
    *,
    routes: bool = False,
) -> Reviewed:
    """What a reviewed step leaves.

    Args:
        text: the answer.
        outcome: what it means; None without ``emit``.
        context: what was asked.
        routes: the method is a router of its own.
    """
    output = context.method_output
    name, metadata = context.method_name, context.metadata
    result = HumanFeedbackResult(
        output, text, outcome, method_name=name, metadata=dict(metadata)
    )
    if outcome is not None:
        return Reviewed(output, (outcome,), result)
    return Reviewed(result, labels_of(output) if routes else (), result)


def outcome_of(text: str, context: PendingFeedbackContext) -> str | None:
    """Which outcome an answer means; None if that is not clear, or nothing to choose.

    In this order: nothing said is the default; the name of one; the name of exactly
    one in it, as words that nothing negates; what a callable ``llm`` says.
    """
    return outcome_in(text, context.emit, context.default_outcome, context.llm)


def outcome_in(
    text: str, outcomes: Sequence[str] | None, default: str | None, llm: Any
) -> str | None:
    """The same, by the parts of the context it takes."""
    if not outcomes:
        return None
    if not text.strip():
        return default or outcomes[0]
    found = _named(text, outcomes) or _mentioned(text, outcomes)
    if found is None and callable(llm):
        found = _named(str(llm(text, list(outcomes))), outcomes)
    return found


def _named(text: str, outcomes: Sequence[str]) -> str | None:
    """The outcome of that name, white space and case aside."""
    if text in outcomes:
        return text
    wanted = _folded(text)
    same = [each for each in outcomes if _folded(each) == wanted]
    return same[0] if len(same) == 1 else None


def _folded(text: str) -> str:
    return " ".join(re.split(r"[\s_-]+", text.strip().strip(".!").casefold()))


_NEGATED = re.compile(
    r"\b(?:not|no|never|nor|neither|without|cannot|hardly|\w+n['\u2019]t)\b[^.,;:!?]*$"
)


def _mentioned(text: str, outcomes: Sequence[str]) -> str | None:
    """The one outcome whose name stands in the text and is not negated."""
    words = text.casefold()
    places: list[tuple[int, int, str]] = []
    for each in outcomes:
        parts = [re.escape(part) for part in _folded(each).split(" ")]
        name = r"(?<!\w)" + r"[\s_-]+".join(parts) + r"(?!\w)"
        places += [(*found.span(), each) for found in re.finditer(name, words)]
    outer = [
        (begin, each)
        for begin, end, each in places
        if not any(
            b <= begin and end <= e and (b, e) != (begin, end) for b, e, _ in places
        )
    ]
    if len({each for _, each in outer}) != 1:
        return None
    if any(_NEGATED.search(words[:begin]) for begin, _ in outer):
        return None
    return outer[0][1]


def _unclear(text: str, outcomes: Sequence[str]) -> str:
    return f"{text!r:.80} is none of {', '.join(outcomes)}."


def _no_outcome(text: str, context: PendingFeedbackContext) -> str:
    return unmeant(text, context.method_name, context.emit or ())


def unmeant(text: str, method: str, outcomes: Sequence[str]) -> str:
    """One sentence on an answer that means no outcome."""
    said = ", ".join(map(repr, outcomes))
    return (
        f"The feedback {text!r:.200} on {method} is none of its outcomes "
        f"{said}. Answer with one of them, or give @human_feedback(llm=..) a "
        f"function (text, outcomes) -> outcome."
    )


def decided(
    text: str, context: PendingFeedbackContext, *, routes: bool = False
) -> Reviewed:
    """What a paused step leaves once it is answered.

    Raises:
        FeedbackError: the text means no outcome.
    """
    outcome = outcome_of(text, context)
    if outcome is None and context.emit:
        raise FeedbackError(_no_outcome(text, context))
    return review_of(text, outcome, context, routes=routes)


def paused(run: Run, firing: Firing, error: BaseException) -> bool:
    """Pause a step that raised :class:`HumanFeedbackPending`; whether it did.

    What it changed is committed, the rest of the run goes on.
    """
    if not isinstance(error, HumanFeedbackPending):
        return False
    _pause(run, firing, error)
    return True


def _pause(run: Run, firing: Firing, pending: HumanFeedbackPending) -> None:
    node, changes = firing.node, firing.driver
    context = pending.context
    try:
        changed = run.box.commit(changes, node.name)
        if not changes.view:
            changes.since = -1
        persisting.save_pending(run, context)
    except Exception as error:  # noqa: BLE001 - conflict, lost type, or a store
        run.fail(firing, error)
        return
    firing.driver = None
    run.pauses[firing.id] = pending
    token = desk.new_token()
    desk.opened(run, token)
    detail = {**context.to_dict(), **desk.said_of(token)}
    run.apply(StepAsked(now(), firing.id, 0, "feedback", detail))
    run.saved = len(run.records)
    if changed and signals.state_changed.receivers:
        state = run.box.live
        run.tell_step(signals.state_changed, firing, changed=changed, state=state)


def pauses_of(run: Handle) -> dict[int, HumanFeedbackPending]:
    """What a run waits for people with; made again if it comes from a store."""
    for number, questions in run.marking.asked.items():
        for asked in questions.values():
            if asked.verb == "feedback" and number not in run.pauses:
                context = PendingFeedbackContext.from_dict(asked.detail)
                run.pauses[number] = HumanFeedbackPending(context)
    return run.pauses


def settle(run: Run) -> None:
    """A run waits for people: what other branches did meanwhile is saved, too."""
    later = run.records[run.saved :]
    if any(type(record) is StepFinished for record in later):
        run.saved = len(run.records)
        pending = next(reversed(run.pauses.values()))
        persisting.save_pending(run, pending.context)
