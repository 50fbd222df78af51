"""After a failed attempt: whether a step is tried again, and when.

Loaded when a step that has policies fails. Each decision is a record: a run that is
made again from its journal stands where it stood, however long the wait.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from flowkit.core.durations import shown
from flowkit.core.kinds import wanted
from flowkit.core.marking import DEFERRED
from flowkit.core.policies import next_delay
from flowkit.core.records import CallEnded, StepAsked, StepDeferred, StepHit
from flowkit.errors import PoisonedStepError, TryAgain
from flowkit.runtime import signals
from flowkit.runtime.clock import now
from flowkit.runtime.failing import take_back
from flowkit.runtime.positions import RETRY

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.core.policies import Policy, Retry
    from flowkit.runtime.durable import Journal
    from flowkit.runtime.run import Run

__all__ = [
    "asked_wait",
    "defer",
    "due_again",
    "fail_poisoned",
    "forget",
    "forget_tries",
    "is_poisoned",
    "log_again",
    "recovers",
    "wake",
]

_OPEN: Any = object()
"""Stands for an answer that has not come."""


def recovers(  # noqa: PLR0911 - one way out after another
    run: Run, firing: Firing, error: BaseException
) -> bool:
    """Try a step again that has failed, if its policy says so; whether it does."""
    whole = run.compiled.policies.get(firing.node.name)
    if whole is None:
        return False
    if whole.cache is not None:
        from flowkit.runtime.cached import Hit  # only who keeps results

        if isinstance(error, Hit):
            _hit(run, firing, error.value)
            return True
    before = run.marking.deferred.get(firing.id)
    at = now()
    since = run.begun.get(firing.id) or (before.since if before else at)
    if before is None:
        before = StepDeferred(at, firing.id, at, since=since)
    before = before._replace(at=at, since=since)
    if whole.gated:
        from flowkit.runtime.protection import Postponed  # only who has limits

        if isinstance(error, Postponed):
            due = error.due
            defer(run, firing, before._replace(due=due, why="rate", error=None))
            return True
    if before.stage and isinstance(error, TryAgain):
        defer(run, firing, StepDeferred(at, firing.id, at, "again", error))
        return True
    policy = whole.at(before.stage)
    tried = before._replace(why="retry", error=error, tries=before.tries + 1)
    if policy.retry is not None and _tries_again(run, firing, policy, tried):
        return True
    run.begun.pop(firing.id, None)
    following = whole.next_stage(before.stage, error)
    if following is None:
        return False
    defer(
        run,
        firing,
        StepDeferred(at, firing.id, at, "fallback", error, stage=following),
    )
    return True


def _hit(run: Run, firing: Firing, value: Any) -> None:
    """Finish a firing with a result that was kept."""
    run.apply(StepHit(now(), firing.id))
    if signals.cache_hit.receivers:
        step, attempt = firing.node.name, firing.attempt
        run.tell(signals.cache_hit, step=step, firing=firing.id, attempt=attempt)
    run.finish(firing, value)


def _tries_again(run: Run, firing: Firing, policy: Policy, tried: StepDeferred) -> bool:
    """Begin another attempt; if there is none, the error is told why."""
    step = firing.node.name
    due = due_again(run, step, f"{run.id}:{firing.id}", policy, tried)
    if due is None:
        return False
    log_again(run, firing, step, firing.attempt, tried, due)
    defer(run, firing, tried._replace(due=due))
    return True


def due_again(
    run: Run, step: str, seed: str, policy: Policy, tried: StepDeferred
) -> float | None:
    """When another attempt begins; None if there is none, and the error is told why.

    Args:
        run: of the step.
        step: its name.
        seed: of its jitter, the same whenever this is decided.
        policy: that has a retry.
        tried: what was tried so far.
    """
    retry: Any = policy.retry
    error: Any = tried.error
    why = f"after {tried.tries} attempts" if tried.tries > 1 else ""
    if tried.tries < retry.attempts and _is_wanted(retry, error):
        due = tried.at + _delay(seed, retry, tried.tries, error)
        total = policy.total_timeout
        if total is not None and due >= tried.since + total:
            error.add_note(
                f"flowkit: given up, as its total_timeout of {shown(total)} leaves no "
                f"time for another attempt"
            )
        elif not _budgeted(run, step, retry):
            why = f"as its budget of retries, {retry.budget}, is used up"
        else:
            return due
    if why:
        error.add_note(f"flowkit: given up {why}")
    return None


def log_again(  # noqa: PLR0917 - what is tried, and when
    run: Run, firing: Firing, step: str, attempt: int, tried: StepDeferred, due: float
) -> None:
    """Log that a step is tried again, and free what its error holds."""
    error: Any = tried.error
    text = "%s failed at attempt %s and is tried again in %s"
    name = f"{run.net.definition.name}.{step}"
    wait = shown(round(due - tried.at, 3))
    about = signals.about(run, firing)
    signals.log().info(text, name, attempt, wait, exc_info=error, extra=about)
    error.with_traceback(None)  # else the run keeps the frames of every try


def _budgeted(run: Run, step: str, retry: Retry) -> bool:
    """Whether the budget of retries allows one more."""
    if retry.budget is None:
        return True
    from flowkit.runtime.shared import shared_rate  # only who has a budget

    cls = type(run.flow)
    place = f"{cls.__module__}:{cls.__qualname__}.{step} retries"
    return shared_rate(retry.budget, place)


def is_poisoned(run: Run, number: int) -> bool:
    """Whether a firing has ended its process as often as it may."""
    policy = run.compiled.policies.get(run.marking.live[number].node.name)
    if policy is None or policy.max_starts is None:
        return False
    return run.starts.get(number, 1) >= policy.max_starts


def fail_poisoned(run: Run, journal: Journal, firings: list[Firing]) -> None:
    """Have firings fail that would end their process once more."""
    for firing in firings:
        name = f"{run.net.definition.name}.{firing.node.name}"
        count = run.starts.get(firing.id, 1)
        times = "once" if count == 1 else f"{count} times"
        error = PoisonedStepError(
            f"{name} was started {times}, and its process ended each time before it "
            f"did. Find out what it does to the process (memory, a crash in C), then "
            f"resume the run. ({firing.node.step.place})"
        )
        run.fail(firing, error)
        journal.wait(run)


def _is_wanted(retry: Retry, error: BaseException) -> bool:
    """Whether this error is tried again; a function that raises says no."""
    try:
        return wanted(retry.on, error)
    except Exception as fault:  # noqa: BLE001 - the function is the user's
        error.add_note(
            f"flowkit: Retry(on={getattr(retry.on, '__name__', retry.on)}) could not "
            f"say whether to try again: {type(fault).__name__}: {fault}"
        )
        return False


def _delay(seed: str, retry: Retry, tries: int, error: BaseException) -> float:
    number = int.from_bytes(blake2b(seed.encode(), digest_size=8).digest(), "big")
    delay = next_delay(retry, tries, number)
    asked = asked_wait(error) if retry.retry_after else None
    return delay if asked is None else max(delay, asked)


def asked_wait(error: BaseException) -> float | None:
    """Seconds that an error asks to wait, None if it asks for nothing.

    Its own ``retry_after`` (seconds, or a ``timedelta``), or ``Retry-After`` among
    the headers of its ``response``: seconds, or a date (RFC 9110, 10.2.3).
    """
    own = getattr(error, "retry_after", None)
    if own is None:
        headers = getattr(getattr(error, "response", None), "headers", None)
        read = getattr(headers, "get", None)
        own = None if read is None else read("Retry-After") or read("retry-after")
    total = getattr(own, "total_seconds", None)
    if total is not None:
        own = total()
    if isinstance(own, str):
        own = _header(own)
    if isinstance(own, int | float) and not isinstance(own, bool) and own >= 0:
        return float(own) if own < float("inf") else None
    return None


def _header(text: str) -> float | None:
    if text.strip().isdecimal():
        return float(text)
    from email.utils import parsedate_to_datetime  # only for a date

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now())
    except ValueError:
        return None


def defer(run: Run, firing: Firing, record: StepDeferred) -> None:
    """Have a firing begin again at its time; what the attempt did is forgotten."""
    attempt = firing.attempt
    take_back(run, firing)
    if run.children is not None:
        run.children.drop(firing)
    firing.driver = None
    run.asked.pop(firing.id, None)
    forget(run, record)
    if run.metered is not None:
        record = record._replace(metrics=run.measured(firing.id))
    run.apply(record)
    if record.due > record.at and len(run.marking.live) > 1:
        from flowkit.runtime.alarm import call_at  # only beside other work

        call_at(record.due, lambda: _nudge(run))
    if signals.step_deferred.receivers:
        run.tell(
            signals.step_deferred,
            step=firing.node.name,
            firing=firing.id,
            attempt=attempt,
            why=record.why,
            error=record.error,
            due=record.due,
            metrics=dict(record.metrics),
        )


def _nudge(run: Run) -> None:
    if run.active and not run.over and run.hurry is not None:
        run.post(lambda: wake(run))


def wake(run: Run) -> None:
    """Begin again what is due, while other steps of the run are at work."""
    at = now()
    for number, asked in list(run.marking.asked.items()):
        waiting = asked.get(DEFERRED)
        if waiting is not None and waiting.detail["due"] <= at:
            run.answer(number, DEFERRED, None)


def forget(run: Run, record: StepDeferred) -> None:
    """Ask anew what a failed attempt was refused, and what it asked after that.

    What it was answered well it is answered again: nobody is asked twice, unless the
    step begins anew. A call that was under way is made anew: it was withdrawn.
    """
    if not (run.answers or run.questions):
        return
    firing = record.firing
    forget_tries(run, firing)
    every = [each for each in (*run.answers, *run.questions) if each[0] == firing]
    wrong = [
        place[1]
        for place in every
        if place[1] != DEFERRED and (record.why == "again" or _went_wrong(run, place))
    ]
    if not wrong:
        return
    first = min(wrong)
    for kept in (run.answers, run.questions):
        for place in [*kept]:
            if place[0] == firing and place[1] >= first:
                del kept[place]


def forget_tries(run: Run, firing: int) -> None:
    """The failed attempts of calls that have no result count no more."""
    for place, asked in list(run.questions.items()):
        if place[0] != firing or asked.verb != RETRY:
            continue
        detail: Any = asked.detail
        if (firing, detail["call"]) not in run.questions:
            del run.questions[place]
            run.answers.pop(place, None)


def _went_wrong(run: Run, place: tuple[int, int]) -> bool:
    answer, question = run.answers.get(place, _OPEN), run.questions.get(place)
    if type(answer) is CallEnded:
        return answer.error is not None
    verb = question.verb if type(question) is StepAsked else ""
    if verb == "compensate":
        return False  # it is asked anew by itself
    if answer is _OPEN:
        return verb == "call"
    if isinstance(answer, list) and answer[:1] == ["call"]:
        return "error" in answer[2]
    return verb not in {"", "sleep", "retry"} and answer is None
