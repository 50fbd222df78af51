"""Steps that a function flow calls: each has a position, and runs until its record.

Four rules:

1. A position is claimed where the call is written, before anything is awaited, and
   only by the task of its *branch*. So it never depends on which task is quicker.
2. What a call gave is one record. A function that starts again is given it at once.
3. A failure, or a cancellation, is recorded when the function goes on after it, not
   before: one that ends the run is the run's own, and its step runs again when the
   run is resumed.
4. The beginning of a call is recorded only where the function waits for something
   outside at the same time: else nobody could tell a run at work from one at rest.
"""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from flowkit.core.records import CallEnded
from flowkit.errors import RunError
from flowkit.runtime import signals
from flowkit.runtime.clock import now
from flowkit.runtime.exits import Evicted
from flowkit.runtime.inherited import depth
from flowkit.runtime.loops import forget_loop, on_trio
from flowkit.runtime.positions import INNER, Question, known_answer, record_begun

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from flowkit.core.marking import Firing
    from flowkit.core.policies import Policy
    from flowkit.runtime.run import Run

__all__ = [
    "Branch",
    "Called",
    "Inside",
    "claim_here",
    "here",
    "measured",
    "threaded",
]

_here: ContextVar[Branch | Inside | None] = ContextVar("flowkit_here", default=None)


class Called:
    """What ``@step`` said of a function.

    Attributes:
        function: as it was written.
        name: in records, history and errors.
        is_async: a coroutine function.
        thread: a synchronous one that runs in a worker thread and is awaited.
        place: ``file:line``.
        policy: how often it is tried, how long it may take, and so on.
        tried: calls it under its policy; None if it has none.
        tries: what it needs for that, once it was called.
    """

    __slots__ = (
        "function",
        "is_async",
        "name",
        "place",
        "policy",
        "thread",
        "tried",
        "tries",
    )

    def __init__(
        self, function: Callable[..., Any], name: str, *, is_async: bool, thread: bool
    ) -> None:
        self.function: Callable[..., Any] = function
        self.name: str = name
        self.is_async: bool = is_async
        self.thread: bool = thread
        self.policy: Policy | None = None
        self.tried: Callable[..., Any] | None = None
        self.tries: Any = None
        code = getattr(function, "__code__", None)
        file = code.co_filename.replace("\\", "/").rsplit("/", 1)[-1] if code else ""
        self.place: str = f"{file}:{code.co_firstlineno}" if code else "unknown place"


class Inside:
    """A called step that runs now: what it calls in turn is a plain call.

    Attributes:
        attempt: which try of it this is, from 1; 0 if it has no policies.
        stage: 0 for the step itself, else the number of its fallback.
        since: when its first attempt began.
        beat: when it last said that it is alive.
        metrics: what it has measured.
    """

    __slots__ = (
        "attempt",
        "beat",
        "branch",
        "called",
        "depth",
        "metrics",
        "position",
        "since",
        "stage",
    )

    def __init__(self, branch: Branch, called: Called, position: int) -> None:
        self.attempt: int = 0
        self.stage: int = 0
        self.beat: float = 0.0
        self.since: float | None = None
        self.metrics: dict[str, float] | None = None
        self.branch: Branch = branch
        self.called: Called = called
        self.position: int = position
        self.depth: int = branch.depth


