"""What stands between a step and what it calls: rate, bulkhead, breaker.

The limits are shared by name in this process, or belong to one step of one class.
Before an attempt its turn in the rate comes, then a place in the bulkhead, then the
breaker's permit; what was taken is given back however the attempt ends. What they
decide is told by signals, and noted in the run's journal.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeAlias

from flowkit.core.durations import shown
from flowkit.core.limits import Breaker
from flowkit.errors import BreakerOpenError, BulkheadFullError, RateLimitedError
from flowkit.runtime import signals
from flowkit.runtime.clock import now
from flowkit.runtime.noting import note_down
from flowkit.runtime.places import places_of
from flowkit.runtime.shared import SharedLimit, share, storeless

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.limits import BreakerState, RateState
    from flowkit.core.marking import Firing
    from flowkit.core.policies import Policy
    from flowkit.journal.base import Store
    from flowkit.runtime.places import Places
    from flowkit.runtime.run import Run

__all__ = ["Gate", "Postponed", "gated"]


class Postponed(Exception):  # noqa: N818 - no error: its turn comes later
    """An attempt that has not begun, because its turn is at ``due``."""

    def __init__(self, due: float) -> None:
        self.due: float = due


def _turned(state: RateState, at: float) -> tuple[float, float | None, float]:
    due = state.take(at)
    return at, due, state.left(at) if due is None else 0.0


def _spared(state: RateState, at: float) -> bool:
    if state.left(at) > 0:
        return False
    state.take(at)
    return True


def _entered(
    state: BreakerState, at: float
) -> tuple[float, str, int | None, str, float]:
    before = state.status
    permit = state.enter(at)
    return at, before, permit, state.status, 0.0 if permit else state.left(at)


def _left(
    state: BreakerState, permit: int, at: float, *, well: bool | None
) -> tuple[str, str]:
    before = state.status
    state.leave(permit, at, well=well)
    return before, state.status


Place: TypeAlias = "tuple[Store | None, str]"
"""A place in a bulkhead: where, and its key."""
Permit = tuple[int, float]
"""A breaker's permit, and since when."""
UNTIMED = float("inf")
"""Since when a permit is held whose time does not matter."""
UNNAMED: Place = None, ""
"""A place in this process that was free: nobody need know whose it is."""


