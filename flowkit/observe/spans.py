"""The spans of one run in this process: its own, its steps' and their attempts'."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.observe.otel import contexts, traces
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.trace import Span, SpanContext, Tracer

    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["Ended", "Key", "OpenRun", "OpenStep", "attach", "failed"]

Key = tuple[int, str]
"""A firing and the name of its step, or of a step that it calls."""

MOST = 1_000
"""Arrivals of a run that are remembered by their sender, until a join takes them."""


class Ended(NamedTuple):
    """An attempt that is over."""

    seconds: float
    error: str = ""


class OpenStep:
    """A step that is not over.

    Attributes:
        span: the step's own.
        many: each attempt has a span of its own below it.
        attempt: that of the latest one, None if it is over or needs none.
        began: when the latest attempt did.
        turn: of a step that repeats itself.
        latest: what the next attempt links to.
    """

    def __init__(self, span: Span, *, many: bool) -> None:
        self.span = span
        self.many = many
        self.attempt: Span | None = None
        self.began: float | None = None
        self.turn: int = 1
        self.latest: SpanContext | None = None

    @property
    def current(self) -> Span:
        """What the step's body is within."""
        return self.attempt or self.span

    def begin(self, tracer: Tracer, attributes: dict[str, Any], turn: int) -> None:
        """Another attempt, or turn, begins."""
        self.turn, self.began = turn, now()
        self.span.set_attribute("flowkit.attempt", attributes["flowkit.attempt"])
        if not self.many:
            return
        if turn > 1:
            attributes = {**attributes, "flowkit.turn": turn}
        self.attempt = tracer.start_span(
            f"{attributes['flowkit.step']} attempt",
            traces.set_span_in_context(self.span),
            attributes=attributes,
            links=_links([self.latest]),
        )
        self.latest = self.attempt.get_span_context()

    def end_attempt(
        self, outcome: str, error: BaseException | None = None
    ) -> Ended | None:
        """The latest attempt is over; None if it was before."""
        began, self.began = self.began, None
        if self.attempt is not None:
            if error is not None:
                failed(self.attempt, error)
            self.attempt.set_attribute("flowkit.outcome", outcome)
            self.attempt.end()
            self.attempt = None
        if began is None:
            return None
        kind = "" if error is None else type(error).__qualname__
        return Ended(max(0.0, now() - began), kind)

    def end(self, outcome: str, error: BaseException | None = None) -> Ended | None:
        """The step is over, or waits for something outside."""
        ended = self.end_attempt(outcome, error)
        if error is not None:
            failed(self.span, error)
        self.span.set_attribute("flowkit.outcome", outcome)
        self.span.end()
        return ended


class OpenRun:
    """What is open of a run in this process, and what its next spans link to.

    Attributes:
        span: the run's own, None while it waits.
        before: its span before that one.
        steps: open ones; several of one key are calls of one function.
        past: the latest span of steps that began here.
        heard: senders of the events that woke an execution which has not begun.
    """

    def __init__(self) -> None:
        self.span: Span | None = None
        self.before: SpanContext | None = None
        self.steps: dict[Key, list[OpenStep]] = {}
        self.past: dict[Key, SpanContext] = {}
        self.heard: dict[int, list[SpanContext]] = {}
        self._arrived: OrderedDict[int, SpanContext] = OrderedDict()

    def latest(self, key: Key) -> OpenStep | None:
        """The open step of that key that began last."""
        found = self.steps.get(key)
        return found[-1] if found else None

    def take(self, key: Key) -> OpenStep | None:
        """The same, which is over now."""
        found = self.steps.get(key)
        if not found:
            return None
        step = found.pop()
        if not found:
            del self.steps[key]
        return step

    def arrived(self, tokens: Iterable[int], sender: SpanContext) -> None:
        """Remember who sent what a join may hold for a while."""
        self._arrived |= dict.fromkeys(tokens, sender)
        while len(self._arrived) > MOST:
            self._arrived.popitem(last=False)

    def open_step(
        self, tracer: Tracer, run: Run, key: Key, firing: Firing | None
    ) -> OpenStep:
        """A new span for a step; ``firing`` is None for one that is called."""
        number, name = key
        about = run.marking.live.get(number)
        above = None
        if firing is None and about is not None:
            above = self.latest((number, about.node.name))
        parent = self.span if above is None else above.current
        assert parent is not None  # noqa: S101 - the run's span is open
        senders = self.heard.pop(number, []) if firing is not None else []
        if firing is not None and firing.tokens and self._arrived:
            known = map(self._arrived.get, [each.seq for each in firing.tokens])
            senders += [each for each in known if each is not None]
        before = self.past.get(key) if firing is not None else None
        span = tracer.start_span(
            name,
            traces.set_span_in_context(parent),
            attributes=_place(run, key),
            links=_links([before, *senders]),
        )
        self.past[key] = span.get_span_context()
        step = OpenStep(span, many=firing is not None and _may_repeat(run, firing))
        self.steps.setdefault(key, []).append(step)
        return step


def failed(span: Span, error: BaseException) -> str:
    """Have a span tell an error; gives the error's kind."""
    span.record_exception(error)
    kind = type(error).__qualname__
    span.set_status(traces.Status(traces.StatusCode.ERROR, f"{kind}: {error}"))
    span.set_attribute("error.type", kind)
    return kind


def attach(run: Run, span: Span, *, own: bool) -> None:
    """Make a span the current one of the body that is about to begin."""
    context = traces.set_span_in_context(span)
    if not own:  # called by a function, whose context this is
        contexts.attach(context)
        return
    try:
        run.context.run(contexts.attach, context)
    except RuntimeError:  # it is entered just now, in another thread
        return


def _links(found: Iterable[SpanContext | None]) -> list[traces.Link]:
    """A link to each of them, once."""
    once = {each.span_id: each for each in found if each is not None}
    return [traces.Link(each) for each in once.values()]


def _may_repeat(run: Run, firing: Firing) -> bool:
    """Whether one execution of a step may be several attempts or turns."""
    if firing.attempt > 1 or firing.node.step.test:
        return True
    policy = run.compiled.policies.get(firing.node.name)
    return policy is not None and bool(policy.retry or policy.gated or policy.stages)


def _place(run: Run, key: Key) -> dict[str, Any]:
    number, name = key
    told: dict[str, Any] = {
        "flowkit.run.id": run.id,
        "flowkit.step": name,
        "flowkit.firing": number,
    }
    about = run.net.definition.step(name)
    if about is not None:
        cls = type(run.flow)
        told["code.function.name"] = f"{cls.__module__}.{cls.__qualname__}.{name}"
        if about.file:
            told["code.file.path"] = about.file
            told["code.line.number"] = about.line
    return told
