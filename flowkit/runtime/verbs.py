"""What a step can wait for: a time, an event, a person, another flow.

Each question has a *position*, counted within its firing. What it was answered is
a record; a step that starts again is given the same answers at the same positions
and goes on behind them. A question that is another one than before at its position
is a :class:`~flowkit.errors.DriftError`.

A verb in an async step is awaited; in a synchronous step it blocks and gives the
value. A step that waits longer than the class's ``evict_after`` gives its place in
memory up: it ends there (``finally`` blocks run) and starts again once answered.
"""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.durations import seconds
from flowkit.core.records import CallBegun
from flowkit.errors import DriftError, FlowkitWarning, RunError, StepTimeoutError
from flowkit.runtime.clock import block_until, now, wait_until
from flowkit.runtime.loops import loop_caller
from flowkit.runtime.run import Evicted, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from flowkit.core.marking import Firing

__all__ = [
    "INNER",
    "OPEN",
    "RETRY",
    "Arrived",
    "Asking",
    "Question",
    "asked",
    "at_home",
    "attempt_of",
    "heartbeat",
    "idempotency_key",
    "known_answer",
    "leave_waits",
    "position_of",
    "record_begun",
    "shown_position",
    "sleep",
    "step_of",
    "wait_for",
]


INNER = 32
"""Bits of a position that count within one branch of a function flow."""
RETRY = "retry"
"""The verb at which a failed attempt of a called step waits for the next one."""


class Arrived(NamedTuple):
    """What :meth:`Flow.wait_any` gives: which event came, and with what."""

    name: str
    payload: Any


class Question(NamedTuple):
    """What a step asks.

    Attributes:
        verb: ``sleep``, ``wait_for``, ``wait_any``, ``ask``, ``call``.
        detail: as it is recorded: ``names`` and ``key`` of events, ``due``, ``late``
            (the answer once it is due), ``token`` for a person.
        read: makes the step's value of the recorded answer.
        mark: what must be the same when the step starts again.
    """

    verb: str
    detail: dict[str, Any]
    read: Callable[[Any], Any]
    mark: Any


def step_of(flow: Any, verb: str) -> tuple[Run, Firing]:
    """The run and the firing of the step that runs on this object.

    Raises:
        RunError: no step runs on it.
    """
    scope = flow._flowkit
    if scope.run is None or scope.firing is None:
        msg = (
            f"{type(flow).__name__}.{verb}() waits within a step; no step of this "
            f"object runs. Call it in a method that is a step."
        )
        raise RunError(msg)
    return scope.run, scope.firing


def position_of(flow: Any, verb: str) -> tuple[Run, Firing, int]:
    """The step that asks, and the position of its next question."""
    run, firing = step_of(flow, verb)
    if run.claim is not None:
        position = run.claim(verb)
        run.asked[firing.id] = 1  # its body is in memory
        return run, firing, position
    position = run.asked.get(firing.id, 0)
    run.asked[firing.id] = position + 1
    return run, firing, position


def asked(flow: Any, question: Question) -> Any:
    """Ask; in an async step what is given is to be awaited."""
    run, firing, position = position_of(flow, question.verb)
    asking = Asking(run, firing, position, question)
    if run.calls[firing.node.index].is_async:
        return asking
    return asking.block()


def known_answer(run: Run, firing: Firing, position: int, question: Question) -> Any:
    """The recorded answer, :data:`OPEN` if there is none yet.

    Raises:
        DriftError: the step asked something else here before it started again.
    """
    place = firing.id, position
    record, answer = run.questions.get(place), run.answers.get(place, OPEN)
    if record is not None or answer is not OPEN:
        if record is not None:
            before: Any = record.verb, (record.detail or {}).get("mark")
        else:  # a call that never waited has its answer's record only
            before = answer[0], answer[1]
        if before != (question.verb, question.mark):
            raise DriftError(_drifted(run, firing, position, before, question))
    return answer