class Gate:
    """The limits of one step.

    Raises:
        ValueError: two different limits of one kind and name.
    """

    __slots__ = ("breaker", "bulkhead", "rate", "step")

    def __init__(self, step: str, place: str, policy: Policy) -> None:
        self.step: str = step
        self.rate: SharedLimit[RateState] | None = None
        self.breaker: SharedLimit[BreakerState] | None = None
        self.bulkhead: Places | None = None
        if policy.rate is not None:
            self.rate = share(policy.rate, place, SharedLimit)
        if policy.breaker is not None:
            value, implied = policy.breaker, isinstance(policy.breaker, str)
            value = Breaker(name=value) if isinstance(value, str) else value
            self.breaker = share(value, place, SharedLimit, implied=implied)
        if policy.bulkhead is not None:
            self.bulkhead = places_of(policy.bulkhead, place)

    def turn(self, run: Run, firing: Firing) -> None:
        """Take a turn in the rate.

        Raises:
            Postponed: it is not yet.
            RateLimitedError: it is too far away.
        """
        shared = self.rate
        if shared is None:
            return
        if run.marking.deferred:
            before = run.marking.deferred.get(firing.id)
            if before is not None and before.why == "rate":
                return  # it has waited for it
        if shared.value.shared == "store":
            at, due, left = shared.through(run, self.step, _turned)
        else:
            with shared.lock:
                at, due, left = _turned(shared.state, now())
        if due is None:
            msg = (
                f"{self.step} would have to wait {shown(round(left, 3))} for its turn, "
                f"and its rate allows {shared.value}. Call it less often, or allow a "
                f"longer most_wait."
            )
            raise RateLimitedError(msg, step=self.step, retry_after=left)
        if due > at:
            raise Postponed(due)

    def spare(self, run: Run) -> bool:
        """Take a turn in the rate if there is one now; whether there was."""
        shared = self.rate
        if shared is None:
            return True
        if shared.value.shared == "store":
            found: bool = shared.through(run, self.step, _spared)
            return found
        with shared.lock:
            return _spared(shared.state, now())

    def slip_in(self) -> Place | None:
        """A free place in this process at once, None if there is none."""
        assert self.bulkhead is not None  # noqa: S101 - asked before
        return UNNAMED if self.bulkhead.slip_in() else None

    def closed(self) -> Permit | None:
        """The permit of a closed breaker in this process, None if it must be asked.

        Takes no lock: the phase is read before the status, so if the breaker opens
        in between, the call counts for nothing.
        """
        assert self.breaker is not None  # noqa: S101 - asked before
        state = self.breaker.state
        phase = state.phase
        if state.status == "closed" and self.breaker.plain:
            return phase, UNTIMED
        return None

    def permit(self, run: Run, firing: Firing) -> Permit:
        """Take the breaker's permit.

        Raises:
            BreakerOpenError: it refuses.
        """
        shared = self.breaker
        assert shared is not None  # noqa: S101 - asked before
        if shared.value.shared == "store":
            entered = shared.through(run, self.step, _entered)
        else:
            with shared.lock:
                entered = _entered(shared.state, now())
        at, before, permit, after, left = entered
        if before != after:
            self._changed(run, firing, after)
        if permit is None:
            name = shared.name
            msg = (
                f"{self.step} was not called: the breaker {name!r} is {after}, as what "
                f"it calls was broken. It is tried again in {shown(round(left, 3))}; a "
                f"fallback= or retry= bridges the time."
            )
            raise BreakerOpenError(msg, step=self.step, retry_after=left)
        return permit, at

    def leave(
        self,
        run: Run,
        firing: Firing,
        place: Place | None,
        permit: Permit | None,
        error: BaseException | None,
    ) -> None:
        """Give back what an attempt has taken, which ended with that error."""
        if place is not None:
            self._give_back(place)
        shared = self.breaker
        if shared is None or permit is None:
            return
        if error is None and shared.plain and not (run.watches or run.given_up):
            state = shared.state
            with shared.lock:
                if state.status == "closed":  # as mostly
                    state.leave(permit[0], now(), well=True)
                    return
        self._judge(run, firing, shared, permit, error)

    def _give_back(self, place: Place) -> None:
        assert self.bulkhead is not None  # noqa: S101 - it was taken there
        if place is UNNAMED:
            self.bulkhead.slip_out()
        else:
            self.bulkhead.leave(*place)

    def _judge(
        self,
        run: Run,
        firing: Firing,
        shared: SharedLimit[BreakerState],
        allowed: Permit,
        error: BaseException | None,
    ) -> None:
        """Tell the breaker how a call has ended."""
        at = now()
        permit, begun = allowed
        well = self.judged(run, firing, error)
        slow = shared.value.slow
        if well and slow is not None and at - begun > slow:
            well = False
        if shared.value.shared == "store":
            before, after = shared.through(
                run, self.step, lambda state, at: _left(state, permit, at, well=well)
            )
        else:
            with shared.lock:
                before, after = _left(shared.state, permit, at, well=well)
        if before != after:
            self._changed(run, firing, after)

    def _changed(self, run: Run, firing: Firing, status: str) -> None:
        assert self.breaker is not None  # noqa: S101 - asked before
        name = self.breaker.name
        signals.log().warning("the breaker %r is %s (%s)", name, status, self.step)
        note_down(
            run, firing, "limit", {"limit": "breaker", "name": name, "what": status}
        )
        if signals.breaker_changed.receivers:
            run.tell(signals.breaker_changed, name=name, status=status)

    def judged(
        self, run: Run, firing: Firing, error: BaseException | None
    ) -> bool | None:
        """Whether an attempt that has ended speaks for what it calls, or against."""
        watch = run.watches.get(firing.id) if run.watches else None
        late = watch is not None and watch.error is not None
        if late or (run.given_up and threading.get_ident() in run.given_up):
            return False
        if error is None:
            return True
        if not isinstance(error, Exception):
            return None
        on = None if self.breaker is None else self.breaker.value.on
        if on is None or isinstance(on, type | tuple):
            return not (on is None or isinstance(error, on))
        try:
            return not on(error)
        except Exception:  # noqa: BLE001 - the function is the user's
            return False

    def _comes(self, run: Run, firing: Firing) -> tuple[Place, float | None]:
        """A place in the bulkhead at once, or one in its line and since when.

        Raises:
            BulkheadFullError: the line is full.
            RunError: it is in the store, and the run is not.
        """
        places = self.bulkhead
        assert places is not None  # noqa: S101 - asked before
        store = None
        if places.polls:
            if run.journal is None:
                raise storeless(self.step, places.value, places.name)
            store = run.journal.store
        key = places.key(store)
        entered = places.enter(store, key)
        if entered == "full":
            msg = (
                f"{self.step} was not called: the bulkhead {places.name!r} allows "
                f"{places.value}, and all places are taken. Call it less often at the "
                f"same time, or allow a longer queue."
            )
            raise BulkheadFullError(msg, step=self.step)
        if entered == "inside":
            return (store, key), None
        if signals.step_queued.receivers:
            self._tell(run, firing, signals.step_queued)
        return (store, key), now()

    def _admitted(self, run: Run, firing: Firing, since: float) -> None:
        """One that stood in line has its place."""
        assert self.bulkhead is not None  # noqa: S101 - asked before
        waited = now() - since
        name = self.bulkhead.name
        said = {"limit": "bulkhead", "name": name, "what": "waited", "seconds": waited}
        note_down(run, firing, "limit", said)
        if signals.step_admitted.receivers:
            self._tell(run, firing, signals.step_admitted, waited=waited)

    def _tell(self, run: Run, firing: Firing, signal: Any, **more: Any) -> None:
        assert self.bulkhead is not None  # noqa: S101 - asked before
        more |= {"limit": "bulkhead", "name": self.bulkhead.name}
        step, attempt = firing.node.name, firing.attempt
        run.tell(signal, step=step, firing=firing.id, attempt=attempt, **more)

    async def wait_inside(self, run: Run, firing: Firing) -> Place:
        """A place in the bulkhead, waited for on an event loop."""
        place, since = self._comes(run, firing)
        if since is not None:
            assert self.bulkhead is not None  # noqa: S101 - asked before
            await self.bulkhead.wait(*place)
            self._admitted(run, firing, since)
        return place

    def block_inside(self, run: Run, firing: Firing) -> Place | None:
        """The same in the thread of a step; None if the step is wanted no more."""
        place, since = self._comes(run, firing)
        if since is None:
            return place

        def wanted() -> bool:
            given_up = threading.get_ident() in run.given_up
            return not given_up and firing.id in run.marking.live

        assert self.bulkhead is not None  # noqa: S101 - asked before
        if not self.bulkhead.block(*place, wanted):
            return None
        self._admitted(run, firing, since)
        return place


