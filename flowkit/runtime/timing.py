"""The time of attempts: how long one may work, and what ends it.

An attempt is watched from the moment it first suspends, or gets a thread: a step that
never waits is never late and pays nothing. When its time is over the step is
cancelled as anything else is; what comes of it later is reported and counts for
nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from flowkit.core.durations import shown
from flowkit.core.records import RunOverdue
from flowkit.errors import DeadlineError, StepTimeoutError
from flowkit.runtime.alarm import call_at
from flowkit.runtime.clock import now
from flowkit.runtime.inherited import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.marking import Firing
    from flowkit.core.policies import Policy
    from flowkit.core.records import StepAsked
    from flowkit.errors import ShedError
    from flowkit.runtime.run import Run

__all__ = [
    "Alarm",
    "Watch",
    "ends",
    "out_of_time",
    "overdue",
    "too_late",
    "watch",
    "watch_run",
    "with_end",
]

INFINITE = float("inf")
ASKS = "ask"
"""The verb of a question to people."""
NEAR = 0.005
"""Seconds between the times at which a run begins and says that it has."""


class Watch:
    """One attempt under the limits of its policy.

    Attributes:
        begun: when it did.
        since: when the first attempt did.
        beat: when it last said that it is alive.
        error: what the attempt fails with, once its time is over.
        end_known: when it must be over, and by which limit, if it began before it
            was taken out of memory.
        endless: it asks people, who may take their time.
    """

    __slots__ = (
        "beat",
        "begun",
        "cancel",
        "end_known",
        "endless",
        "error",
        "firing",
        "policy",
        "run",
        "since",
    )

    def __init__(
        self, run: Run, firing: Firing, policy: Policy, cancel: Callable[[], object]
    ) -> None:
        self.run: Run = run
        self.firing: Firing = firing
        self.policy: Policy = policy
        self.cancel: Callable[[], object] = cancel
        self.begun: float = now()
        self.beat: float = self.begun
        self.since: float = self.begun
        self.error: StepTimeoutError | None = None
        self.end_known: tuple[float, str] | None = None
        self.endless: bool = False

    def due(self, *, idle: bool = True) -> tuple[float, str]:
        """When its time is over, as far as is known now, and by which limit.

        Args:
            idle: count its ``idle_timeout``, too.
        """
        if self.endless:
            return INFINITE, ""
        policy = self.policy
        due, limit = self.end_known or (INFINITE, "")
        if self.end_known is None and policy.timeout is not None:
            due, limit = self.begun + policy.timeout, "timeout"
        if self.end_known is None and policy.total_timeout is not None:
            due, limit = min(
                (due, limit), (self.since + policy.total_timeout, "total_timeout")
            )
        if idle and policy.idle_timeout is not None:
            due, limit = min(
                (due, limit), (self.beat + policy.idle_timeout, "idle_timeout")
            )
        return due, limit

    def end(self) -> None:
        """The attempt is over.

        Raises:
            StepTimeoutError: it was over before, because of its time.
        """
        self.run.watches.pop(self.firing.id, None)
        if self.error is not None:
            raise self.error from None


class Alarm:
    """Looks after all watched attempts of a run, with one alarm set at a time.

    It is set for the earliest end only, and looks anew when that has come: an attempt
    that begins later and may take as long sets nothing.
    """

    __slots__ = ("__weakref__", "_run", "_soon", "_take_back", "at")

    def __init__(self, run: Run, soon: Callable[..., Any]) -> None:
        self._run = run
        self._soon = soon
        self._take_back: Callable[[], None] | None = None
        self.at: float = INFINITE

    def set(self, due: float) -> None:
        """Look at the attempts at this time at the latest."""
        self.close()
        self.at = due
        alarm = ref(self)  # it keeps no run alive

        def ring() -> None:
            found = alarm()
            if found is not None:
                found.ring()

        self._take_back = call_at(due, ring)

    def ring(self) -> None:
        """Some attempt may be over; called in any thread."""
        try:
            self._soon(self.look)
        except RuntimeError:  # the loop is gone, and the run with it
            return

    def look(self) -> None:
        """End what is out of time, and set the alarm for the rest."""
        at = now()
        following = self._run.until or INFINITE
        if following <= at:
            self._run.post(partial(overdue, self._run))
            following = INFINITE
        for each in list(self._run.watches.values()):
            due, limit = each.due()
            if due > at:
                following = min(following, due)
            elif each.error is None:
                run, firing = each.run, each.firing
                each.error = out_of_time(run, firing, each.policy, limit)
                each.cancel()
        self.at = INFINITE
        if following < INFINITE:
            self.set(following)

    def close(self) -> None:
        """Ring no more."""
        take_back, self._take_back = self._take_back, None
        if take_back is not None:
            take_back()


def watch(
    run: Run,
    firing: Firing,
    cancel: Callable[[], object],
    soon: Callable[..., Any],
) -> Watch | None:
    """Watch an attempt that has begun; None if nothing limits it.

    Args:
        run: of the step.
        firing: of the step.
        cancel: ends it, on its event loop.
        soon: calls a function on that event loop, from any thread.
    """
    made = _watched(run, firing, cancel)
    policy = made.policy
    if run.questions or not (policy.total_timeout is policy.idle_timeout is None):
        due = made.due()[0]
    else:  # the usual one, at once
        due = INFINITE if policy.timeout is None else made.begun + policy.timeout
    if due == INFINITE:
        return None
    run.watches[firing.id] = made
    alarm = run.lookout
    if alarm is None:
        alarm = run.lookout = Alarm(run, soon)
    if due < alarm.at:
        alarm.set(due)
    return made


def with_end(run: Run, firing: Firing, verb: str, detail: Any) -> Any:
    """The detail of a question with when the attempt that asks must be over.

    So its time runs on where the step is not in memory. A fallback that asks people
    has the time that its question gives them.
    """
    if verb == ASKS and _stage(run, firing):
        if firing.id in run.watches:
            run.watches[firing.id].endless = True
        return detail
    known = (detail or {}).get("end")
    if known is not None and known[2] == firing.attempt:
        return detail
    found = run.watches.get(firing.id)
    due, limit = (found or _watched(run, firing, _no_cancel)).due(idle=False)
    if due == INFINITE:
        return detail
    return {**(detail or {}), "end": [due, limit, firing.attempt]}


def _no_cancel() -> None:
    """Nothing is to be cancelled."""


def ends(run: Run, asked: StepAsked, at: float) -> bool:
    """End an attempt that is not in memory and out of its time; whether it was."""
    due, limit, attempt = asked.detail["end"]
    firing = run.marking.live.get(asked.firing)
    if firing is None or firing.id in run.watches or attempt != firing.attempt:
        return False
    answered = asked.detail.get("due")
    if due > at or (answered is not None and answered <= due):
        return False
    policy = _policy(run, firing)
    if getattr(policy, limit) is None:
        return False  # the class allows more by now
    for wake in [run.parked[p] for p in [*run.parked] if p[0] == firing.id]:
        wake(None)
    run.fail(firing, out_of_time(run, firing, policy, limit))
    return True


def _stage(run: Run, firing: Firing) -> int:
    """0 for a step's own attempt, else the number of the fallback that stands in."""
    before = run.marking.deferred.get(firing.id) if run.marking.deferred else None
    return 0 if before is None else before.stage


