"""Runs on an event loop, asyncio or trio.

A worker takes ready firings one after another. A step that never suspends costs
no task and no scope. When a step first suspends, the worker hands the *other*
ready firings to a further worker in the run's task group before it passes the
suspension on; the suspended coroutine stays in its task. (Moving a started
coroutine to another task is unsound on both loops: scopes, groups and locks
remember their task.)

The group is open before a fork is run, and from the start where events can come.
"""

from __future__ import annotations

import functools
import threading
from types import coroutine as generator_coroutine
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint

from flowkit.core.records import RunCancelled
from flowkit.runtime.clock import now
from flowkit.runtime.loops import loop_caller, task_is_cancelled
from flowkit.runtime.run import Run, Stop
from flowkit.runtime.threads import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

    from flowkit.core.marking import Firing

__all__ = ["drive"]

STEPS_BETWEEN_CHECKPOINTS = 64


async def drive(run: Run) -> None:
    """Move a run on until it is over, or waits for something outside.

    Cancelled from outside, the run ends as ``cancelled`` and the cancellation
    goes on.
    """
    worker = _Driver(run)
    run.active = True
    try:
        await worker.go()
    finally:
        run.active = False
        run.hurry = None
        run.settle_end()


class _Driver:
    __slots__ = ("group", "listens", "run", "soon", "thread")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.group: Any = None
        self.listens = bool(run.net.events) or bool(run.watchers)
        self.soon: Any = None
        self.thread = False

    async def go(self) -> None:
        run = self.run
        while True:
            run.take_pending()
            if not run.ready:
                return
            if self.listens or len(run.ready) > 1:
                await self._go_in_group()
            else:
                await self._stretch()

    async def _go_in_group(self) -> None:
        self.soon = loop_caller()
        self.run.hurry = self._hurry
        try:
            async with anyio.create_task_group() as self.group:
                await self._stretch()
        finally:
            self.group = None
            self.run.hurry = None

    def _hurry(self) -> None:
        """Something came from outside: look at it on the loop, from any thread."""
        try:
            self.soon(self._look)
        except RuntimeError:  # the loop is gone, and the run with it
            return

    def _look(self) -> None:
        if self.group is None or self.thread:
            return
        self.run.take_pending()
        if self.run.ready:
            self._spawn()

    def _spawn(self) -> None:
        """A further worker. Its task's own cancel scope serves as the worker's."""
        worker = _Worker()
        worker.task = self.group.start_soon(self._member, worker)

    async def _member(self, worker: _Worker) -> None:
        try:
            await self._work(worker)
        except anyio.get_cancelled_exc_class():
            if not worker.cancel_called:
                self._cancelled_from_outside()
            raise

    async def _stretch(self) -> None:
        """The first worker: take ready firings until there are none."""
        with anyio.CancelScope() as scope:
            try:
                await self._work(scope)
            except anyio.get_cancelled_exc_class():
                if not scope.cancel_called:
                    self._cancelled_from_outside()
                raise

    def _cancelled_from_outside(self) -> None:
        run = self.run
        if not run.over:
            run.reason = "the task that ran it was cancelled"
            run.apply(RunCancelled(now(), run.reason))

    async def _work(self, scope: _Scope) -> None:  # noqa: C901, PLR0912 - the hot loop
        """Ready firings one after another. One body: a call a step costs a fifth."""
        run = self.run
        ready, live = run.ready, run.marking.live
        steps = 0
        while ready:
            if self.group is None and len(ready) > 1:
                return
            firing = ready.popleft()
            if firing.id not in live:
                continue
            try:
                target, arguments, keywords = run.open(firing)
                call = run.calls[firing.node.index]
                if call.is_async:
                    body = call.function(target, *arguments, **keywords)
                    context = run.context.copy()
                    try:
                        first = context.run(body.send, None)
                    except StopIteration as end:
                        output = end.value
                    else:
                        output = await self._rest(firing, body, context, first, scope)
                else:
                    body = functools.partial(
                        call.function, target, *arguments, **keywords
                    )
                    output = await self._threaded(firing, body, scope)
                    if output is _DONE:
                        continue
            except BaseException as error:  # noqa: BLE001 - sorted by kind
                self._raised(firing, error, scope)
                if scope.cancel_called:
                    await checkpoint()
            else:
                run.finish(firing, output)
            if run.pending:
                run.take_pending()
            steps += 1
            if steps % STEPS_BETWEEN_CHECKPOINTS == 0:
                await self._breathe()

    async def _breathe(self) -> None:
        """Let other tasks run; ready firings of a fork go to one of them."""
        self._hand_over()
        await checkpoint()

    def _hand_over(self) -> None:
        if self.run.ready and self.group is not None:
            self._spawn()

    async def _rest(
        self,
        firing: Firing,
        body: Coroutine[Any, Any, Any],
        context: Context,
        first: Any,
        scope: _Scope,
    ) -> Any:
        """The rest of a step that has suspended."""
        scopes = self.run.scopes
        scopes[firing.id] = scope
        self._hand_over()
        try:
            return await _resumed(body, context, first)
        finally:
            del scopes[firing.id]

    async def _threaded(
        self,
        firing: Firing,
        body: Callable[[], Any],
        scope: _Scope,
    ) -> Any:
        """A synchronous step in a worker thread, and what follows it alone."""
        run = self.run
        scopes = run.scopes
        scopes[firing.id] = scope
        stretch = _Stretch(self, firing)
        self._hand_over()

        def work() -> Any:
            return stretch.go_on(run.context.copy().run(body))

        self.thread = len(run.marking.live) == 1
        try:
            output = await pool.run(work, stretch.late)
        except anyio.get_cancelled_exc_class():
            stretch.give_up()
            raise
        finally:
            self.thread = False
            scopes.pop(firing.id, None)
        if isinstance(output, _Later):
            await self._later(output)
            return _DONE
        if hasattr(output, "__await__"):
            output = await _contextual(output, run.context.copy())
        return output

    async def _later(self, later: _Later) -> None:
        run = self.run
        try:
            output = await _contextual(later.body, run.context.copy())
        except Exception as error:  # noqa: BLE001 - the step's own
            run.fail(later.firing, error)
        else:
            run.finish(later.firing, output)

    def _raised(
        self, firing: Firing, error: BaseException, scope: _Scope
    ) -> None:
        run = self.run
        if isinstance(error, Stop):
            return
        if isinstance(error, KeyboardInterrupt | SystemExit):
            run.interrupted(error)
            return
        if isinstance(error, anyio.get_cancelled_exc_class()):
            if firing.driver is not None and firing.id not in run.marking.live:
                run.box.discard(firing.driver)
            if scope.cancel_called or task_is_cancelled():
                raise error
            run.fail(firing, error)
            return
        if isinstance(error, GeneratorExit):
            raise error
        run.fail(firing, error)