def gated(function: Callable[..., Any], gate: Gate, *, is_async: bool) -> Any:
    """The function of a step behind its limits."""
    return _awaited(function, gate) if is_async else _called(function, gate)


def _called(function: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    def call(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        scope = flow._flowkit
        run, firing = scope.run, scope.firing
        if gate.rate is not None:
            gate.turn(run, firing)
        place = permit = None
        if gate.bulkhead is not None:
            place = gate.slip_in() or gate.block_inside(run, firing)
            if place is None:
                return None
        if gate.breaker is not None:
            permit = gate.closed() or _permitted(gate, run, firing, place)
        try:
            output = function(flow, *arguments, **keywords)
        except BaseException as error:
            gate.leave(run, firing, place, permit, error)
            raise
        if hasattr(output, "__await__"):
            return _finished(output, gate, run, firing, place, permit)
        gate.leave(run, firing, place, permit, None)
        return output

    return call


async def _finished(  # noqa: PLR0917 - what an attempt has taken
    body: Any,
    gate: Gate,
    run: Run,
    firing: Firing,
    place: Place | None,
    permit: Permit | None,
) -> Any:
    try:
        output = await body
    except BaseException as error:
        gate.leave(run, firing, place, permit, error)
        raise
    gate.leave(run, firing, place, permit, None)
    return output


def _awaited(function: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    async def call(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        scope = flow._flowkit
        run, firing = scope.run, scope.firing
        if gate.rate is not None:
            gate.turn(run, firing)
        place = permit = None
        if gate.bulkhead is not None:
            place = gate.slip_in() or await gate.wait_inside(run, firing)
        if gate.breaker is not None:
            permit = gate.closed() or _permitted(gate, run, firing, place)
        try:
            output = await function(flow, *arguments, **keywords)
        except BaseException as error:
            gate.leave(run, firing, place, permit, error)
            raise
        gate.leave(run, firing, place, permit, None)
        return output

    return call


def _permitted(gate: Gate, run: Run, firing: Firing, place: Place | None) -> Permit:
    """The breaker's permit; refused, the place is given back."""
    try:
        return gate.permit(run, firing)
    except BaseException:
        gate.leave(run, firing, place, None, None)
        raise