class Branch:
    """A part of a function that runs in one task and counts its calls.

    Attributes:
        base: added to what is counted: tells the positions of branches apart.
        failed: calls that failed or were cancelled, not recorded yet.
    """

    __slots__ = (
        "base",
        "count",
        "depth",
        "failed",
        "firing",
        "flow",
        "run",
        "task",
        "task_now",
    )

    def __init__(self, flow: Any, run: Run, firing: Firing, base: int = 0) -> None:
        self.flow: Any = flow
        self.run: Run = run
        self.firing: Firing = firing
        self.base: int = base
        self.count: int = 0
        self.depth: int = depth.get()
        self.failed: list[CallEnded] = []
        self.task_now: Callable[[], Any] = _task_now()
        self.task: Any = self.task_now()
        _here.set(self)

    @property
    def name(self) -> str:
        """Of the flow."""
        return self.run.net.definition.name

    def inner(self, position: int, index: int) -> Branch:
        """A branch of this one, for the task that runs now; ``index`` from 1."""
        base = self.below(position, index)
        return Branch(self.flow, self.run, self.firing, base)

    @staticmethod
    def below(position: int, index: int) -> int:
        """The first position within a call; ``index`` from 1."""
        return ((position << INNER) | index) << INNER

    def claim(self, what: str) -> int:
        """The next position.

        Raises:
            RunError: another task than the branch's own asks.
        """
        if self.run.gone or self.run.over:
            raise Evicted  # a ``finally`` block of a function that has left
        try:
            mine = self.task_now() is self.task
        except RuntimeError:  # a thread
            mine = False
        if not mine:
            raise RunError(_astray(self, what))
        if self.failed:
            self.flush()
        position = self.base + self.count
        self.count += 1
        return position

    def flush(self) -> None:
        """Record what the function has handled, as it goes on."""
        failed, self.failed = self.failed, []
        for record in failed:
            _record(self.run, record)

    def call(self, called: Called, args: Any, keywords: Any) -> Any:
        """Call a step here, or give what it gave before; to be awaited if it is."""
        position = self.claim(called.name)
        run, firing = self.run, self.firing
        awaited = called.is_async or called.thread
        if (firing.id, position) in run.questions:
            question = Question("step", {}, _given, [called.name])
            answer = known_answer(run, firing, position, question)
            if type(answer) is CallEnded:
                return _again(answer) if awaited else _given(answer)
        if awaited:
            if called.tried is None:
                made: Any = self._run(called, position, args, keywords)
            else:
                made = called.tried(self, called, position, args, keywords)
            made.__qualname__ = called.name  # if it is never awaited, Python tells
            return made
        inside = Inside(self, called, position)
        began = self.begin(inside)
        try:
            output = called.function(*args, **keywords)
        except BaseException as error:
            self.raised(inside, began, error)
            raise
        self.end(inside)
        return self.ended(inside, began, output)

    async def _run(self, called: Called, position: int, args: Any, more: Any) -> Any:
        run = self.run
        inside = Inside(self, called, position)
        before = _here.get()
        if run.held and run.settle is not None:
            await run.settle()  # what a synchronous step before it gave is durable
        began = self.begin(inside)
        try:
            if called.thread:
                output = await threaded(called, args, more)
            else:
                output = await called.function(*args, **more)
        except BaseException as error:
            self.raised(inside, began, error, before)
            raise
        self.end(inside, before)
        output = self.ended(inside, began, output)
        if run.held and run.settle is not None:
            await run.settle()
        return output

    def begin(self, inside: Inside) -> float:
        """The call runs now; gives the time."""
        run, firing, called = self.run, self.firing, inside.called
        if run.over:
            raise Evicted
        run.underway[firing.id, inside.position] = [called.name, False]
        if firing.id in run.marking.asked:
            record_begun(run, firing)
        if run.resting:
            run.rest(resting=False)
        _here.set(inside)
        if signals.step_started.receivers:
            self.tell(signals.step_started, inside)
        return now()

    def end(self, inside: Inside, before: Branch | Inside | None = None) -> None:
        """The call runs no more."""
        _here.set(before or self)
        del self.run.underway[self.firing.id, inside.position]

    def ended(
        self, inside: Inside, began: float, output: Any, *, hit: bool = False
    ) -> Any:
        """Record what a call gave; gives it as it will be read again."""
        run, called = self.run, inside.called
        if run.over or self.firing.id not in run.marking.live:
            return output  # cancelled, and the step has swallowed it
        if run.journal is not None:
            try:
                output = run.journal.checked(output)
            except Exception as error:  # noqa: BLE001 - it cannot be stored
                if run.journal.lenient:
                    run.journal.abandon(run, error)
                else:
                    at = getattr(error, "at", None)
                    told = error if at is None else at(f"{self.name}.{called.name}")
                    self.fails(inside, began, told)
                    raise told from None
        record = CallEnded(
            now(),
            self.firing.id,
            inside.position,
            called.name,
            began,
            output,
            metrics=measured(inside),
            stage=inside.stage,
            hit=hit,
        )
        _record(run, record)
        if signals.step_finished.receivers:
            said = {"output": output, "metrics": dict(record.metrics)}
            self.tell(signals.step_finished, inside, **said)
        return output

    def raised(
        self,
        inside: Inside,
        began: float,
        error: BaseException,
        before: Branch | Inside | None = None,
    ) -> None:
        """The call has ended with an error, or was cancelled."""
        self.end(inside, before)
        if isinstance(error, Exception):
            self.fails(inside, began, error)
        elif self.firing.id in self.run.marking.live and _is_cancelled(error):
            called, position = inside.called, inside.position
            number = self.firing.id
            self.failed.append(
                CallEnded(now(), number, position, called.name, began, cancelled=True)
            )

    def fails(self, inside: Inside, began: float, error: Exception) -> None:
        """Keep a failure for when the function goes on after it."""
        run, firing, called = self.run, self.firing, inside.called
        step = f"{self.name}.{called.name}"
        attempt = inside.attempt or firing.attempt
        note = f"flowkit: step {step}, attempt {attempt}, run {run.id}"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        if firing.id not in run.marking.live:
            return
        position = inside.position
        record = CallEnded(
            now(),
            firing.id,
            position,
            called.name,
            began,
            error=error,
            metrics=measured(inside),
        )
        self.failed.append(record)
        if signals.step_failed.receivers:
            said = {"error": error, "metrics": dict(record.metrics)}
            self.tell(signals.step_failed, inside, **said)

    def tell(self, signal: Any, inside: Inside, **more: Any) -> None:
        """Send a signal about a called step."""
        firing, step = self.firing, inside.called.name
        attempt = inside.attempt or firing.attempt
        self.run.tell(signal, step=step, firing=firing.id, attempt=attempt, **more)


