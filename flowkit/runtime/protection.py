"""What stands between a step and what it calls: rate, bulkhead, breaker.

The limits are shared by name in this process, or belong to one step of one class.
Before an attempt its turn in the rate comes, then a place in the bulkhead, then the
breaker's permit; what was taken is given back however the attempt ends.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flowkit.core.durations import shown
from flowkit.core.limits import (
    Breaker,
    BreakerState,
    Bulkhead,
    BulkheadState,
    Rate,
    RateState,
)
from flowkit.errors import (
    BreakerOpenError,
    BulkheadFullError,
    RateLimitedError,
    RunError,
)
from flowkit.journal.codec import decode, encode
from flowkit.runtime import signals
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.marking import Firing
    from flowkit.core.policies import Policy
    from flowkit.runtime.run import Run

__all__ = ["Gate", "Postponed", "gated", "shared_rate"]

StateT = TypeVar("StateT", RateState, BreakerState, BulkheadState)
_STATES: dict[type, Any] = {
    Rate: RateState,
    Breaker: BreakerState,
    Bulkhead: BulkheadState,
}


class Postponed(Exception):  # noqa: N818 - no error: its turn comes later
    """An attempt that has not begun, because its turn is at ``due``."""

    def __init__(self, due: float) -> None:
        self.due: float = due


class _Shared(Generic[StateT]):
    """A limit and its state, under a lock."""

    __slots__ = ("implied", "lock", "name", "state", "value", "waiters")

    def __init__(self, value: Any, name: str, *, implied: bool) -> None:
        self.value: Any = value
        self.name: str = name
        self.implied: bool = implied
        self.state: StateT = _STATES[type(value)](value)
        self.lock: threading.Lock = threading.Lock()
        self.waiters: dict[Any, Callable[[], object]] = {}

    def through(self, run: Run, step: str, act: Callable[[StateT], Any]) -> Any:
        """What ``act`` gives of the state in the run's store, which it may change.

        Raises:
            RunError: the run has no store.
        """
        if run.journal is None:
            msg = (
                f"{step} shares its {type(self.value).__name__} {self.name!r} through "
                f"the store, and this run has none. Give the flow a store."
            )
            raise RunError(msg)
        store = run.journal.store
        cell = f"limit:{type(self.value).__name__}:{self.name}"
        while True:
            text = store.cell(cell)
            state = _STATES[type(self.value)](self.value)
            if text is not None:
                state.restore(decode(text))
            found = act(state)
            new = encode(state.saved(), self.name)
            if new == text or store.swap(cell, text, new):
                return found


def _spared(state: RateState, at: float) -> bool:
    if state.left(at) > 0:
        return False
    state.take(at)
    return True


def _entered(state: BreakerState, at: float) -> tuple[str, int | None, str, float]:
    before = state.status
    permit = state.enter(at)
    return before, permit, state.status, 0.0 if permit else state.left(at)


def _left(
    state: BreakerState, permit: int, at: float, *, well: bool | None
) -> tuple[str, str]:
    before = state.status
    state.leave(permit, at, well=well)
    return before, state.status


_shared: dict[tuple[type, str], _Shared[Any]] = {}
_declaring = threading.Lock()


def _share(value: Any, kind: type, place: str) -> _Shared[Any]:
    """The shared state of a limit that a step declares, or only names.

    Raises:
        ValueError: two different limits of one kind and name.
    """
    implied = isinstance(value, str)
    made: Any = Breaker(name=value) if implied else value
    key = kind, made.name or place
    with _declaring:
        found = _shared.get(key)
        if found is None or not made.name:  # a class that is defined again
            found = _shared[key] = _Shared(made, key[1], implied=implied)
        elif not implied and found.value != made:
            if not found.implied:
                msg = (
                    f"{place} declares the {kind.__name__} {made.name!r} as {made}, "
                    f"and elsewhere it is {found.value}. Make one value and give it to "
                    f"both steps."
                )
                raise ValueError(msg)
            found.value, found.implied = made, False
            found.state = _STATES[kind](made)
        return found


def shared_rate(rate: Rate, place: str) -> bool:
    """Take a turn now, if there is one."""
    found = _shared.get((Rate, rate.name or place)) or _share(rate, Rate, place)
    with found.lock:
        at = now()
        if found.state.left(at) > 0:
            return False
        found.state.take(at)
        return True


Pass = tuple[int, float]
"""What an attempt has taken: the breaker's permit, and since when."""


