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
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.durations import seconds
from flowkit.errors import DriftError, RunError
from flowkit.runtime.clock import block_until, now, wait_until
from flowkit.runtime.loops import loop_caller
from flowkit.runtime.run import Evicted, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from flowkit.core.marking import Firing

__all__ = ["Arrived", "asked", "attempt_of", "idempotency_key", "sleep", "wait_for"]


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


def _place(flow: Any, verb: str) -> tuple[Run, Firing]:
    scope = flow._flowkit
    if scope.run is None or scope.firing is None:
        msg = (
            f"{type(flow).__name__}.{verb}() waits within a step; no step of this "
            f"object runs. Call it in a method that is a step."
        )
        raise RunError(msg)
    return scope.run, scope.firing


def asked(flow: Any, question: Question) -> Any:
    """Ask; in an async step what is given is to be awaited."""
    run, firing = _place(flow, question.verb)
    position = run.asked.get(firing.id, 0)
    run.asked[firing.id] = position + 1
    if run.calls[firing.node.index].is_async:
        return _Asked(run, firing, position, question)
    return _blocking(run, firing, position, question)


def _known(run: Run, firing: Firing, position: int, question: Question) -> Any:
    """The recorded answer, :data:`_OPEN` if there is none yet.

    Raises:
        DriftError: the step asked something else here before it started again.
    """
    before = _asked_before(run, firing, position)
    if before is not None and before != (question.verb, question.mark):
        name = f"{run.net.definition.name}.{firing.node.name}"
        msg = (
            f"{name} asked {_said(*before)} as its question {position + 1} before it "
            f"started again, and asks {_said(question.verb, question.mark)} now. The "
            f"answers of run {run.id} are kept by position: keep the order of the "
            f"questions, or rewind the run to this step. ({firing.node.step.place})"
        )
        raise DriftError(msg)
    return run.answers.get((firing.id, position), _OPEN)


def _asked_before(run: Run, firing: Firing, position: int) -> tuple[str, Any] | None:
    record = run.questions.get((firing.id, position))
    if record is None:
        return None
    return record.verb, (record.detail or {}).get("mark")


def _said(verb: str, mark: Any) -> str:
    shown = ", ".join(map(repr, mark)) if isinstance(mark, list) else repr(mark)
    return f"{verb}({shown})"


class _Open:
    """No answer yet."""


_OPEN = _Open()


class _Asked:
    """A question of an async step: awaited once."""

    __slots__ = ("firing", "position", "question", "run")

    def __init__(
        self, run: Run, firing: Firing, position: int, question: Question
    ) -> None:
        self.run = run
        self.firing = firing
        self.position = position
        self.question = question

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        import anyio  # a loop runs, so it is there

        run, firing, position = self.run, self.firing, self.position
        place = firing.id, position
        answer = _known(run, firing, position, self.question)
        if answer is not _OPEN:
            return self.question.read(answer)
        soon = loop_caller()
        came = anyio.Event()
        run.parked[place] = lambda _: came.set()
        try:
            _record(run, firing, position, self.question)
            await _settled(run)
            due = self.question.detail.get("due")
            until = _earliest(due, now() + run.patience)
            while place not in run.answers:
                if await wait_until(until, came, soon):
                    continue
                if due is not None and now() >= due:
                    late = self.question.detail.get("late")
                    run.answer(firing.id, position, late)
                    await _settled(run)
                elif firing.id not in run.marking.live:
                    await anyio.sleep_forever()  # cancelled: it comes here
                else:
                    raise Evicted
        finally:
            run.parked.pop(place, None)
        return self.question.read(run.answers[place])


async def _settled(run: Run) -> None:
    if run.held and run.settle is not None:
        await run.settle()


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)


def _record(run: Run, firing: Firing, position: int, question: Question) -> None:
    if position in run.marking.asked.get(firing.id, {}):
        return  # asked before it started again, and still open
    detail = {**question.detail, "verb": question.verb, "mark": question.mark}
    run.ask(firing, position, question.verb, detail)


def _blocking(run: Run, firing: Firing, position: int, question: Question) -> Any:
    place = firing.id, position
    answer = _known(run, firing, position, question)
    if answer is not _OPEN:
        return question.read(answer)
    came = threading.Event()
    run.parked[place] = lambda _: came.set()
    faults: list[BaseException] = []

    def on_home(verb: Callable[[], None]) -> None:
        """On the thread that moves the run, and wait until it is durable."""
        if run.home is None or run.home == threading.get_ident():
            verb()
            if run.journal is not None:
                run.journal.wait(run)
            return
        done = threading.Event()

        def work() -> None:
            try:
                verb()
            except BaseException as error:  # noqa: BLE001 - raised in the step
                faults.append(error)
            finally:
                done.set()

        run.post(work)
        done.wait()

    try:
        on_home(lambda: _record(run, firing, position, question))
        due = question.detail.get("due")
        until = _earliest(due, now() + run.patience)
        while place not in run.answers and not faults:
            if run.pending and run.home == threading.get_ident():
                run.take_pending()
                continue
            if block_until(until, came):
                continue
            if due is not None and now() >= due:
                late = question.detail.get("late")
                on_home(lambda: run.answer(firing.id, position, late))
                if not faults:
                    came.wait()
            else:
                raise Evicted
    finally:
        run.parked.pop(place, None)
    if faults:
        raise faults[0]
    return question.read(run.answers[place])


def sleep(flow: Any, delay: Any) -> Any:
    """Wait for a length of time."""
    left = seconds(delay, f"{type(flow).__name__}.sleep")
    detail = {"due": now() + left}
    return asked(flow, Question("sleep", detail, lambda _: None, None))


def wait_for(
    flow: Any, names: tuple[str, ...], key: Any, timeout: Any, *, several: bool
) -> Any:
    """Wait for one of some events."""
    verb = "wait_any" if several else "wait_for"
    for name in names:
        if not isinstance(name, str) or not name:
            msg = f"{type(flow).__name__}.{verb} takes names of events, not {name!r}."
            raise ValueError(msg)
    if not names:
        msg = f"{type(flow).__name__}.{verb} needs the name of an event."
        raise ValueError(msg)
    text = None if key is None else str(key)
    detail: dict[str, Any] = {"names": list(names), "key": text}
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
    run, firing = _place(flow, "idempotency_key")
    return f"{run.id}:{firing.id}"


def attempt_of(flow: Any) -> int:
    """Which try of this firing runs, from 1."""
    return _place(flow, "attempt")[1].attempt