def measured(inside: Inside) -> tuple[tuple[str, float], ...]:
    """What a called step has measured, for its record."""
    return () if inside.metrics is None else tuple(inside.metrics.items())


def here() -> Branch | Inside | None:
    """Where in a function flow this code runs, None outside of any."""
    found = _here.get()
    if found is None or found.depth != depth.get():
        return None
    return found


def claim_here(verb: str) -> int:
    """The position of a question of a function flow.

    Raises:
        RunError: a called step asks, or a task of its own.
    """
    found = here()
    if type(found) is Branch:
        return found.claim(verb)
    if type(found) is Inside:
        name, called = found.branch.name, found.called
        msg = (
            f"{called.name} is a step that {name} calls, and a step waits for nothing "
            f"outside. Call {verb}(..) in the function of the flow. ({called.place})"
        )
        raise RunError(msg)
    msg = (
        f"{verb}(..) waits within the function of a flow; no such function runs here. "
        f"Call it in the function that @flow decorates."
    )
    raise RunError(msg)


def _record(run: Run, record: CallEnded) -> None:
    run.called(record)
    run.apply(record)


def _given(record: CallEnded) -> Any:
    """What a recorded call gives, or raises."""
    if record.error is not None:
        raise record.error
    return record.output


async def _again(record: CallEnded) -> Any:
    if record.cancelled:
        from anyio import sleep_forever  # a loop runs, so it is there

        await sleep_forever()  # until what has cancelled it does so again
    return _given(record)


def _is_cancelled(error: BaseException) -> bool:
    from anyio import get_cancelled_exc_class  # the same

    try:
        return isinstance(error, get_cancelled_exc_class())
    except RuntimeError:  # no loop: a synchronous step was interrupted
        return False


def _task_now() -> Callable[[], Any]:
    if on_trio():
        import trio  # runs already

        return trio.lowlevel.current_task
    import asyncio  # runs already

    return asyncio.current_task


def threaded(called: Called, args: Any, more: Any) -> Coroutine[Any, Any, Any]:
    """Call a synchronous step in a worker thread."""
    from flowkit.runtime.threads import pool  # only who asks for a thread

    context = copy_context()
    context.run(forget_loop)
    body = partial(context.run, called.function, *args, **more)

    def late(value: Any, error: BaseException | None) -> None:
        text = "%s ended after it was cancelled; its result %.60r does not count"
        signals.log().info(text, called.name, value, exc_info=error)

    return pool.run(body, late)


def _astray(branch: Branch, what: str) -> str:
    return (
        f"{branch.name} calls {what}(..) in a task or thread that is not its own: its "
        f"position would depend on which is quicker. Call it in the function and "
        f"await it elsewhere, or run the parts by flowkit.functions.together(..). "
        f"({branch.firing.node.step.place})"
    )