class Gate:
    """The limits of one step.

    Raises:
        ValueError: two different limits of one kind and name.
    """

    __slots__ = ("breaker", "bulkhead", "rate", "step")

    def __init__(self, step: str, place: str, policy: Policy) -> None:
        self.step: str = step
        self.rate: _Shared[RateState] | None = None
        self.breaker: _Shared[BreakerState] | None = None
        self.bulkhead: _Shared[BulkheadState] | None = None
        if policy.rate is not None:
            self.rate = _share(policy.rate, Rate, place)
        if policy.breaker is not None:
            self.breaker = _share(policy.breaker, Breaker, place)
        if policy.bulkhead is not None:
            self.bulkhead = _share(policy.bulkhead, Bulkhead, place)

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
            at = now()
            due, left = shared.through(
                run, self.step, lambda state: (state.take(at), state.left(at))
            )
        else:
            with shared.lock:
                at = now()
                due = shared.state.take(at)
                left = shared.state.left(at)
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
        at = now()
        if shared.value.shared == "store":
            found: bool = shared.through(
                run, self.step, lambda state: _spared(state, at)
            )
            return found
        with shared.lock:
            return _spared(shared.state, at)

    def permit(self, run: Run) -> Pass | None:
        """Take the breaker's permit; None if there is no breaker.

        Raises:
            BreakerOpenError: it refuses.
        """
        shared = self.breaker
        if shared is None:
            return None
        at = now()
        if shared.value.shared == "store":
            before, permit, after, left = shared.through(
                run, self.step, lambda state: _entered(state, at)
            )
        else:
            with shared.lock:
                before, permit, after, left = _entered(shared.state, at)
        if before != after:
            self._changed(run, after)
        if permit is None:
            name = shared.name
            msg = (
                f"{self.step} was not called: the breaker {name!r} is {after}, as what "
                f"it calls was broken. It is tried again in {shown(round(left, 3))}; a "
                f"fallback= or retry= bridges the time."
            )
            raise BreakerOpenError(msg, step=self.step, retry_after=left)
        return permit, at

    def leave(self, run: Run, taken: Pass | None, *, well: bool | None) -> None:
        """Give back what an attempt has taken."""
        if self.bulkhead is not None:
            self.release()
        shared = self.breaker
        if shared is None or taken is None:
            return
        at = now()
        permit, begun = taken
        slow = shared.value.slow
        if well and slow is not None and at - begun > slow:
            well = False
        if shared.value.shared == "store":
            before, after = shared.through(
                run, self.step, lambda state: _left(state, permit, at, well=well)
            )
        else:
            with shared.lock:
                before, after = _left(shared.state, permit, at, well=well)
        if before != after:
            self._changed(run, after)

    def _changed(self, run: Run, status: str) -> None:
        assert self.breaker is not None  # noqa: S101 - asked before
        name = self.breaker.name
        signals.log().warning("the breaker %r is %s (%s)", name, status, self.step)
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

    def release(self) -> None:
        """Leave the bulkhead; whoever waits has the place."""
        shared = self.bulkhead
        assert shared is not None  # noqa: S101 - asked before
        while True:
            with shared.lock:
                following = shared.state.leave()
                wake = None if following is None else shared.waiters.pop(following)
            if wake is None:
                return
            try:
                wake()
            except RuntimeError:  # its loop is gone, and its place goes on
                continue
            return

    def place(self, wake: Callable[[], object]) -> Any:
        """A place in the bulkhead at once (None), or the key of one in line.

        Raises:
            BulkheadFullError: the line is full.
        """
        shared = self.bulkhead
        assert shared is not None  # noqa: S101 - asked before
        key = object()
        with shared.lock:
            inside = shared.state.enter(key)
            if inside is False:
                shared.waiters[key] = wake
        if inside is None:
            msg = (
                f"{self.step} was not called: the bulkhead {shared.name!r} allows "
                f"{shared.value}, and all places are taken. Call it less often at the "
                f"same time, or allow a longer queue."
            )
            raise BulkheadFullError(msg, step=self.step)
        return None if inside else key

    def withdraw(self, key: Any) -> None:
        """Wait in line no longer; a place that was given meanwhile is handed on."""
        shared = self.bulkhead
        assert shared is not None  # noqa: S101 - asked before
        with shared.lock:
            waited = shared.state.withdraw(key)
            shared.waiters.pop(key, None)
        if not waited:
            self.release()

    def enters(self) -> bool:
        """Whether a place in the bulkhead is free, and taken now."""
        shared = self.bulkhead
        if shared is None:
            return True
        with shared.lock:
            state = shared.state
            if state.inside >= shared.value.most:
                return False
            state.inside += 1
        return True

    async def wait_inside(self) -> None:
        """Wait for a place in the bulkhead, on an event loop."""
        import anyio  # a loop runs, so it is there

        from flowkit.runtime.loops import loop_caller

        come = anyio.Event()
        soon = loop_caller()
        key = self.place(lambda: soon(come.set))
        if key is None:
            return
        try:
            await come.wait()
        except BaseException:
            self.withdraw(key)
            raise

    def block_inside(self, run: Run, firing: Firing) -> bool:
        """Wait for a place in the bulkhead, in the thread of a step.

        Returns:
            Whether the step is wanted still, and has its place.
        """
        come = threading.Event()
        key = self.place(come.set)
        if key is None:
            return True
        try:
            come.wait()
        except BaseException:
            self.withdraw(key)
            raise
        if threading.get_ident() in run.given_up or firing.id not in run.marking.live:
            self.release()
            return False
        return True


