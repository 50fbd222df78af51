"""The workers of a run on an event loop, asyncio or trio.

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
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint

from flowkit.errors import RunError
from flowkit.runtime import signals
from flowkit.runtime.clock import now, wait_until
from flowkit.runtime.coroutines import contextual, resumed
from flowkit.runtime.dues import expire, ticks
from flowkit.runtime.endings import cut_off, interrupted
from flowkit.runtime.exits import Evicted, Stop
from flowkit.runtime.failing import broken, discard
from flowkit.runtime.loops import (
    loop_caller,
    one_time_event,
    task_is_cancelled,
)
from flowkit.runtime.restarts import evicted
from flowkit.runtime.ringing import ring_timers
from flowkit.runtime.stretch import DONE, Stretch
from flowkit.runtime.threads import pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run
    from flowkit.runtime.timing import Watch

__all__ = ["Driver"]

STEPS_BETWEEN_CHECKPOINTS = 64
MOST_UNBEGUN = 8


class Driver:
    """Workers of one run, and what looks after events and times meanwhile."""

    __slots__ = (
        "begun",
        "first",
        "group",
        "listens",
        "nudged",
        "run",
        "soon",
        "stretch",
        "unbegun",
        "workers",
    )

    def __init__(self, run: Run) -> None:
        self.run: Run = run
        self.begun: tuple[Firing, Any] | None = None
        self.group: Any = None
        net = run.net
        self.listens: bool = bool(
            net.events or net.busy or net.timed or net.undoes or run.watchers
        )
        self.soon: Any = None
        self.stretch: Stretch | None = None
        self.unbegun: int = 0
        self.workers: int = 0
        self.first: bool = False
        self.nudged: anyio.Event | None = None

    def watch(self) -> None:
        """Look after the run's deadline."""
        from flowkit.runtime.timing import watch_run  # only who has one pays

        self._attend()
        watch_run(self.run, self.soon)

    def unwatch(self) -> None:
        """What looks after the run's times is of this loop, and ends with it."""
        lookout, self.run.lookout = self.run.lookout, None
        if lookout is not None:
            lookout.close()

    async def go(self) -> None:
        """Work until the run is over, or waits for what may be long in coming."""
        run = self.run
        while True:
            if run.admission is not None:
                await run.admission.turn(run)
            run.take_pending()
            if run.held:
                await self.settle()
            if not run.ready and self.begun is None:
                if not await self._until_due():
                    return
                continue
            if self.listens or len(run.ready) > 1 or run.marking.asked:
                await self._go_in_group()
            else:
                await self._first()

    async def _go_in_group(self) -> None:
        self._attend()
        self.unbegun = self.workers = 0
        if self.run.net.timed:
            async with anyio.create_task_group() as watch:
                watch.start_soon(ring_timers, self.run, self.soon, self._look)
                await self._work_in_group()
                watch.cancel_scope.cancel()
            return
        await self._work_in_group()

    async def _work_in_group(self) -> None:
        self.first = True
        try:
            async with anyio.create_task_group() as self.group:
                try:
                    await self._first()
                finally:
                    self.first = False
                    self._close_group()
        finally:
            self.group = None

    def _close_group(self) -> None:
        """Spawn no more once nobody works: a group that ends waits for no newcomer.

        (anyio's takes a last checkpoint then, and leaves a task alone that is started
        meanwhile.) What becomes ready from here on is for the next turn of ``go``.
        """
        if not (self.first or self.workers):
            self.group = None

    async def _until_due(self) -> bool:
        """Wait here for a time that is near; whether there may be work then."""
        run = self.run
        if run.over or run.status != "waiting":
            return False
        due = run.due
        if due is None or not run.stays(due):
            return False
        if run.until is not None and not ticks(run):
            return False
        self._attend()
        self.nudged = anyio.Event()
        run.rest()
        if run.admission is not None:
            run.admission.pause()
        try:
            await wait_until(due, self.nudged, self.soon)
        finally:
            self.nudged = None
            run.rest(resting=False)
        expire(run, now())
        return True

    async def settle(self) -> None:
        """Wait until what was decided is durable, then carry it out."""
        run = self.run
        self._attend()
        while run.held:
            ticket = run.held[0].ticket
            if not ticket.done:
                come, wait = one_time_event()
                run.journal.writer.call(ticket, self.soon, come)
                try:
                    await wait()
                except anyio.get_cancelled_exc_class():
                    run.journal.wait(run)  # it is on its way: nothing half done
                    raise
            run.journal.carry_out(run)
        self._hand_over()

    def _attend(self) -> None:
        """From here on, what comes from outside is looked at without delay."""
        if self.soon is None:
            self.soon = loop_caller()
            self.run.hurry = self._hurry
            if self.run.pending:  # it came while the first step ran
                self._hurry()

    def _hurry(self) -> None:
        """Something came from outside: look at it on the loop, from any thread."""
        try:
            self.soon(self._look)
        except RuntimeError:  # the loop is gone, and the run with it
            return

    def _look(self) -> None:
        stretch = self.stretch
        if stretch is None:
            self._take()
            return
        with stretch.lock:
            stretch.alone = False
            self._take()

    def _take(self) -> None:
        run = self.run
        try:
            run.take_pending()
        except RunError as error:
            # It was given up here, and another process took it over: its inbox, too.
            signals.log().info("%r is left to others: %s", run, error)
            run.pending.clear()
        if run.held:
            run.journal.writer.call(run.held[-1].ticket, self.soon, self._written)
        else:
            self._go_on()

    def _written(self) -> None:
        """What came from outside is durable now."""
        run = self.run
        if run.journal is not None and not run.over:
            run.journal.carry_out(run)
        self._go_on()

    def _go_on(self) -> None:
        run = self.run
        if self.nudged is not None:
            self.nudged.set()
        elif run.parked and run.status == "waiting" and not run.pending:
            run.rest()
        self._hand_over()

    def _spawn(self) -> None:
        """A further worker, unless enough of them are about to begin.

        Each that begins makes room for the next, and one whose step has ended takes
        a ready step itself: short suspensions need few tasks. The task's own cancel
        scope serves as the worker's.
        """
        if self.unbegun >= MOST_UNBEGUN:
            return
        self.unbegun += 1
        self.workers += 1
        worker = _Worker()
        worker.task = self.group.start_soon(self._work, worker)

    async def _first(self) -> None:
        """The first worker: take ready firings until there are none."""
        with anyio.CancelScope() as scope:
            if self.begun is not None:
                (firing, output), self.begun = self.begun, None
                await self._finish(firing, output, scope)
            await self._work(scope)

    def _cancelled_from_outside(self) -> None:
        if not self.run.over:
            cut_off(self.run, "the task that ran it was cancelled")

    async def _work(  # noqa: C901, PLR0912, PLR0915 - the hot loop
        self, scope: _Scope
    ) -> None:
        """Ready firings one after another. One body: a call a step costs a fifth."""
        try:
            run = self.run
            ready, live, scopes = run.ready, run.marking.live, run.scopes
            steps = 0
            if type(scope) is _Worker:
                self.unbegun -= 1
            if run.held:
                await self.settle()
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
                            number = firing.id
                            scopes[number] = scope
                            if self.soon is None:
                                self._attend()
                            if ready and self.group is not None:
                                self._spawn()
                            timed = call.timed
                            watched = None
                            if timed is not None:
                                watched = timed(run, firing, scope.cancel, self.soon)
                            try:
                                output = await resumed(body, context, first)
                            finally:
                                del scopes[number]
                                if watched is not None:
                                    watched.end()
                    else:
                        body = functools.partial(
                            call.function, target, *arguments, **keywords
                        )
                        await self._threaded(firing, body, scope)
                        output = DONE
                except BaseException as error:  # noqa: BLE001 - sorted by kind
                    self._raised(firing, error, scope)
                else:
                    if output is not DONE:
                        run.finish(firing, output)
                if run.held:
                    await self.settle()
                if scope.cancel_called:  # that step has swallowed it: others must not
                    await self._breathe(scope)
                if run.pending:
                    run.take_pending()
                    if run.held:
                        await self.settle()
                steps += 1
                if steps % STEPS_BETWEEN_CHECKPOINTS == 0:
                    await self._breathe(scope)
        finally:
            if type(scope) is _Worker:
                self.workers -= 1
                self._close_group()

    async def _breathe(self, scope: _Scope) -> None:
        """Let other tasks run; ready firings of a fork go to one of them."""
        self._hand_over()
        try:
            await checkpoint()
        except anyio.get_cancelled_exc_class():
            if not scope.cancel_called:
                self._cancelled_from_outside()
            raise

    def _hand_over(self) -> None:
        """Let another worker have what is ready."""
        if self.run.ready and self.group is not None:
            self._spawn()

    def _watched(self, firing: Firing, scope: _Scope) -> Watch | None:
        """From now on the time of this attempt counts."""
        from flowkit.runtime.timing import watch  # only who has limits pays

        return watch(self.run, firing, scope.cancel, self.soon)

    async def _threaded(
        self,
        firing: Firing,
        body: Callable[[], Any],
        scope: _Scope,
    ) -> None:
        """A synchronous step in a worker thread, and what follows it alone."""
        run = self.run
        run.scopes[firing.id] = scope
        stretch = Stretch(run, firing, scope)
        self._attend()
        self._hand_over()
        watched = None
        if run.calls[firing.node.index].timed:
            watched = self._watched(firing, scope)
        elif len(run.marking.live) == 1 and run.journal is None:
            stretch.alone = True
            self.stretch = stretch
        try:
            try:
                output = await pool.run(
                    functools.partial(stretch.go, body), stretch.late
                )
            except anyio.get_cancelled_exc_class():
                stretch.give_up()
                raise
            finally:
                if watched is not None:
                    watched.end()
        except BaseException as error:  # noqa: BLE001 - sorted by kind
            gone = stretch.firing.id not in run.marking.live
            if stretch.commits and gone and isinstance(error, Exception):
                broken(run, error)
                return
            self._raised(stretch.firing, error, scope)
        else:
            self.stretch = None
            if output is not DONE:
                await self._finish(stretch.firing, output, scope)
        finally:
            if self.stretch is stretch:
                self.stretch = None
            run.scopes.pop(stretch.firing.id, None)

    async def _finish(self, firing: Firing, output: Any, scope: _Scope) -> None:
        """Commit what a plain function gave; a coroutine is awaited first."""
        run = self.run
        if hasattr(output, "__await__"):
            run.scopes[firing.id] = scope
            self._attend()
            timed = run.calls[firing.node.index].timed
            watched = self._watched(firing, scope) if timed else None
            try:
                try:
                    output = await contextual(output, run.context.copy())
                finally:
                    if watched is not None:
                        watched.end()
            except BaseException as error:  # noqa: BLE001 - sorted by kind
                self._raised(firing, error, scope)
                return
            finally:
                run.scopes.pop(firing.id, None)
        run.take_pending()
        try:
            run.finish(firing, output)
        except Exception as error:
            if firing.id in run.marking.live:
                raise
            broken(run, error)

    def _raised(  # noqa: C901 - one kind after another
        self, firing: Firing, error: BaseException, scope: _Scope
    ) -> None:
        run = self.run
        run.take_pending()
        if isinstance(error, Stop):
            if isinstance(error, Evicted):
                evicted(run, firing)
            return
        if isinstance(error, KeyboardInterrupt | SystemExit):
            interrupted(run, error)
            return
        if isinstance(error, anyio.get_cancelled_exc_class()):
            if firing.driver is not None and firing.id not in run.marking.live:
                discard(run, firing.driver)
            if scope.cancel_called:
                raise error
            if task_is_cancelled():
                self._cancelled_from_outside()
                raise error
            run.fail(firing, error)
            return
        if isinstance(error, GeneratorExit):
            raise error
        if isinstance(error, BaseExceptionGroup) and error.subgroup(Stop):
            if error.subgroup(Evicted):
                evicted(run, firing)
            return
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