def _drifted(
    run: Run, firing: Firing, position: int, before: Any, question: Question
) -> str:
    name = f"{run.net.definition.name}.{firing.node.name}"
    then, today = _said(*before), _said(question.verb, question.mark)
    if run.claim is not None:
        return (
            f"{name} came to {then} at its position {shown_position(position)} before "
            f"it started again, and comes to {today} now. What run {run.id} has done "
            f"is kept by position: calls have to come in the same order again, so "
            f"times, chance and reading belong into steps. Restore the order, or "
            f"rewind the run to this place. ({firing.node.step.place})"
        )
    return (
        f"{name} asked {then} as its question {position + 1} before it "
        f"started again, and asks {today} now. The "
        f"answers of run {run.id} are kept by position: keep the order of the "
        f"questions, or rewind the run to this step. ({firing.node.step.place})"
    )


def record_begun(run: Run, firing: Firing) -> None:
    """Record which calls are under way: from now on the function waits, too."""
    for (number, position), told in run.underway.items():
        if not told[1] and number == firing.id:
            told[1] = True
            run.apply(CallBegun(now(), number, position, told[0]))


def shown_position(position: int) -> str:
    """``3``, or ``3.2.1`` in a branch: the call, its branch, and the call there."""
    lowest = (1 << INNER) - 1
    parts = [(position & lowest) + 1]
    while position := position >> INNER:
        parts.append(position & lowest)
        position >>= INNER
        parts.append((position & lowest) + 1)
    return ".".join(map(str, reversed(parts)))


def _said(verb: str, mark: Any) -> str:
    given = [each for each in mark or () if each is not None]
    return f"{verb}({', '.join(map(repr, given))})"


class _Open:
    """No answer yet."""


OPEN = _Open()


def at_home(run: Run, verb: Callable[[], None]) -> None:
    """Have the thread that moves a run do something; it is durable soon after.

    Raises:
        BaseException: whatever it raises there.
    """
    if run.home is None or run.home == threading.get_ident():
        verb()
        if run.journal is not None:
            run.journal.wait(run)
        return
    done = threading.Event()
    faults: list[BaseException] = []

    def work() -> None:
        try:
            verb()
        except BaseException as error:  # noqa: BLE001 - raised in the step
            faults.append(error)
        finally:
            done.set()

    run.post(work)
    done.wait()
    if faults:
        raise faults[0]


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
        run.ask(self.firing, position, question.verb, detail)

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


def sleep(flow: Any, delay: Any) -> Any:
    """Wait for a length of time."""
    left = seconds(delay, f"{type(flow).__name__}.sleep")
    detail = {"due": now() + left}
    return asked(flow, Question("sleep", detail, lambda _: None, None))


def wait_for(
    flow: Any,
    names: tuple[str, ...],
    key: Any,
    timeout: Any,
    transient: bool = False,  # noqa: FBT001, FBT002
    *,
    several: bool,
) -> Any:
    """Wait for one of some events."""
    verb = "wait_any" if several else "wait_for"
    for name in names:
        given: Any = name
        if not isinstance(given, str) or not given:
            msg = f"{type(flow).__name__}.{verb} takes names of events, not {name!r}."
            raise ValueError(msg)
    if not names:
        msg = f"{type(flow).__name__}.{verb} needs the name of an event."
        raise ValueError(msg)
    text = None if key is None else str(key)
    detail: dict[str, Any] = {"names": list(names), "key": text}
    if transient:
        detail["transient"] = True
    if timeout is not None:
        detail["due"] = now() + seconds(timeout, f"{type(flow).__name__}.{verb}")

    def read(answer: Any) -> Any:
        if answer is None:
            waited = " or ".join(map(repr, names))
            msg = f"No event {waited} came within {timeout}. Give timeout= more time."
            raise TimeoutError(msg)
        return Arrived(answer[1], answer[2]) if several else answer[2]

    return asked(flow, Question(verb, detail, read, [*names, text]))


def idempotency_key(flow: Any) -> str:
    """The same text for every attempt of this firing, another one for any other."""
    run, firing = step_of(flow, "idempotency_key")
    if firing.turn > 1:
        return f"{run.id}:{firing.id}:{firing.turn}"
    return f"{run.id}:{firing.id}"


def attempt_of(flow: Any) -> int:
    """Which try of this firing runs, from 1."""
    return step_of(flow, "attempt")[1].attempt


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
