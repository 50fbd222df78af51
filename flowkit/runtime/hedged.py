"""Steps that are called once more beside a call that takes long.

Each call sees a view of the state of its own. The first one that ends well is the
step's: what it did to the state becomes what the step did, the others are cancelled
and awaited. That a call begins late, and that such an attempt is won, are records.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from flowkit.core.records import StepHedged
from flowkit.runtime import signals
from flowkit.runtime.alarm import call_at
from flowkit.runtime.call_changes import apply_to, changes_in, changes_of, view_beside
from flowkit.runtime.clock import now
from flowkit.runtime.loops import forget_loop, loop_caller
from flowkit.runtime.tentative import TentativeRun, keep_said
from flowkit.runtime.threads import pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from flowkit.core.hedging import Hedge
    from flowkit.core.marking import Firing
    from flowkit.runtime.protection import Gate
    from flowkit.runtime.run import Run
    from flowkit.runtime.state import Changes

__all__ = ["hedged"]


def hedged(
    function: Callable[..., Any], hedge: Hedge, gate: Gate | None, *, is_async: bool
) -> Callable[..., Any]:
    """The function of a step that is called again if it takes long.

    Args:
        function: as it is called once.
        hedge: when, and how often.
        gate: has the step's rate, in which each further call takes a turn.
        is_async: whether the step is.
    """

    async def call(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        body = partial(_called, function, arguments, keywords, is_async=is_async)
        return await _Hedged(flow, hedge, gate, body).go()

    def plain(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        return call(flow, *arguments, **keywords)

    return call if is_async else plain


async def _called(
    function: Callable[..., Any],
    arguments: Any,
    keywords: Any,
    call: _Call,
    *,
    is_async: bool,
) -> Any:
    body = partial(function, call.target, *arguments, **keywords)
    output = await body() if is_async else await call.in_thread(body)
    if is_async:
        return output
    return await output if hasattr(output, "__await__") else output


class _Call:
    """One call: its own view of the state, and how it has ended.

    Attributes:
        number: 1 for the first.
        over: it has ended, well or not.
        target: what it is called on.
    """

    def __init__(self, run: Run, firing: Firing, changes: Changes, number: int) -> None:
        self.number: int = number
        self.run: Any = TentativeRun(run, firing)
        self.firing: Firing = firing
        self.changes: Changes = view_beside(changes)
        self.target: Any = run.root.beside(firing, self.changes)
        self.target._flowkit.run = self.run
        self.over: bool = False
        self.output: Any = None
        self.error: BaseException | None = None
        self._thread: int | None = None
        self._left: bool = False

    async def in_thread(self, body: Callable[[], Any]) -> Any:
        """Call a plain function; cancelled, it is given up and counts for nothing."""
        context = copy_context()
        context.run(forget_loop)

        def work() -> Any:
            self._thread = threading.get_ident()
            return context.run(body)

        try:
            return await pool.run(work, self._late)
        except anyio.get_cancelled_exc_class():
            self._left = True
            if self._thread is not None:
                self.run.given_up.add(self._thread)
            raise

    def _late(self, value: Any, error: BaseException | None) -> None:
        self.run.given_up.discard(self._thread)
        if hasattr(value, "__await__") and hasattr(value, "close"):
            value.close()
        self.tell_lost(value, error)

    def tell_lost(self, value: Any, error: BaseException | None) -> None:
        """It has ended though it does not count any more."""
        name = f"{self.run.net.definition.name}.{self.firing.node.name}"
        said = signals.log().info
        about = signals.about(self.run, self.firing)
        if error is None:
            text = "call %s of %s ended when it did not count any more, with %.60r"
            said(text, self.number, name, value, extra=about)
        else:
            text = "call %s of %s failed when it did not count any more"
            said(text, self.number, name, exc_info=error, extra=about)

    def forget(self) -> None:
        """Nobody commits its view; a thread that goes on keeps it for itself."""
        if not self._left:
            self.changes.box.discard(self.changes)

    def keep(self, changes: Changes) -> None:
        """What it did is what the step did."""
        apply_to(changes, changes_of(self.changes))
        number, said = self.firing.id, self.run
        emitted = (said.emitted or {}).get(number)
        metered = (said.metered or {}).get(number)
        keep_said(said.whole, number, emitted, metered)


class _Hedged:
    """The calls of one attempt."""

    def __init__(
        self,
        flow: Any,
        hedge: Hedge,
        gate: Gate | None,
        body: Callable[[_Call], Any],
    ) -> None:
        scope = flow._flowkit
        self.run: Run = scope.run
        self.firing: Firing = scope.firing
        self.changes: Changes = changes_in(scope)
        self.hedge: Hedge = hedge
        self.gate: Gate | None = gate
        self.body: Callable[[_Call], Any] = body
        self.calls: list[_Call] = []
        self.winner: _Call | None = None
        self.fault: BaseException | None = None
        self._told: anyio.Event | None = None
        self._first: anyio.CancelScope = anyio.CancelScope()
        self._closed: bool = False
        self._group: Any = None
        self._soon: Any = None
        self._context: Context = copy_context()
        self._take_back: Callable[[], None] | None = None

    async def go(self) -> Any:
        """What the first call gives that ends well.

        Raises:
            BaseException: what the first call has failed with, if all have.
        """
        try:
            async with anyio.create_task_group() as self._group:
                await self._call_until_over()
                if not all(call.over for call in self.calls):
                    self._group.cancel_scope.cancel()
            if self.fault is not None:
                raise self.fault
            if self.winner is None:
                raise self._failure()
            self.winner.keep(self.changes)
        finally:
            for call in self.calls:
                call.forget()
        if len(self.calls) > 1:
            self._note(self.winner.number, won=True)
        return self.winner.output

    async def _call_until_over(self) -> None:
        """The first call here, the others beside it when their time comes."""
        self._soon = loop_caller()
        first = self._made()
        self._arm()
        try:
            with self._first:
                await self._work(first)
            while self._is_open():
                self._told = anyio.Event()
                await self._told.wait()
        finally:
            self._closed = True
            if self._take_back is not None:
                self._take_back()

    def _is_open(self) -> bool:
        if self.winner is not None or self.fault is not None:
            return False
        return not all(call.over for call in self.calls)

    def _made(self) -> _Call:
        call = _Call(self.run, self.firing, self.changes, len(self.calls) + 1)
        self.calls.append(call)
        return call

    def _arm(self) -> None:
        """Begin a further call when it is due, if there may be one more."""
        self._take_back = None
        if len(self.calls) < self.hedge.most:
            self._take_back = call_at(now() + self.hedge.after, self._ring)

    def _ring(self) -> None:
        """Another call is due; in any thread."""
        with suppress(RuntimeError):  # the loop is gone, and the run with it
            self._soon(self._further)

    def _further(self) -> None:
        if self._closed or not self._is_open():
            return
        try:
            if self.gate is None or self.gate.spare(self.run):
                call = self._made()
                self._note(call.number, won=False)
                self._context.run(self._group.start_soon, self._work, call)
            self._arm()
        except Exception as error:  # noqa: BLE001 - raised by the step
            self.fault = error
            self._tell()

    def _tell(self) -> None:
        """A call has ended: look whether all is over."""
        if not (self._is_open() or self.calls[0].over):
            self._first.cancel()
        if self._told is not None:
            self._told.set()

    async def _work(self, call: _Call) -> None:
        try:
            call.output = await self.body(call)
        except anyio.get_cancelled_exc_class():
            raise
        except Exception as error:  # noqa: BLE001 - kept, and raised if none is well
            call.error = error
        except BaseException as error:  # noqa: BLE001 - ends all of them
            self.fault = self.fault or error
        if self.winner is not None:
            call.tell_lost(call.output, call.error)
        elif call.error is None and self.fault is None:
            self.winner = call
        call.over = True
        self._tell()

    def _failure(self) -> BaseException:
        first, *others = [call for call in self.calls if call.error is not None]
        assert first.error is not None  # noqa: S101 - chosen so
        for other in others:
            error = other.error
            first.error.add_note(
                f"flowkit: call {other.number}, begun beside it, failed, too: "
                f"{type(error).__name__}: {error}"
            )
        return first.error

    def _note(self, number: int, *, won: bool) -> None:
        """Record that a call has begun beside others, or has won."""
        run, firing = self.run, self.firing
        if run.over or firing.id not in run.marking.live:
            return
        run.apply(StepHedged(now(), firing.id, number, won))
        if run.hurry is not None:
            run.hurry()  # have it written
        if signals.step_hedged.receivers:
            run.tell(
                signals.step_hedged,
                step=firing.node.name,
                firing=firing.id,
                attempt=firing.attempt,
                call=number,
                won=won,
            )
