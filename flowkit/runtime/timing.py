"""The time of attempts: how long one may work, and what ends it.

An attempt is watched from the moment it first suspends, or gets a thread: a step that
never waits is never late and pays nothing. When its time is over the step is
cancelled as anything else is; what comes of it later is reported and counts for
nothing.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from flowkit.core.durations import shown
from flowkit.core.policies import TIMES
from flowkit.errors import StepTimeoutError
from flowkit.runtime.alarm import call_at
from flowkit.runtime.clock import now
from flowkit.runtime.verbs import step_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.marking import Firing
    from flowkit.core.policies import Policy
    from flowkit.runtime.run import Run

__all__ = ["Watch", "heartbeat", "out_of_time", "watch"]


class Watch:
    """One attempt under the limits of its policy.

    Attributes:
        error: what the attempt fails with, once its time is over.
        beat: when it last said that it is alive.
    """

    __slots__ = (
        "_cancel",
        "_limit",
        "_soon",
        "_take_back",
        "beat",
        "begun",
        "ended",
        "error",
        "firing",
        "policy",
        "run",
        "since",
    )

    def __init__(
        self,
        run: Run,
        firing: Firing,
        policy: Policy,
        cancel: Callable[[], object],
        soon: Callable[..., Any],
    ) -> None:
        self.run: Run = run
        self.firing: Firing = firing
        self.policy: Policy = policy
        self.begun: float = now()
        self.beat: float = self.begun
        before = run.marking.deferred.get(firing.id)
        first = before.since if before is not None and before.since else self.begun
        self.since: float = first
        if policy.total_timeout is not None:
            self.since = run.begun.setdefault(firing.id, first)
        self.error: StepTimeoutError | None = None
        self.ended: bool = False
        self._cancel = cancel
        self._soon = soon
        run.watches[firing.id] = self
        self._arm()

    def _arm(self) -> None:
        times = [
            (begun + limit, name)
            for begun, limit, name in (
                (self.begun, self.policy.timeout, "timeout"),
                (self.since, self.policy.total_timeout, "total_timeout"),
                (self.beat, self.policy.idle_timeout, "idle_timeout"),
            )
            if limit is not None
        ]
        due, self._limit = min(times)
        self._take_back = call_at(due, partial(self._ring, due))

    def _ring(self, due: float) -> None:
        """Its time may be over; called in any thread."""
        if self.ended:
            return
        if self._limit == "idle_timeout":
            limit: Any = self.policy.idle_timeout
            if self.beat + limit > due:
                self._arm()
                return
        try:
            self._soon(self._over)
        except RuntimeError:  # the loop is gone, and the run with it
            return

    def _over(self) -> None:
        if self.ended:
            return
        self.error = out_of_time(self.run, self.firing, self.policy, self._limit)
        self._cancel()

    def end(self) -> None:
        """The attempt is over.

        Raises:
            StepTimeoutError: it was over before, because of its time.
        """
        self.ended = True
        self._take_back()
        self.run.watches.pop(self.firing.id, None)
        if self.error is not None:
            raise self.error from None


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
    policy = run.compiled.policies[firing.node.name]
    before = run.marking.deferred.get(firing.id)
    if before is not None and before.stage:
        policy = policy.at(before.stage)
    if not any(getattr(policy, name) is not None for name in TIMES):
        return None
    return Watch(run, firing, policy, cancel, soon)


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


def heartbeat(flow: Any) -> None:
    """Say that a step is alive; ends one whose time is over."""
    run, firing = step_of(flow, "heartbeat")
    found = run.watches.get(firing.id)
    gone = threading.get_ident() in run.given_up
    if gone or firing.id not in run.marking.live:
        name = f"{run.net.definition.name}.{firing.node.name}"
        msg = f"{name} was given up: its time was over, or its run. It ends here."
        raise StepTimeoutError(msg, step=name)
    if found is not None:
        found.beat = now()