def gated(function: Callable[..., Any], gate: Gate, *, is_async: bool) -> Any:
    """The function of a step behind its limits."""
    return _awaited(function, gate) if is_async else _called(function, gate)


def _called(function: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    def call(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        scope = flow._flowkit
        run, firing = scope.run, scope.firing
        gate.turn(run, firing)
        if not (gate.enters() or gate.block_inside(run, firing)):
            return None
        taken = _permit(gate, run)
        try:
            output = function(flow, *arguments, **keywords)
        except BaseException as error:
            gate.leave(run, taken, well=gate.judged(run, firing, error))
            raise
        if hasattr(output, "__await__"):
            return _finished(output, gate, run, firing, taken)
        gate.leave(run, taken, well=gate.judged(run, firing, None))
        return output

    return call


async def _finished(
    body: Any, gate: Gate, run: Run, firing: Firing, taken: Pass | None
) -> Any:
    try:
        output = await body
    except BaseException as error:
        gate.leave(run, taken, well=gate.judged(run, firing, error))
        raise
    gate.leave(run, taken, well=gate.judged(run, firing, None))
    return output


def _awaited(function: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    async def call(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        scope = flow._flowkit
        run, firing = scope.run, scope.firing
        gate.turn(run, firing)
        if not gate.enters():
            await gate.wait_inside()
        taken = _permit(gate, run)
        try:
            output = await function(flow, *arguments, **keywords)
        except BaseException as error:
            gate.leave(run, taken, well=gate.judged(run, firing, error))
            raise
        gate.leave(run, taken, well=gate.judged(run, firing, None))
        return output

    return call


def _permit(gate: Gate, run: Run) -> Pass | None:
    if gate.breaker is None:
        return None
    try:
        return gate.permit(run)
    except BaseException:
        if gate.bulkhead is not None:
            gate.release()
        raise
