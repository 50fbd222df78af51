"""Called steps that have policies: tried again, in time, behind limits.

A failed attempt and the wait for the next one are a question below the position of
the call, with the verb ``retry``. So they are records, a function that starts again
stands where it stood, and a long wait holds neither thread nor memory. Attempts are
decided on as those of any step (:mod:`flowkit.runtime.recovery`).
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.durations import shown
from flowkit.core.policies import Policy
from flowkit.core.records import StepDeferred
from flowkit.errors import StepTimeoutError, TryAgain
from flowkit.runtime import signals
from flowkit.runtime.alarm import call_at
from flowkit.runtime.called import Inside, here, measured, threaded
from flowkit.runtime.clock import now
from flowkit.runtime.loops import loop_caller
from flowkit.runtime.positions import OPEN, RETRY, Question, known_answer
from flowkit.runtime.recovery import due_again, log_again
from flowkit.runtime.waits import Asking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowkit.core.marking import Firing
    from flowkit.runtime.called import Branch, Called
    from flowkit.runtime.run import Run

__all__ = ["tried"]

INFINITE = float("inf")


class _Stand(NamedTuple):
    """How far the attempts of a call have come.

    Attributes:
        attempt: counts those that have begun, from 1.
        tries: how many have failed at this stage.
        since: when the first of them began, None before.
        stage: 0 for the step itself, else the number of its fallback.
        error: what the last one failed with.
        waited: its turn in the rate has come.
    """

    attempt: int = 1
    tries: int = 0
    since: float | None = None
    stage: int = 0
    error: BaseException | None = None
    waited: bool = False


async def tried(
    branch: Branch, called: Called, position: int, args: Any, keywords: Any
) -> Any:
    """Call a step under its policies, from where it stood."""
    tries: _Tries = called.tries or _Tries(called)
    called.tries = tries
    run, before = branch.run, here()
    if run.held and run.settle is not None:
        await run.settle()  # what a synchronous step before it gave is durable
    waits = _Waits(branch, called, position)
    stand = await waits.stand()
    began = None if stand.attempt == 1 else waits.began
    while True:
        inside = Inside(branch, called, position)
        inside.attempt, inside.stage = stand.attempt, stand.stage
        at = branch.begin(inside)
        began = at if began is None else began
        stand = stand if stand.since is not None else stand._replace(since=at)
        inside.since = stand.since
        hit = False
        try:
            output = await tries.attempt(branch, stand, args, keywords)
        except tries.hits as found:
            output, hit = found.value, True
        except Exception as error:
            branch.end(inside, before)
            following = tries.following(run, branch.firing, position, stand, error)
            if following is None:
                branch.fails(inside, began, error)
                raise
            _tell(branch, inside, following)
            stand = await waits.wait(inside, following, began)
            continue
        except BaseException as error:
            branch.raised(inside, began, error, before)
            raise
        branch.end(inside, before)
        output = branch.ended(inside, began, output, hit=hit)
        if run.held and run.settle is not None:
            await run.settle()
        return output


def _tell(branch: Branch, inside: Inside, following: StepDeferred) -> None:
    if signals.step_deferred.receivers:
        branch.tell(
            signals.step_deferred,
            inside,
            why=following.why,
            error=following.error,
            due=following.due,
            metrics=dict(measured(inside)),
        )


class _Waits:
    """The failed attempts of a call, as questions below its position."""

    def __init__(self, branch: Branch, called: Called, position: int) -> None:
        self.run: Run = branch.run
        self.firing: Firing = branch.firing
        self.called = called
        self.position = position
        self.began: float | None = None
        self._next: int = branch.below(position, 1)

    async def stand(self) -> _Stand:
        """How far the attempts had come before the function started again."""
        stand = _Stand()
        while (record := self._known()) is not None:
            detail = record.detail
            self.began = detail["began"]
            await self._ask(detail)
            stand = _standing(detail)
        return stand

    async def wait(
        self, inside: Inside, following: StepDeferred, began: float
    ) -> _Stand:
        """Record a failed attempt, and wait for the next one."""
        detail = {
            "due": following.due,
            "call": self.position,
            "why": following.why,
            "error": following.error,
            "tries": following.tries,
            "since": following.since,
            "stage": following.stage,
            "attempt": inside.attempt + (following.error is not None),
            "began": began,
            "metrics": [list(each) for each in measured(inside)],
        }
        await self._ask(detail)
        return _standing(detail)

    def _known(self) -> Any:
        return self.run.questions.get((self.firing.id, self._next))

    async def _ask(self, detail: dict[str, Any]) -> None:
        position, self._next = self._next, self._next + 1
        question = Question(RETRY, detail, _nothing, [self.called.name])
        answer = known_answer(self.run, self.firing, position, question)
        if answer is OPEN:
            self.run.asked[self.firing.id] = 1  # its body is in memory
            await Asking(self.run, self.firing, position, question).wait()


def _standing(detail: dict[str, Any]) -> _Stand:
    return _Stand(
        detail["attempt"],
        detail["tries"],
        detail["since"] or None,
        detail["stage"],
        detail["error"],
        detail["why"] == "rate",
    )


def _nothing(_: Any) -> None:
    """What the end of a wait means."""


class _Tries:
    """A called step under its policy.

    Attributes:
        called: the step.
        policy: of it.
        stages: what holds for it, and for each of its fallbacks.
        function: the step behind its limits and its cache.
        in_turn: the same, once its turn in the rate has come.
        hits: what is raised where a kept result stands in.
        later: what is raised where its turn comes later.
    """

    def __init__(self, called: Called) -> None:
        assert called.policy is not None  # noqa: S101 - who calls has looked
        self.called = called
        self.policy: Policy = called.policy
        self.values = [each.value for each in self.policy.stages]
        self.stages = [self.policy.at(each) for each in range(len(self.values) + 1)]
        self.hits: Any = ()
        self.later: Any = ()
        self.function: Callable[..., Any] = self._call
        self.in_turn: Callable[..., Any] = self._call
        own = called.function
        place = f"{own.__module__}:{own.__qualname__}"
        if self.policy.gated:
            from flowkit.runtime import protection  # only who has limits

            gate = protection.Gate(called.name, place, self.policy)
            self.function = protection.gated(self._call, gate, is_async=True)
            gate = copy(gate)
            gate.rate = None
            self.in_turn = protection.gated(self._call, gate, is_async=True)
            self.later = protection.Postponed
        if self.policy.cache is not None:
            from flowkit.runtime import cached  # only who keeps results

            names = _names(own)
            shelf = cached.Shelf(called.name, place, self.policy.cache, own, names)
            self.function = cached.cached(self.function, shelf, is_async=True)
            self.in_turn = cached.cached(self.in_turn, shelf, is_async=True)
            self.hits = cached.Hit

    async def attempt(
        self, branch: Branch, stand: _Stand, args: Any, keywords: Any
    ) -> Any:
        """One try of the step, or of what stands in for it."""
        value = self.values[stand.stage - 1] if stand.stage else None
        if not stand.stage or isinstance(value, Policy):
            function = self.in_turn if stand.waited else self.function
            return await function(branch.flow, *args, **keywords)
        if not callable(value) or isinstance(value, type):
            return value
        return await self._limited(
            lambda: _stands_in(value, stand.error, args, keywords)
        )

    async def _call(self, _: Any, *args: Any, **keywords: Any) -> Any:
        """The step itself, in its time."""
        called = self.called
        if called.thread:
            return await self._limited(lambda: threaded(called, args, keywords))
        return await self._limited(lambda: called.function(*args, **keywords))

    async def _limited(self, make: Callable[[], Awaitable[Any]]) -> Any:
        inside = here()
        assert type(inside) is Inside  # noqa: S101 - a called step runs
        policy = self.stages[inside.stage]
        if not _times(policy):
            return await make()
        from anyio import CancelScope  # a loop runs, so it is there

        with CancelScope() as scope:
            time = _Time(inside, policy, scope)
            try:
                output = await make()
            finally:
                time.close()
        if time.late:
            raise time.error()
        return output

    def following(
        self,
        run: Run,
        firing: Firing,
        position: int,
        stand: _Stand,
        error: Exception,
    ) -> StepDeferred | None:
        """What comes after an attempt that gave no result; None if nothing does."""
        at = now()
        if isinstance(error, self.later):
            return StepDeferred(
                at,
                firing.id,
                error.due,
                "rate",
                None,
                stand.tries,
                stand.since or 0.0,
                stand.stage,
            )
        if stand.stage and isinstance(error, TryAgain):
            return StepDeferred(at, firing.id, at, "again", error)
        policy, name = self.stages[stand.stage], self.called.name
        if policy.retry is not None:
            tries, since = stand.tries + 1, stand.since or at
            deferred = StepDeferred(
                at, firing.id, at, "retry", error, tries, since, stand.stage
            )
            seed = f"{run.id}:{firing.id}:{position}"
            due = due_again(run, name, seed, policy, deferred)
            if due is not None:
                log_again(run, firing, name, stand.attempt, deferred, due)
                return deferred._replace(due=due)
        stage = self.policy.next_stage(stand.stage, error)
        if stage is None:
            return None
        return StepDeferred(at, firing.id, at, "fallback", error, stage=stage)


def _times(policy: Policy) -> bool:
    return not (policy.timeout is policy.total_timeout is policy.idle_timeout is None)


class _Time:
    """The time of one attempt; when it is over the attempt is cancelled.

    Attributes:
        late: by which limit, "" while it is in time.
    """

    def __init__(self, inside: Inside, policy: Policy, scope: Any) -> None:
        self.inside = inside
        self.policy = policy
        self.late = ""
        self._scope = scope
        self._soon = loop_caller()
        self._begun = now()
        self._over = False
        self._take_back: Callable[[], None] | None = None
        inside.beat = self._begun
        self._set(self._due()[0])

    def _due(self) -> tuple[float, str]:
        policy, since = self.policy, self.inside.since or self._begun
        ends = (
            (self._begun, "timeout"),
            (since, "total_timeout"),
            (self.inside.beat, "idle_timeout"),
        )
        times = [
            (at + getattr(policy, limit), limit)
            for at, limit in ends
            if getattr(policy, limit) is not None
        ]
        return min(times)

    def _set(self, due: float) -> None:
        self._take_back = call_at(due, self._ring)

    def _ring(self) -> None:
        """It may be over; called in any thread."""
        try:
            self._soon(self._look)
        except RuntimeError:  # the loop is gone
            return

    def _look(self) -> None:
        if self._over:
            return
        due, limit = self._due()
        if due > now():
            self._set(due)
            return
        self.late = limit
        self._scope.cancel()

    def close(self) -> None:
        """The attempt is over."""
        self._over = True
        if self._take_back is not None:
            self._take_back()

    def error(self) -> StepTimeoutError:
        """What an attempt fails with that was not over in time."""
        called = self.inside.called
        name = f"{self.inside.branch.name}.{called.name}"
        seconds: float = getattr(self.policy, self.late)
        what = {
            "timeout": f"was at work longer than its timeout of {shown(seconds)}",
            "total_timeout": (
                f"took longer than its total_timeout of {shown(seconds)}, all "
                f"attempts counted"
            ),
            "idle_timeout": (
                f"gave no heartbeat for its idle_timeout of {shown(seconds)}"
            ),
        }[self.late]
        cure = "Give it more time, or find out what it waits for"
        if self.late == "idle_timeout":
            cure = "Call heartbeat() in it while it makes progress"
        text = f"{name} {what}. {cure}. ({called.place})"
        return StepTimeoutError(text, step=name, limit=self.late, seconds=seconds)


async def _stands_in(value: Any, error: Any, args: Any, keywords: Any) -> Any:
    """Call a fallback with what the step was given, as much of it as it takes."""
    from inspect import Parameter, signature  # only who has fallbacks

    found = signature(value).parameters
    kinds = {each.kind for each in found.values()}
    given = dict(keywords)
    if Parameter.VAR_KEYWORD not in kinds:
        given = {name: each for name, each in keywords.items() if name in found}
    if "error" in found:
        given["error"] = error
    free = [name for name in found if name not in given]
    if Parameter.VAR_POSITIONAL not in kinds:
        args = args[: len(free)]
    made = value(*args, **given)
    return await made if hasattr(made, "__await__") else made


def _names(function: Any) -> list[str]:
    """Names of the parameters of a function, for the key of its results."""
    from inspect import signature  # only who keeps results

    return [
        name
        for name, each in signature(function).parameters.items()
        if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}
    ]