class _Worker:
    """A spawned worker as something to cancel."""

    __slots__ = ("cancel_called", "task")

    def __init__(self) -> None:
        self.cancel_called = False
        self.task: anyio.TaskHandle[None] | None = None

    def cancel(self) -> None:
        """Cancel the step that this worker runs."""
        self.cancel_called = True
        if self.task is not None:
            self.task.cancel()


_Scope = anyio.CancelScope | _Worker


class _Stretch:
    """Synchronous steps that follow each other alone share one thread hop.

    The lock makes a commit in the thread and a cancellation on the loop exclude
    each other: after :meth:`give_up` the thread commits nothing.
    """

    __slots__ = ("done", "driver", "firing", "given_up", "lock")

    def __init__(self, driver: _Driver, firing: Firing) -> None:
        self.driver = driver
        self.firing = firing
        self.lock = threading.Lock()
        self.given_up = False
        self.done = False

    def go_on(self, output: Any) -> Any:
        """Commit in this thread and run the next steps while they are alone."""
        run = self.driver.run
        if not self.driver.thread:
            return output
        while True:
            if hasattr(output, "__await__"):
                return _Later(self.firing, output) if self.done else output
            with self.lock:
                if self.given_up:
                    run.abandoned(self.firing, output, None)
                    return _DONE
                run.finish(self.firing, output)
                following = self._next()
                if following is None:
                    return _DONE
                self.firing = following
            self.done = True
            try:
                target, arguments, keywords = run.open(following)
                function = run.calls[following.node.index].function
                context = run.context.copy()
                output = context.run(function, target, *arguments, **keywords)
            except BaseException as error:  # noqa: BLE001 - sorted by the driver
                return self._failed(error)

    def _next(self) -> Firing | None:
        run = self.driver.run
        if len(run.ready) != 1 or len(run.marking.live) != 1 or run.pending:
            return None
        following = run.ready[0]
        if run.calls[following.node.index].is_async:
            return None
        return run.ready.popleft()

    def _failed(self, error: BaseException) -> Any:
        run = self.driver.run
        with self.lock:
            if self.given_up:
                run.abandoned(self.firing, None, error)
            elif isinstance(error, KeyboardInterrupt | SystemExit):
                run.interrupted(error)
            elif not isinstance(error, Stop):
                run.fail(self.firing, error)
        return _DONE

    def give_up(self) -> None:
        """The waiter was cancelled: nothing of this thread counts any more."""
        with self.lock:
            self.given_up = True
            self.driver.run.box.discard(self.firing.driver)

    def late(self, value: Any, error: BaseException | None) -> None:
        """The first step ended after it was given up."""
        if value is not _DONE and not isinstance(error, Stop):
            self.driver.run.abandoned(self.firing, value, error)


class _Later:
    """A later step of the stretch returned a coroutine: await it on the loop."""

    __slots__ = ("body", "firing")

    def __init__(self, firing: Firing, body: Any) -> None:
        self.firing = firing
        self.body = body


class _Done:
    """The stretch has committed everything itself."""


_DONE = _Done()


async def _contextual(body: Any, context: Context) -> Any:
    if not hasattr(body, "send"):
        return await body
    try:
        first = context.run(body.send, None)
    except StopIteration as end:
        return end.value
    return await _resumed(body, context, first)


@generator_coroutine
def _resumed(
    body: Coroutine[Any, Any, Any], context: Context, first: Any
) -> Generator[Any, Any, Any]:
    """Drive a started coroutine to its end, in its own context (PEP 380)."""
    enter, send, throw = context.run, body.send, body.throw
    waits_for = first
    while True:
        try:
            value = yield waits_for
        except GeneratorExit:
            body.close()
            raise
        except BaseException as error:  # noqa: BLE001 - handed to the step
            try:
                waits_for = enter(throw, error)
            except StopIteration as end:
                return end.value
        else:
            try:
                waits_for = enter(send, value)
            except StopIteration as end:
                return end.value