def _policy(run: Run, firing: Firing) -> Policy:
    """What holds for the stage at which a firing stands."""
    policy: Policy = run.compiled.policies[firing.node.name]
    stage = _stage(run, firing)
    return policy.at(stage) if stage else policy


def _watched(run: Run, firing: Firing, cancel: Callable[[], object]) -> Watch:
    """An attempt and its limits; one that starts again has the time it had."""
    if run.marking.deferred:
        policy = _policy(run, firing)
    else:
        policy = run.compiled.policies[firing.node.name]
    made = Watch(run, firing, policy, cancel)
    if policy.total_timeout is not None:
        before = run.marking.deferred.get(firing.id)
        first = before.since if before is not None and before.since else made.begun
        made.since = run.begun.setdefault(firing.id, first)
    for place in run.questions:
        if place[0] != firing.id:
            continue
        asked = run.questions[place]
        end = (asked.detail or {}).get("end")
        if asked.verb == ASKS and _stage(run, firing):
            made.endless = True
        elif end is not None and end[2] == firing.attempt:
            made.end_known = end[0], end[1]
    return made


def out_of_time(
    run: Run, firing: Firing, policy: Policy, limit: str
) -> StepTimeoutError:
    """The error of an attempt that has taken too long."""
    name = f"{run.net.definition.name}.{firing.node.name}"
    seconds: float = getattr(policy, limit)
    what = {
        "timeout": f"was at work longer than its timeout of {shown(seconds)}",
        "total_timeout": (
            f"took longer than its total_timeout of {shown(seconds)}, all attempts "
            f"counted"
        ),
        "idle_timeout": (f"gave no heartbeat for its idle_timeout of {shown(seconds)}"),
    }[limit]
    cure = {
        "idle_timeout": "Call self.heartbeat() in it while it makes progress",
    }.get(limit, "Give it more time, or find out what it waits for")
    text = (
        f"{name} {what}. {cure}; a step that listens to {firing.node.name}.timeout "
        f"can go on instead. ({firing.node.step.place})"
    )
    return StepTimeoutError(text, step=name, limit=limit, seconds=seconds)


def watch_run(run: Run, soon: Callable[..., Any]) -> None:
    """Have a run's deadline looked after while it is at work here."""
    if run.until is not None:
        run.lookout = Alarm(run, soon)
        run.lookout.set(run.until)


def overdue(run: Run) -> None:
    """A run's deadline has come: it fails, if it is not over."""
    if run.over or run.marking.undoing is not None:
        return
    error = too_late(run)
    run.until = None  # undoing takes the time it takes
    run.context.run(until.set, None)
    run.failures.append(error)
    run.apply(RunOverdue(now(), error))


def too_late(run: Run) -> DeadlineError | ShedError:
    """The error of a run that was not over in time."""
    if run.admission is not None and (shed := run.admission.shed(run)) is not None:
        error: ShedError = shed
        return error
    name = run.net.definition.name
    live = dict.fromkeys(each.node.name for each in run.marking.live.values())
    be = "were" if len(live) > 1 else "was"
    what = f"{' and '.join(live)} {be} not done"
    if not live:
        what = f"it waited for {' and '.join(run.awaits) or 'nothing'}"
    whose = "the deadline of the run that called it"
    begun = run.records[0].at if run.records else 0.0
    own = run.limit is not None and begun + run.limit - (run.until or 0.0) < NEAR
    if own and run.limit is not None:
        whose = f"its deadline, {shown(run.limit)} after it began"
    return DeadlineError(
        f"{name} was not over at {whose}; {what}. Give it more time (deadline=), or "
        f"find out what it waits for."
    )
