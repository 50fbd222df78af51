"""A step's wait for what it asks: awaited in async code, blocking in other code.

A step that waits longer than the class's ``evict_after`` gives its place in memory
up: it ends there (``finally`` blocks run) and starts again once answered.
"""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any

from flowkit.core.records import StepAsked
from flowkit.errors import FlowkitWarning
from flowkit.runtime.clock import block_until, now, wait_until
from flowkit.runtime.exits import Evicted
from flowkit.runtime.kinds import known
from flowkit.runtime.loops import loop_caller
from flowkit.runtime.positions import (
    OPEN,
    Question,
    at_home,
    known_answer,
    position_of,
    record_begun,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["Asking", "asked", "leave_waits"]


def asked(flow: Any, question: Question) -> Any:
    """Ask; in an async step what is given is to be awaited."""
    run, firing, position = position_of(flow, question.verb)
    asking = Asking(run, firing, position, question)
    if run.calls[firing.node.index].is_async:
        return asking
    return asking.block()


class Asking:
    """A question of a step: awaited once, or blocking in a synchronous one."""

    __slots__ = ("firing", "place", "position", "question", "run", "used")

    def __init__(
        self, run: Run, firing: Firing, position: int, question: Question
    ) -> None:
        self.run: Run = run
        self.firing: Firing = firing
        self.position: int = position
        self.place: tuple[int, int] = (firing.id, position)
        self.question: Question = question
        self.used: bool = False

    def __del__(self) -> None:
        if not self.used:
            step = self.firing.node.step
            name, verb = self.run.net.definition.name, self.question.verb
            text = (
                f"{name}.{step.name} did not wait: write `await self.{verb}(..)` in an "
                f"async step. ({step.place})"
            )
            warnings.warn(text, FlowkitWarning, stacklevel=2)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._go().__await__()

    async def _go(self) -> Any:
        self.used = True
        answer = known_answer(self.run, self.firing, self.position, self.question)
        if answer is OPEN:
            return await self.wait()
        return self.question.read(answer)

    @property
    def answered(self) -> bool:
        """Whether the answer is recorded."""
        return self.place in self.run.answers

    def value(self) -> Any:
        """What the recorded answer means to the step."""
        return self.question.read(self.run.answers[self.place])

    def _record(self) -> None:
        run, position, question = self.run, self.position, self.question
        detail = {**question.detail, "verb": question.verb, "mark": question.mark}
        if self._open:  # asked before it started again
            if run.status != "running" or not run.marking.waits:
                return
            # Another question was answered meanwhile; the run waits again.
            detail = run.questions[self.place].detail
        if run.claim is not None and run.underway:
            record_begun(run, self.firing)
        number = self.firing.id
        if run.calls[self.firing.node.index].timed is not None:
            from flowkit.runtime.timing import with_end  # only who has a time

            detail = with_end(run, self.firing, question.verb, detail)
        record = StepAsked(now(), number, position, question.verb, detail)
        run.questions[self.place] = record
        run.apply(record)
        if run.journal is None and "names" in detail:  # a store sees to it itself
            for bus in known[type(run.flow)].buses:
                bus.asked(run)

    async def _settled(self) -> None:
        if self.run.held and self.run.settle is not None:
            await self.run.settle()

    async def ask(self) -> None:
        """Record the question."""
        self.used = True
        self._record()
        await self._settled()

    async def answer(self, value: Any) -> None:
        """Record the answer."""
        self.run.answer(self.firing.id, self.position, value)
        await self._settled()

    @property
    def _open(self) -> bool:
        return self.position in self.run.marking.asked.get(self.firing.id, {})

    def _collect(self) -> None:
        """Look into the inbox: what came in time counts, not that it is late now."""
        if self.run.journal is not None:
            self.run.journal.collect(self.run)
            self.run.take_pending()

    @property
    def _due(self) -> float | None:
        """As first asked: a step that starts again waits no longer."""
        record = self.run.questions.get(self.place)
        detail = self.question.detail if record is None else record.detail or {}
        due: float | None = detail.get("due")
        return due

    async def wait(self) -> Any:
        """Ask, wait for the answer, and give what it means."""
        import anyio  # a loop runs, so it is there

        run, place = self.run, self.place
        soon = loop_caller()
        came = anyio.Event()
        run.parked[place] = lambda _: came.set()
        try:
            await self.ask()
            due = self._due
            until = _until(run, due)
            while not self.answered:
                if run.over:  # the store failed: nothing is asked or answered
                    raise Evicted
                if run.pending:  # it was kept, and came with the question's commit
                    run.take_pending()
                    await self._settled()
                    continue
                if run.status == "waiting":
                    run.rest()
                if await wait_until(until, came, soon):
                    continue
                if self.firing.id not in run.marking.live:
                    await anyio.sleep_forever()  # cancelled: it comes here
                elif due is not None and now() >= due:
                    self._collect()
                    if self._open:
                        await self.answer(self.question.detail.get("late"))
                    await self._settled()
                elif run.claim is not None and run.underway:
                    until = _earliest(due, now() + run.patience)
                else:
                    run.gone = True
                    raise Evicted
        finally:
            run.parked.pop(place, None)
        return self.value()

    def block(self) -> Any:
        """The same in the thread of a synchronous step."""
        self.used = True
        answer = known_answer(self.run, self.firing, self.position, self.question)
        if answer is OPEN:
            return self.wait_blocking()
        return self.question.read(answer)

    def ask_blocking(self) -> None:
        """Record the question, from the step's thread."""
        self.used = True
        self._at_home(self._record)

    def answer_blocking(self, value: Any) -> None:
        """Record the answer, from the step's thread, and wait until it counts."""
        came = threading.Event()
        self.run.parked[self.place] = lambda _: came.set()
        self._at_home(lambda: self.run.answer(self.firing.id, self.position, value))
        if not (self.answered or self.run.over):
            came.wait()
        if not self.answered:
            raise Evicted  # the store failed, or this process stops

    def _at_home(self, verb: Callable[[], None]) -> None:
        at_home(self.run, verb)

    def _late_blocking(self) -> None:
        self._at_home(self._collect)
        if self._open:
            self.answer_blocking(self.question.detail.get("late"))

    def wait_blocking(self) -> Any:
        """Ask, block until the answer is there, and give what it means."""
        run, place = self.run, self.place
        came = threading.Event()
        run.parked[place] = lambda _: came.set()
        # In a plain loop nobody else looks at what comes from other threads.
        alone = run.home == threading.get_ident() and run.hurry is None
        if alone:
            run.hurry = came.set
        try:
            self.ask_blocking()
            due = self._due
            until = _until(run, due)
            while not self.answered:
                if run.over:  # the store failed: nothing is asked or answered
                    raise Evicted
                if alone:
                    came.clear()
                if run.pending and run.home == threading.get_ident():
                    run.take_pending()
                    continue
                if run.status == "waiting":
                    run.rest()
                if block_until(until, came):
                    continue
                if due is not None and now() >= due:
                    self._late_blocking()
                else:
                    raise Evicted
        finally:
            run.parked.pop(place, None)
            if alone:
                run.hurry = None
        return self.value()


_leaving: list[bool] = []


def leave_waits() -> None:
    """From now on a stored run's step that waits is let go at once, in this process.

    Unless the time it waits for is near. For a process that takes no events, such as
    a command: what would answer it comes to the store, and it need not wait there.
    """
    _leaving.append(True)


def _until(run: Run, due: float | None) -> float | None:
    """Until when a step waits in memory."""
    if _leaving and run.journal is not None and (due is None or not run.stays(due)):
        return now()
    return _earliest(due, now() + run.patience)


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
